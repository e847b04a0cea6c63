"""Say how long the stages of a run that are to do will take: a process of its own, so that its
memory ends with it."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from pipeline.check import stages_to_do, time_line
from pipeline.stages import load_config
from runtime.brief import in_brief
from runtime.command import limit_spinning
from runtime.exit_codes import guarded


def main(words: Sequence[str]) -> int:
    """Print the line of a configuration file and its overrides to standard error."""
    limit_spinning()
    return guarded(lambda: _say(Path(words[0]), words[1:]))


def _say(config_file: Path, overrides: Sequence[str]) -> int:
    config = load_config(config_file, overrides)
    if line := time_line(config, stages_to_do(config)):
        print(in_brief(line), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
