"""Shards of a pack: which videos go into which file, and the files themselves."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from feature_extraction.index import SHARD, IndexRow, index_row
from feature_extraction.store import FeatureStore, add_video
from runtime.errors import InputError
from runtime.hdf5 import writing_hdf5
from runtime.progress import progress

_VALUE_BYTES = {"float16": 2, "float32": 4}
_TIME_BYTES = 8
_NAME = re.compile(r"features-(\d{4,})\.hdf5")


def split(sizes: Mapping[str, int], limit_bytes: float) -> list[list[str]]:
    """Split videos, in their order, into runs of at most so many bytes; a larger video stands
    alone.

    >>> split({"a": 4, "b": 3, "c": 9, "d": 1, "e": 1}, 7)
    [['a', 'b'], ['c'], ['d', 'e']]
    """
    runs: list[list[str]] = []
    filled = 0
    for video_id, size in sizes.items():
        if not runs or filled + size > limit_bytes:
            runs.append([])
            filled = 0
        runs[-1].append(video_id)
        filled += size
    return runs


def shard_names(rows: Mapping[str, IndexRow], folder: Path | None = None) -> list[str]:
    """Name the shards of an index, and those that lie in a folder besides, in the order in which
    they were written."""
    lying = {path.name for path in folder.iterdir() if _NAME.fullmatch(path.name)} if folder else set()
    return sorted(lying | {row[SHARD] for row in rows.values()}, key=lambda name: (len(name), name))


def planned_shards(
    store: FeatureStore, video_ids: Collection[str], dtype: str, limit_bytes: float, taken: Collection[str]
) -> Iterator[tuple[str, list[str]]]:
    """Yield the name and the videos of each shard that is to be written.

    Args:
        store: that holds the videos.
        video_ids: in order.
        dtype: in which the features are packed.
        limit_bytes: largest size of a shard's features and times.
        taken: names of the shards that are there; the new ones are counted on from the last.
    """
    shapes = {video_id: store.info(video_id).shape for video_id in video_ids}
    sizes = {name: t * (c * _VALUE_BYTES[dtype] + _TIME_BYTES) for name, (t, c) in shapes.items()}
    numbers = [int(found[1]) for name in taken if (found := _NAME.fullmatch(name))]
    for number, run in enumerate(split(sizes, limit_bytes), start=max(numbers, default=-1) + 1):
        yield f"features-{number:04d}.hdf5", run


def write_shard(store: FeatureStore, video_ids: Collection[str], path: Path, dtype: str) -> list[IndexRow]:
    """Write the file of some videos, whole or not at all, and describe each.

    Raises:
        InputError: if a value does not fit into `dtype`; names the video.
    """
    rows = []
    with writing_hdf5(path) as file:
        for video_id in progress(video_ids, description=path.stem, total=len(video_ids), unit="video"):
            record = store[video_id]
            add_video(
                file,
                video_id,
                record.features,
                record.times,
                record.grid,
                attributes=record.attributes,
                dtype=dtype,
            )
            rows.append(index_row(file, video_id, path.name))
    return rows


def refuse_other_shard(path: Path, video_ids: Collection[str]) -> None:
    """Refuse to write over a file that the index does not name, unless a pack that was cut off
    before it could has left it.

    Raises:
        InputError: if it holds other videos than those that are to be written.
    """
    if path.exists() and set(FeatureStore(path)) != set(video_ids):
        raise InputError(
            f"{path}: is not in the index and holds other videos than those that would be written there; "
            "move it away"
        )
