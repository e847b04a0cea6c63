"""`python -m evaluation.pack`: check a submission and put it into the zip of its challenge's
server."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import ZIP_DEFLATED, ZipFile

from evaluation.arguments import make_parser, run_command
from runtime.atomic import atomic_path
from runtime.errors import InputError
from runtime.overwriting import refuse_overwriting
from runtime.paths import user_path

if TYPE_CHECKING:
    from evaluation.files.protocols import Protocol

DESCRIPTION = """\
Check an EPIC-KITCHENS-100 detection submission and write the zip for the challenge server.

The zip holds the file as it is, under the name that the server wants (test.json); with --sls-pt, --sls-tl or
--sls-td it declares other supervision levels, and the file stays as it is. A submission with errors is not packed."""

EXAMPLES = """\
  python -m evaluation.pack submission.json --out submission.zip
  python -m evaluation.pack submission.json --out submission.zip --sls-pt 2 --sls-tl 3 --sls-td 4"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        argv: arguments; None takes those of the process.
    """
    return run_command(command_parser(), _run, argv)


def command_parser() -> argparse.ArgumentParser:
    """Define the arguments."""
    from evaluation.files.protocols import PROTOCOLS

    parser = make_parser("evaluation.pack", DESCRIPTION, EXAMPLES)
    add = parser.add_argument
    add("file", type=user_path, metavar="FILE", help="submission JSON, plain or gzip")
    add("--out", type=user_path, required=True, metavar="FILE.zip", help="the zip to write")
    packed = {name: entry for name, entry in PROTOCOLS.items() if entry.rules.name_in_zip}
    first = next(iter(packed))
    add("--protocol", default=first, choices=packed, help="the challenge (default: %(default)s)")
    levels = {key: meaning for entry in packed.values() for key, meaning in entry.rules.levels.items()}
    for key, meaning in levels.items():
        option, hint = f"--{key.replace('_', '-')}", f"{meaning}, 0 to 5 (default: the file's)"
        add(option, type=int, choices=range(6), metavar="LEVEL", help=hint)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    from evaluation.files.protocols import protocol_named

    protocol = protocol_named(arguments.protocol)
    given = {key: getattr(arguments, key) for key in protocol.rules.levels}
    levels = {key: level for key, level in given.items() if level is not None}
    refuse_overwriting([arguments.out], [arguments.file])
    return pack_submission(arguments.file, arguments.out, protocol, levels)


def pack_submission(file: Path, out: Path, protocol: Protocol, levels: Mapping[str, int]) -> int:
    """Check and pack; returns the exit code.

    Args:
        file: submission JSON.
        out: zip to write.
        protocol: of the challenge.
        levels: keys of the header to set.

    Raises:
        InputError: if the file is no such JSON, or has errors.
    """
    from evaluation.check import check_file, render_check
    from evaluation.files.read import is_json_file
    from video_datasets.annotations import read_json_object, read_text
    from video_datasets.predictions import is_hdf5

    if not is_json_file(file):
        found = "HDF5" if is_hdf5(file) else "a CSV, or other text"
        raise InputError(
            f"{file}: expected the submission JSON, found {found}; python -m classification writes it"
        )
    checked = check_file(file, protocol)
    print(render_check(checked, protocol.name))
    if checked.findings.errors:
        raise InputError(f"{file}: not packed, it has {len(checked.findings.errors)} errors, listed above")
    text = json.dumps({**read_json_object(file), **levels}) if levels else read_text(file)
    name = protocol.rules.name_in_zip
    with atomic_path(out) as temporary, ZipFile(temporary, "w", ZIP_DEFLATED) as archive:
        archive.writestr(name, text)
    print(f"wrote {out} with {name}{''.join(f', {key} {level}' for key, level in levels.items())}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
