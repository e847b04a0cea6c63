"""`python -m evaluation.pack`: check an EPIC-KITCHENS-100 submission and put it into the zip of the challenge.

The challenge servers want one file called test.json at the top of the zip; so writes the organisers' own
`write_submission_file` (epic-kitchens/C1-Action-Recognition, utils/challenge.py).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from evaluation.command import garbage_collection_paused
from evaluation.files.rules import SUPERVISION_LEVELS
from runtime.atomic import atomic_path
from runtime.errors import InputError
from runtime.exit_codes import EXIT_CODES_HELP, guarded

NAME_IN_ZIP = "test.json"

DESCRIPTION = f"""\
Check an EPIC-KITCHENS-100 detection submission and write the zip for the challenge server.

The zip holds the file as it is, called {NAME_IN_ZIP}; with --sls-pt, --sls-tl or --sls-td it declares other supervision
levels, and the file stays as it is. A submission with errors is not packed."""

EPILOG = f"""\
examples:
  python -m evaluation.pack submission.json --out submission.zip
  python -m evaluation.pack submission.json --out submission.zip --sls-pt 2 --sls-tl 3 --sls-td 4

{EXIT_CODES_HELP}"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        argv: arguments; None takes those of the process.
    """
    arguments = make_parser().parse_args(argv)
    given = {key: getattr(arguments, key) for key in SUPERVISION_LEVELS}
    levels = {key: level for key, level in given.items() if level is not None}
    with garbage_collection_paused():
        return guarded(lambda: _run(arguments.file, arguments.out, levels))


def make_parser() -> argparse.ArgumentParser:
    """Define the arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m evaluation.pack",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("file", type=Path, metavar="FILE", help="submission JSON, plain or gzip")
    add("--out", type=Path, required=True, metavar="FILE.zip", help="the zip to write")
    add("--protocol", default="ek100", choices=("ek100",), help="the challenge (default: %(default)s)")
    for key, meaning in SUPERVISION_LEVELS.items():
        option = f"--{key.replace('_', '-')}"
        add(
            option,
            type=int,
            choices=range(6),
            metavar="LEVEL",
            help=f"{meaning}, 0 to 5 (default: the file's)",
        )
    return parser


def _run(file: Path, out: Path, levels: Mapping[str, int]) -> int:
    from evaluation.check import check_file, render_check
    from video_datasets.annotations import read_json_object, read_text
    from video_datasets.predictions import is_hdf5

    if is_hdf5(file):
        raise InputError(f"{file}: expected the submission JSON, found HDF5; write it with write_ek100_json")
    checked = check_file(file, "ek100")
    print(render_check(checked, "ek100"))
    if checked.findings.errors:
        raise InputError(f"{file}: not packed, it has {len(checked.findings.errors)} errors, listed above")
    text = json.dumps({**read_json_object(file), **levels}) if levels else read_text(file)
    with atomic_path(out) as temporary, ZipFile(temporary, "w", ZIP_DEFLATED) as archive:
        archive.writestr(NAME_IN_ZIP, text)
    print(f"wrote {out} with {NAME_IN_ZIP}{''.join(f', {key} {level}' for key, level in levels.items())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
