"""Several feature stores as one: their features side by side, joined by time whatever their grids.

first store     0.27    0.80    1.33          its times stay; a further store is read between its own
second store    0.1  0.5  0.9  1.3  1.7       features, linearly, at 0.27, 0.80 and 1.33 s
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from feature_extraction.store import FeatureStore, add_video
from runtime.atomic import atomic_path
from runtime.errors import InputError


def at_times(
    features_TC: NDArray[np.float32], times_s: NDArray[np.float64], wanted_s: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Interpolate features linearly; before the first and behind the last their values are held.

    >>> at_times(np.array([[0.0], [2.0]], np.float32), np.array([1.0, 2.0]), np.array([0.0, 1.5, 3.0])).ravel().tolist()
    [0.0, 1.0, 2.0]
    """
    position = np.interp(wanted_s, times_s, np.arange(len(times_s)))
    lower = position.astype(np.int64)
    upper = np.minimum(lower + 1, len(times_s) - 1)
    weight = (position - lower).astype(np.float32)[:, None]
    return features_TC[lower] + weight * (features_TC[upper] - features_TC[lower])


def joined_features(stores: Sequence[FeatureStore], video_id: str) -> NDArray[np.float32]:
    """Return the features of all stores side by side, (T, sum of C), at the times of the first.

    Raises:
        InputError: if a store lacks the video, or has no feature of it.
    """
    first = stores[0][video_id]
    columns = [first.features]
    for store in stores[1:]:
        if video_id not in store or not store.info(video_id).shape[0]:
            raise InputError(f"not in {store.path.name}, which is to be joined")
        record = store[video_id]
        columns.append(at_times(record.features, record.times, first.times))
    return np.concatenate(columns, axis=1)


def write_joined(path: Path, stores: Sequence[FeatureStore], video_ids: Iterable[str]) -> dict[str, str]:
    """Write one store of several, whole or not at all; grids, times and attributes are those of the
    first.

    Returns:
        Reasons of the videos that were left out.
    """
    problems = {}
    with atomic_path(path) as temporary, h5py.File(temporary, "w") as file:
        for video_id in video_ids:
            info = stores[0].info(video_id)
            attributes = {**info.attributes, "joined": ", ".join(store.path.name for store in stores)}
            try:
                features_TC = joined_features(stores, video_id)
            except InputError as error:
                problems[video_id] = str(error)
                continue
            times_s = stores[0].times(video_id)
            add_video(
                file, video_id, features_TC, times_s, info.grid, attributes=attributes, dtype=info.dtype
            )
    return problems
