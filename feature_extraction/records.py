"""Records of one video in a feature store: its features, or what is known without reading them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from feature_extraction.integrity import COMPLETE, SUM
from runtime.hdf5_texts import attributes as read_attributes
from video_datasets.time_grid import TimeGrid

GRID_PREFIX = "grid."
"""Before the names of a grid's fields in the attributes of a dataset."""
_ONE_THREAD = 32768
"""Values that torch converts in the calling thread."""


@dataclass(frozen=True)
class FeatureInfo:
    """What is known of one video's features without reading them."""

    shape: tuple[int, int]
    """(T, C)."""
    dtype: str
    """Type on disk, "float16" or "float32"."""
    grid: TimeGrid
    """The rule that the times follow."""
    attributes: dict[str, Any]
    """What the writer recorded: backbone fingerprint, source, duration_s, ..."""
    values_sum: int | None = None
    """By which damage is noticed, see `integrity`; None in older stores."""


@dataclass(frozen=True)
class FeatureRecord:
    """The features of one video."""

    features: NDArray[np.float32]
    """Shape (T, C); float32 whatever the file holds."""
    times: NDArray[np.float64]
    """Time of each feature in seconds from the first shown frame, shape (T,)."""
    grid: TimeGrid
    attributes: dict[str, Any]


def read_info(dataset: h5py.Dataset) -> FeatureInfo:
    """Read shape, type, grid and attributes of a video's dataset.

    Raises:
        ValueError: if the attributes are damaged.
        InputError: if HDF5 would read their texts for ever.
    """
    attributes = {name: _plain(value) for name, value in read_attributes(dataset).items() if name != COMPLETE}
    recorded = attributes.pop(SUM, None)
    if not all(isinstance(name, str) for name in attributes):
        raise ValueError("the name of an attribute is not UTF-8")
    names = [name for name in attributes if name.startswith(GRID_PREFIX)]
    grid = {name.removeprefix(GRID_PREFIX): attributes.pop(name) for name in names}
    try:
        own_grid = TimeGrid.from_dict(grid)
    except TypeError as error:  # a number that has become a text
        raise ValueError(f"time grid: {error}") from error
    return FeatureInfo(dataset.shape, dataset.dtype.name, own_grid, attributes, recorded)


def as_float32(values: NDArray[Any]) -> NDArray[np.float32]:
    """Return values as float32, without a copy where they are.

    Torch converts halves with the processor's own instruction, 20 times as fast as NumPy; in pieces
    that it does not share out among threads, since waking them takes longer.
    """
    if values.dtype != np.float16:
        return values.astype(np.float32, copy=False)
    import torch  # not above: whoever lists a store need not wait for it

    converted = np.empty(values.shape, np.float32)
    targets = torch.from_numpy(converted).view(-1).split(_ONE_THREAD)
    for target, source in zip(targets, torch.from_numpy(values).reshape(-1).split(_ONE_THREAD), strict=True):
        target.copy_(source)
    return converted


def _plain(value: Any) -> Any:
    """Turn NumPy scalars, as HDF5 returns them, into Python's own numbers."""
    return value.item() if isinstance(value, np.generic) else value
