"""Summary of a store: what its videos have in common, and how much it holds; reads no features."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feature_extraction.index import PACKED_NAME
from feature_extraction.store import MERGED_NAME, FeatureInfo, FeatureStore
from runtime.errors import InputError
from video_datasets.time_grid import TimeGrid

FEATURES_FOLDER = "features"
"""Folder of the features stage within a run."""


@dataclass(frozen=True)
class StoreSummary:
    """A store in figures."""

    videos: int
    features: int
    """Feature vectors of all videos together."""
    longest: int
    """Features of the longest video."""
    duration_s: float
    """Of all videos together; 0 where the store does not say."""
    channels: int
    dtype: str
    """On disk; both names where a store holds both."""
    grid: TimeGrid
    attributes: dict[str, Any]
    """Those that are the same in all videos."""


def open_store(path: Path | str) -> FeatureStore:
    """Open a store given as a file, as its folder, as the folder of a run, or as one that `pack`
    wrote.

    Raises:
        InputError: if there is no store, or it holds no video.
    """
    path = Path(path)
    if not (path / MERGED_NAME).exists():
        inside = (path / FEATURES_FOLDER, path / PACKED_NAME)
        path = next((place for place in inside if place.exists()), path)
    store = FeatureStore(path)
    if store.any_id() is None:
        raise InputError(f"{path}: holds no features of any video")
    return store


def summarise(*stores: FeatureStore) -> StoreSummary:
    """Go through stores once; of a video that is in several, the first counts.

    Raises:
        InputError: if two videos differ in grid or channels; names both.
    """
    first_id = ""
    first: FeatureInfo | None = None
    shared: dict[str, Any] = {}
    dtypes, features, longest, duration_s = set(), 0, 0, 0.0
    held: dict[str, FeatureStore] = {}
    for store in stores:
        held |= {video_id: store for video_id in store if video_id not in held}
    for video_id, store in held.items():
        info = store.info(video_id)
        if first is None:
            first_id, first, shared = video_id, info, dict(info.attributes)
        if info.grid != first.grid or info.shape[1] != first.shape[1]:
            raise InputError(
                f"{store.path}: videos '{first_id}' and '{video_id}' differ: {_kind(first)} against {_kind(info)};"
                f" a published store has one grid and one number of channels"
            )
        shared = {name: value for name, value in shared.items() if info.attributes.get(name) == value}
        dtypes.add(info.dtype)
        features += info.shape[0]
        longest = max(longest, info.shape[0])
        duration_s += float(info.attributes.get("duration_s", 0.0))
    if first is None:
        raise InputError(f"{stores[0].path}: holds no features of any video")
    return StoreSummary(
        videos=len(held),
        features=features,
        longest=longest,
        duration_s=duration_s,
        channels=first.shape[1],
        dtype=", ".join(sorted(dtypes)),
        grid=first.grid,
        attributes=shared,
    )


def _kind(info: FeatureInfo) -> str:
    return f"{info.shape[1]} channels, {info.grid}"
