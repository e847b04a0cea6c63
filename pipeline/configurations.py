"""Shipped configurations and keys.

list                 names of the shipped configurations
show NAME            print one
copy NAME [FILE]     copy one, to change it; never over a file that is there
keys [WORD ...]      all keys, or those of a section or with a word in them
"""

from __future__ import annotations

import argparse
import itertools
import re
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from runtime.brief import columns
from runtime.config import SHIPPED, find_config
from runtime.errors import InputError
from runtime.exit_codes import EXIT_CODES_HELP, EXIT_DONE, guarded
from runtime.help_text import CommandParser, program_name
from runtime.paths import user_path

_EXAMPLES = """examples:
  tadaloc config list
  tadaloc config copy own my_run.yaml
  tadaloc config keys bmn

"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = CommandParser(
        prog=program_name("pipeline.configurations"),
        description=__doc__,
        epilog=_EXAMPLES + EXIT_CODES_HELP,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="list|show|copy|keys")
    commands.add_parser("list")
    commands.add_parser("show").add_argument("name", metavar="NAME")
    copy = commands.add_parser("copy")
    copy.add_argument("name", metavar="NAME")
    copy.add_argument("file", nargs="?", type=user_path, metavar="FILE", help="default: NAME.yaml, here")
    commands.add_parser("keys").add_argument("words", nargs="*", metavar="WORD")
    arguments = parser.parse_args(argv)
    if arguments.command == "keys":
        from pipeline.settings import main as keys

        return keys(arguments.words)
    return guarded(lambda: _act(arguments))


def _act(arguments: argparse.Namespace) -> int:
    if arguments.command == "list":
        for name, summary in shipped().items():
            print(name)
            for line in textwrap.wrap(summary, columns() - 4, break_on_hyphens=False):
                print(f"    {line}")
    elif arguments.command == "show":
        print(find_config(arguments.name).read_text(encoding="utf-8"), end="")
    else:
        print(f"written to {copy_config(arguments.name, arguments.file)}", file=sys.stderr)
    return EXIT_DONE


def shipped() -> dict[str, str]:
    """Return the shipped configurations: name -> the first sentence of the comment on top."""
    return {
        file.stem: _first_sentence(file.read_text(encoding="utf-8"))
        for file in sorted(SHIPPED.glob("*.yaml"))
    }


def _first_sentence(text: str) -> str:
    comment = itertools.takewhile(lambda line: line.startswith("# "), text.splitlines())
    words = " ".join(line.removeprefix("# ") for line in comment)
    return re.split(r"(?<=\.) +(?=[A-Z ]|$)|   +", words)[0]


def copy_config(name: str, destination: Path | None = None) -> Path:
    """Copy a configuration into a new file.

    Args:
        name: of a shipped one, or a path.
        destination: the file to make; None: of the same name, in the current folder.

    Returns:
        The new file.

    Raises:
        InputError: if there is no such configuration, or the file is there.
    """
    source = find_config(name)
    new = Path(source.name) if destination is None else destination
    try:
        with new.open("xb") as file:
            file.write(source.read_bytes())
    except FileExistsError:
        raise InputError(f"{new} is there and stays as it is; name another file") from None
    return new


if __name__ == "__main__":
    sys.exit(main())
