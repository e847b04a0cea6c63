"""A finished store becomes a folder to publish.

DIR/features.hdf5   all videos, float16 or float32; the name lets ActionFormer's anet.py open it as it is
DIR/README.md       the card
DIR/index.csv       a line a video: features, channels, duration, source, SHA-256 of its values
DIR/metrics.json    what was reached with these features, where known
DIR/SHA256SUMS      of all of them; written last, so a folder without it is not finished

A large store goes into shards, features-0000.hdf5, features-0001.hdf5, ..., and the index says which
holds a video. The index is written after every shard, so a pack that was cut off goes on with the
next one; a finished one takes new videos likewise, in shards of their own. What the index names is
never written again.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from feature_extraction.index import INDEX_NAME, PACKED_NAME, IndexRow, read_index, write_index
from feature_extraction.store import FeatureStore
from feature_extraction.zoo.card import CardFacts, is_random, read_metrics, render_card
from feature_extraction.zoo.shards import planned_shards, refuse_other_shard, shard_names, write_shard
from feature_extraction.zoo.summary import StoreSummary, open_store, summarise
from feature_extraction.zoo.sums import SUMS_NAME, read_sums, write_sums
from runtime.atomic import atomic_path, write_text
from runtime.errors import InputError

CARD_NAME = "README.md"
METRICS_NAME = "metrics.json"


def pack_store(
    source: Path,
    out: Path,
    facts: CardFacts,
    *,
    dtype: str = "float16",
    metrics: Path | None = None,
    shard_bytes: float | None = None,
) -> tuple[str, bool]:
    """Write the folder; a video at a time, so memory does not grow with the features.

    Args:
        source: store file, its folder, or a run folder (whose metrics.json is then taken by
            itself).
        out: folder to write; what a killed run of this command left there is written again, or
            completed where it is in shards.
        facts: for the card.
        dtype: "float16" or "float32".
        metrics: evaluation JSON.
        shard_bytes: size at which a shard is full; None: all videos in one file.

    Returns:
        A line for the screen, and whether the features come from random weights.

    Raises:
        InputError: if there is no store or no figures, `out` holds a finished pack (in shards: one
            of other features), or a value does not fit into `dtype`; names the video.
    """
    rows = _packed_rows(out, in_shards=shard_bytes is not None)
    before = dict(rows)
    store = open_store(source)
    metrics = _metrics_file(metrics, source, out if rows else None)
    figures = read_metrics(metrics) if metrics else None
    summary = summarise(*([FeatureStore(out)] if rows else []), store)
    if rows:
        _refuse_other_kind(out, summary, dtype)
    for name, video_ids in _to_write(store, rows, dtype, shard_bytes):
        if shard_bytes is not None:
            refuse_other_shard(out / name, video_ids)
        rows |= {row["video_id"]: row for row in write_shard(store, video_ids, out / name, dtype)}
        write_index(out / INDEX_NAME, rows.values())
    names = shard_names(rows)
    write_text(out / CARD_NAME, render_card(facts, summary, dtype, names, figures))
    if metrics:
        with atomic_path(out / METRICS_NAME) as temporary:
            shutil.copyfile(metrics, temporary)
    beside = [INDEX_NAME, CARD_NAME, *([METRICS_NAME] if metrics else [])]
    write_sums(out, [*names, *beside], known=_sums_of(out, shard_names(before)))
    size_gb = sum((out / name).stat().st_size for name in names) / 1e9
    amount = f"{summary.features:,} features, {size_gb:.3g} GB, {dtype}"
    shards = "" if shard_bytes is None else f", {len(rows) - len(before)} of them new, {len(names)} shards"
    return f"packed {len(rows)} videos{shards}, {amount}: {out}", is_random(summary)


def _to_write(
    store: FeatureStore, rows: Mapping[str, IndexRow], dtype: str, shard_bytes: float | None
) -> list[tuple[str, list[str]]]:
    if shard_bytes is None:
        return [(PACKED_NAME, list(store))]
    lacking = [video_id for video_id in store if video_id not in rows]
    return list(planned_shards(store, lacking, dtype, shard_bytes, taken=shard_names(rows)))


# ---- what is there already


def _packed_rows(out: Path, *, in_shards: bool) -> dict[str, IndexRow]:
    """Return the index of the shards that are there, empty where there are none.

    Raises:
        InputError: if the pack that is there cannot be gone on with.
    """
    index = out / INDEX_NAME
    rows = read_index(index) if index.is_file() else {}
    if in_shards and (out / PACKED_NAME).exists():
        raise InputError(f"{out}: holds a pack in one file, which takes no shards; choose another folder")
    if not in_shards and set(shard_names(rows)) - {PACKED_NAME}:
        raise InputError(
            f"{out}: holds a pack in shards; add to it with --shard-gb, or choose another folder"
        )
    if not in_shards and (out / SUMS_NAME).exists():
        raise InputError(f"{out}: holds a finished pack; remove it, or choose another folder")
    return rows if in_shards else {}


def _metrics_file(given: Path | None, source: Path, packed: Path | None) -> Path | None:
    """The figures that are named, those of the run, or those that the pack has."""
    found = [given] if given else [folder / METRICS_NAME for folder in (source, packed) if folder]
    return next((path for path in found if given or path.is_file()), None)


def _refuse_other_kind(out: Path, summary: StoreSummary, dtype: str) -> None:
    """Refuse to mix types or backbones; grids and channels have been compared."""
    pack = FeatureStore(out)
    first = pack.info(next(iter(pack)))
    if first.dtype != dtype:
        raise InputError(f"{out}: holds features in {first.dtype}; give --dtype {first.dtype}")
    if first.attributes.get("backbone_sha256") != summary.attributes.get("backbone_sha256"):
        raise InputError(
            f"{out}: its features are of another backbone ({first.attributes.get('backbone')}, "
            f"{first.attributes.get('backbone_sha256')}) than some of the new ones; choose another folder"
        )


def _sums_of(out: Path, shards: list[str]) -> dict[str, str]:
    """Recorded sums of shards that were there before: they are not read again."""
    recorded = read_sums(out) if (out / SUMS_NAME).exists() else {}
    return {name: recorded[name] for name in shards if name in recorded}
