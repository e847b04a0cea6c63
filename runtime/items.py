"""Results of single videos on their way to one file, so that a cut-off stage goes on from the
last finished video."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from runtime.atomic import atomic_path

Arrays = dict[str, np.ndarray]


class FinishedItems:
    """Named arrays of finished items, one `<item>.npz` each in a folder that goes away with
    `clear`.

    Args:
        folder: made when the first item is saved.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def load(self, item: str) -> Arrays | None:
        """Return the arrays of a finished item, None if it is still to be done."""
        path = self._path(item)
        if not path.is_file():
            return None
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}

    def save(self, item: str, arrays: Arrays) -> None:
        """Keep the arrays of an item; they appear whole or not at all."""
        with atomic_path(self._path(item)) as temporary, temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **arrays)

    def clear(self) -> None:
        """Remove the folder, once everything is in the stage's output."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, item: str) -> Path:
        return self.folder / f"{item}.npz"
