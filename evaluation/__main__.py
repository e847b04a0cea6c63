"""Entry of `python -m evaluation`: with --config the stage of a run, otherwise the command on
files.

`--protocol behaviour` is a command of its own: it scores no ranking, and takes other words.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Sequence


def asks_for_behaviour(argv: Sequence[str]) -> bool:
    """Whether `--protocol behaviour` is among the words."""
    return "--protocol=behaviour" in argv or ("--protocol", "behaviour") in itertools.pairwise(argv)


def main(argv: Sequence[str]) -> int:
    """Run the stage if `argv` names a config, otherwise the command; return the exit code."""
    if any(argument == "--config" or argument.startswith("--config=") for argument in argv):
        from pipeline.stages import stage_main

        return stage_main("evaluation", list(argv))
    if asks_for_behaviour(argv):
        from evaluation.behaviour import main as main_behaviour

        return main_behaviour(argv)
    from evaluation.command import main as main_command

    return main_command(argv)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
