"""Released weights, and the networks that take them.

python -m pipeline.models                         # weights, results, licences
python -m pipeline.models fetch NAME [FILE]       # download one of them
python -m pipeline.models networks [NETWORK ...]  # cost, input, weights known

fetch compares the file with its check sum, where one is published, and leaves it whole or not at
all. Some files lie on pages that must be clicked through; it then says where.
"""

from __future__ import annotations

import argparse
import difflib
import sys
from collections.abc import Sequence
from pathlib import Path

from runtime.errors import InputError
from runtime.exit_codes import EXIT_CODES_HELP, EXIT_DONE, guarded
from runtime.help_text import CommandParser, program_name
from runtime.paths import user_path

_EXAMPLES = """examples:
  python -m pipeline.models fetch torchvision_resnet50_v1
  python -m pipeline.run configs/own.yaml finetune.init_weights=weights/torchvision_resnet50_v1.pth

"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = CommandParser(
        prog=program_name("pipeline.models"),
        description=__doc__,
        epilog=_EXAMPLES + EXIT_CODES_HELP,
    )
    commands = parser.add_subparsers(dest="command", metavar="fetch|networks")
    fetching = commands.add_parser("fetch")
    fetching.add_argument("name", metavar="NAME", help="of released weights")
    fetching.add_argument("file", nargs="?", type=user_path, metavar="FILE", help="default: weights/NAME.*")
    commands.add_parser("networks").add_argument("names", nargs="*", metavar="NETWORK")
    arguments = parser.parse_args(argv)
    return guarded(lambda: _act(arguments))


def _act(arguments: argparse.Namespace) -> int:
    from tadaconv import __main__ as tables  # loads torch

    if arguments.command == "networks":
        tables.main(arguments.names)
    elif arguments.command == "fetch":
        _fetch(arguments.name, arguments.file)
    else:
        tables.print_weights()
    return EXIT_DONE


def _fetch(name: str, file: Path | None) -> None:
    from runtime.download import download
    from tadaconv.known_weights import KNOWN_WEIGHTS

    known = {weights.name: weights for weights in KNOWN_WEIGHTS}
    if name not in known:
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {close[0]}?" if close else f"known: {', '.join(known)}"
        raise InputError(f"no released weights named '{name}'; {hint}")
    weights = known[name]
    if not weights.is_plain_address:
        raise InputError(
            f"{name} lies behind a page that wants a click: open {weights.url} in a browser, choose Download, and "
            f"name the file in finetune.init_weights (licence: {weights.licence})"
        )
    destination = file or Path("weights") / f"{name}{Path(weights.url).suffix}"
    sha256 = download(weights.url, destination, sha256=weights.sha256 or "")
    checked = "as published" if weights.sha256 else "none is published to compare with"
    print(f"{destination}: SHA-256 {sha256}, {checked}; licence: {weights.licence}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
