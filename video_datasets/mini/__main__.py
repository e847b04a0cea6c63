"""`python -m video_datasets.mini`: render a small data set with the layout of a real one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace

from runtime.exit_codes import EXIT_CODES_HELP, guarded
from runtime.help_text import CommandParser, program_name
from runtime.paths import user_path
from video_datasets.mini.build import LAYOUTS, ensure_mini
from video_datasets.mini.plan import MiniSize

DESCRIPTION = """\
Render a small data set of real H.264 videos, with the folders and annotation files of a real data set.

Four motions, each run forwards or backwards in time, make eight classes (hacs), or eight verbs that are
done to six nouns (ek100); every video has a twin that is its exact time reversal, with the reversed class,
so that only motion tells the classes of a pair apart.

The same seed gives the same files. A finished folder is left alone, a cut-off one is finished."""

EXAMPLES = f"""\
examples:
  python -m video_datasets.mini --layout hacs --out data/hacs_mini
  python -m video_datasets.mini --layout ek100 --out data/ek100_mini
  python -m video_datasets.mini --layout hacs --out data/tiny --training 8 --validation 8 --duration-s 6 10

{EXIT_CODES_HELP}"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = _parser().parse_args(argv)
    return guarded(lambda: _run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog=program_name("video_datasets.mini"),
        description=DESCRIPTION,
        epilog=EXAMPLES,
    )
    parser.add_argument(
        "--layout", required=True, choices=LAYOUTS, help="whose layout of files and annotations"
    )
    parser.add_argument("--out", required=True, type=user_path, metavar="DIR", help="folder of the data set")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="another seed, another data set (0)")
    for subset in MiniSize().subsets:
        counts = ", ".join(
            f"{name}: {maker.STANDARD_SIZE.subsets[subset]}" for name, maker in LAYOUTS.items()
        )
        help_text = f"{subset} videos, an even number; classes balance best with multiples of 8 ({counts})"
        parser.add_argument(f"--{subset}", type=int, metavar="N", help=help_text)
    ranges = (
        "{}: {:g} {:g}".format(name, *maker.STANDARD_SIZE.duration_s) for name, maker in LAYOUTS.items()
    )
    parser.add_argument(
        "--duration-s",
        type=float,
        nargs=2,
        metavar=("MIN", "MAX"),
        help=f"range of the videos' lengths in seconds ({', '.join(ranges)})",
    )
    parser.add_argument("--workers", type=int, metavar="N", help="processes that render (one a core)")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    given = {name: getattr(arguments, name) for name in MiniSize().subsets}
    given["duration_s"] = arguments.duration_s and tuple(arguments.duration_s)
    size = replace(
        LAYOUTS[arguments.layout].STANDARD_SIZE,
        **{name: value for name, value in given.items() if value is not None},
    )
    rendered = ensure_mini(
        arguments.out, layout=arguments.layout, seed=arguments.seed, size=size, workers=arguments.workers
    )
    print(f"{arguments.out}: {'rendered' if rendered else 'already complete, nothing done'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
