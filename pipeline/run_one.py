"""One stage of a whole run, in the process that `pipeline.run` starts for it.

Its words: NAME CONFIG [key=value ...] [--force]
"""

from __future__ import annotations

import sys

from pipeline.stages import STAGES
from runtime.command import limit_spinning, run_of_words
from runtime.exit_codes import guarded


def main() -> int:
    """Run the stage and return its exit code."""
    name, config_file, *words = sys.argv[1:]
    force = "--force" in words
    overrides = [word for word in words if word != "--force"]
    limit_spinning()
    return guarded(
        lambda: run_of_words(STAGES[name], STAGES, config_file, overrides, force=force, whole_run=True)
    )


if __name__ == "__main__":
    sys.exit(main())
