"""Stores and feature files with flipped bits, cut, or with stretches overwritten: read right, or
refused in words."""

from __future__ import annotations

import contextlib
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from feature_extraction.store import FeatureStore, merge_features, write_video_features
from feature_extraction.zoo.arrays import as_table
from feature_extraction.zoo.sources import READERS, read_array
from runtime.errors import InputError
from video_datasets.time_grid import TimeGrid

GRID = TimeGrid(fps=30, stride_frames=16)


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut the file, flip some bits, or overwrite a stretch."""
    damaged = bytearray(content)
    kind, first = rng.integers(3), int(rng.integers(len(content)))
    if kind == 0:
        return content[:first]
    if kind == 1:
        for place in rng.integers(len(content), size=int(rng.integers(1, 8))):
            damaged[place] ^= 1 << int(rng.integers(8))
    else:
        stop = min(first + int(rng.integers(1, 300)), len(content))
        damaged[first:stop] = rng.bytes(stop - first)
    return bytes(damaged)


def check_stores(folder: Path, count: int, seed: int, *, heap: bool) -> None:
    """With `heap`, the texts are of any length, as they were in older stores."""
    rng = np.random.default_rng(seed)
    written = {name: rng.normal(size=(7, 16)).astype(np.float16) for name in ("a", "b", "c")}
    for name, values in written.items():
        attributes = {"duration_s": 3.7, "backbone": "x"}
        write_video_features(folder / "parts", name, values, GRID.times_s(112), GRID, attributes=attributes)
    merge_features(folder / "parts", folder / "whole.h5")
    if heap:
        with h5py.File(folder / "whole.h5", "r+") as file:
            for name in written:
                file[name].attrs["backbone"] = "x" * 20
    content = (folder / "whole.h5").read_bytes()
    reasons = []
    wrong = 0
    for number in range(count):
        path = folder / f"{number}.h5"
        path.write_bytes(mutated(content, rng))
        try:
            for name, record in FeatureStore(path).items():
                wrong += not np.array_equal(record.features, written[name])
        except InputError as error:
            reasons.append(str(error))
        path.unlink()
    assert wrong == 0
    assert 0 < len(reasons) < count
    assert all(str(folder) in reason for reason in reasons)


def check_files(folder: Path, count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(9, 6)).astype(np.float32)
    np.save(folder / "a.npy", values)
    np.savez(folder / "a.npz", feats=values)
    np.savetxt(folder / "a.csv", values, delimiter=",")
    torch.save(values, folder / "a.pkl")
    torch.save(torch.from_numpy(values), folder / "a.pt")
    contents = {suffix: (folder / f"a.{suffix}").read_bytes() for suffix in READERS}
    for number in range(count):
        suffix = list(READERS)[number % len(READERS)]
        path = folder / f"{number}.{suffix}"
        path.write_bytes(mutated(contents[suffix], rng))
        with contextlib.suppress(InputError):
            assert as_table(read_array(path)).ndim == 2
        path.unlink()


@pytest.mark.parametrize("heap", [False, True])
def test_some_mutations(tmp_path: Path, heap: bool) -> None:
    check_stores(tmp_path, 60, seed=1, heap=heap)
    check_files(tmp_path, 50, seed=2)


@pytest.mark.slow
@pytest.mark.parametrize("heap", [False, True])
def test_many_mutations(tmp_path: Path, heap: bool) -> None:
    check_stores(tmp_path, 1000, seed=3, heap=heap)
    check_files(tmp_path, 1000, seed=4)
