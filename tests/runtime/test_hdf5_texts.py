"""Texts in HDF5 files: fixed lengths come back, and a heap without an end is refused instead of
read for ever."""

from __future__ import annotations

import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_extraction import FeatureStore
from feature_extraction.store import write_video_features
from runtime.errors import InputError
from runtime.hdf5 import open_hdf5, writing_hdf5
from runtime.hdf5_texts import attributes, fixed_text, read_texts
from video_datasets.time_grid import TimeGrid

FIRST_OBJECT = 16
"""Bytes from the start of a heap to its first object."""


def with_texts(path: Path) -> Path:
    """A file as stores were: attributes of any length, and a table of texts."""
    with writing_hdf5(path) as file:
        dataset = file.create_dataset("a", data=np.ones((2, 3), "f4"))
        dataset.attrs.update({"backbone": "tada2d", "fps": 30, "whole": True, "source": "né.mp4"})
        file.create_dataset("labels", data=["sit", "run"], dtype=h5py.string_dtype())
    return path


@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"])))
def test_a_text_of_fixed_length_comes_back(text: str) -> None:
    with h5py.File("memory", "w", driver="core", backing_store=False) as file:
        dataset = file.create_dataset("a", data=[1.0])
        dataset.attrs["text"] = fixed_text(text)
        assert attributes(dataset) == {"text": text}


def test_texts_of_any_length_are_read(tmp_path: Path) -> None:
    with open_hdf5(with_texts(tmp_path / "a.h5")) as file:
        found = attributes(file["a"])
        assert found == {"backbone": "tada2d", "fps": 30, "whole": True, "source": "né.mp4"}
        assert read_texts(file["labels"]) == ("sit", "run")


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("number", "size"), [(0, 0), (0, 8), (1, 2**64 - 16), (1, 2**63), (2, 5000)], ids=str
)
def test_a_heap_without_an_end_is_refused(tmp_path: Path, number: int, size: int) -> None:
    path = with_texts(tmp_path / "a.h5")
    content = bytearray(path.read_bytes())
    heap = content.index(b"GCOL")
    struct.pack_into("<HHIQ", content, heap + FIRST_OBJECT, number, 0, 0, size)
    path.write_bytes(content)
    with open_hdf5(path) as file:
        with pytest.raises(InputError, match=rf"a\.h5: damaged: the heap of its texts at byte {heap}"):
            attributes(file["a"])
        with pytest.raises(InputError, match="has no end"):
            read_texts(file["labels"])


def test_a_store_has_no_heap(tmp_path: Path) -> None:
    grid = TimeGrid()
    described = {"source": "né.mp4", "duration_s": 1.0}
    features_TC = np.ones((1, 4), np.float32)
    path = write_video_features(tmp_path, "a", features_TC, grid.times_s(16)[:1], grid, attributes=described)
    assert b"GCOL" not in (tmp_path / "a.h5").read_bytes(), path
    found = FeatureStore(tmp_path)["a"]
    assert found.grid == grid
    assert found.attributes == described
