"""Command lines of evaluation: the shared parser, options of ground truth and protocol."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module

from runtime.exit_codes import EXIT_CODES_HELP, guarded
from runtime.garbage import garbage_collection_paused
from runtime.help_text import CommandParser, program_name
from runtime.paths import user_path


class Names:
    """The names of a table, read when an argument is checked: --help need not wait for what the
    table imports."""

    def __init__(self, module: str, table: str) -> None:
        self.module, self.table = module, table

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        return iter(getattr(import_module(self.module), self.table))


def make_parser(name: str, description: str, examples: str) -> argparse.ArgumentParser:
    """Make the parser of `python -m NAME`: a description, its options, examples and the exit
    codes."""
    return CommandParser(
        prog=program_name(name),
        description=description,
        epilog=f"examples:\n{examples}\n\n{EXIT_CODES_HELP}",
    )


def add_protocol(parser: argparse.ArgumentParser, *, required: bool = True, tiou: bool = True) -> None:
    """Add --protocol and --tiou."""
    names = Names("evaluation.files.protocols", "PROTOCOLS")
    hint = "hacs, activitynet, thumos, ek100, .." + (
        "" if required else " (default: the ground truth's format's)"
    )
    parser.add_argument("--protocol", required=required, choices=names, metavar="NAME", help=hint)
    if tiou:
        parser.add_argument(
            "--tiou",
            default="",
            metavar="A:STEP:B",
            help="other thresholds than the protocol's, e.g. 0.3:0.1:0.7",
        )


def add_ground_truth(parser: argparse.ArgumentParser, *, required: bool = True) -> None:
    """Add --ground-truth, --format and --subset."""
    add = parser.add_argument
    add(
        "--ground-truth",
        required=required,
        type=user_path,
        metavar="FILE",
        help="official annotations, one's own CSV (video,start_s,end_s,label,subset), or of a labelling tool",
    )
    add(
        "--format",
        choices=Names("video_datasets.formats", "FORMATS"),
        metavar="NAME",
        help="of the ground truth: hacs, csv, ek100, .. (default: as its content says)",
    )
    add("--subset", metavar="NAME", help="which videos count (default: the protocol's, e.g. validation)")


def run_command(
    parser: argparse.ArgumentParser, run: Callable[[argparse.Namespace], int], argv: Sequence[str] | None
) -> int:
    """Parse and run; return the exit code. `argv` None takes the arguments of the process."""
    arguments = parser.parse_args(argv)
    with garbage_collection_paused():
        return guarded(lambda: run(arguments))
