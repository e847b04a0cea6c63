"""Entry of `python -m evaluation`: with --config the stage of a run, otherwise the command on files."""

from __future__ import annotations

import sys
from collections.abc import Sequence


def main(argv: Sequence[str]) -> int:
    """Run the stage if `argv` names a config, otherwise the command; return the exit code."""
    if any(argument == "--config" or argument.startswith("--config=") for argument in argv):
        from evaluation.stage import main_stage

        return main_stage(list(argv))
    from evaluation.command import main as main_command

    return main_command(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
