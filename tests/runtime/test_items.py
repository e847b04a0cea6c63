"""Results of single items on their way to one file."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from runtime.items import FinishedItems


def test_arrays_come_back_as_they_were(tmp_path: Path) -> None:
    items = FinishedItems(tmp_path / "videos")
    arrays = {"segments_s": np.array([[0.1, 0.2]]), "classes": np.zeros(0, dtype=np.int64)}
    assert items.load("-a b") is None
    items.save("-a b", arrays)
    found = FinishedItems(tmp_path / "videos").load("-a b")
    assert found is not None
    for name, array in arrays.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


def test_clear_removes_the_folder(tmp_path: Path) -> None:
    items = FinishedItems(tmp_path / "videos")
    items.save("a", {"x": np.zeros(1)})
    items.clear()
    items.clear()  # of nothing
    assert list(tmp_path.iterdir()) == []
