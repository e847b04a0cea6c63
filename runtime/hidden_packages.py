"""Packages of ours that a file of the user hides.

`python -m` looks in the working directory first, so that a `runtime.py` there is taken for our
package. Every package with commands runs this file by its path, as it may be hidden itself, while
Python looks for the command's module ("-m" is the first word as long as it does).
"""

from __future__ import annotations

import sys
from pathlib import Path

PACKAGES = (
    "tadaconv",
    "runtime",
    "video_datasets",
    "evaluation",
    "training",
    "feature_extraction",
    "bmn",
    "one_stage",
    "proposals",
    "classification",
    "pipeline",
)


def hiding_file(folder: Path) -> tuple[Path, str] | None:
    """Return a file in a folder that hides one of our packages, and the package."""
    for package in PACKAGES:
        for file in (folder / f"{package}.py", folder / package / "__init__.py"):
            if file.is_file():
                return file, package
    return None


def _refuse() -> None:
    ours, here = Path(__file__).resolve().parents[1], Path.cwd()
    if here == ours or str(here) not in sys.path:
        return
    if found := hiding_file(here):
        print(
            f"error: {found[0]} hides the package '{found[1]}' of TAdaLoc; start in another folder, or with `python -P "
            f"-m ...`",
            file=sys.stderr,
        )
        raise SystemExit(2)


if __name__ == "<run_path>":
    _refuse()
