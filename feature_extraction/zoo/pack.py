"""A finished store becomes a folder to publish.

DIR/features.hdf5   all videos, float16 or float32; the name lets ActionFormer's anet.py open it as it is
DIR/README.md       the card
DIR/index.csv       a line a video: features, channels, duration, source, SHA-256 of its values
DIR/metrics.json    what was reached with these features, where known
DIR/SHA256SUMS      of all of them; written last, so a folder without it is not finished
"""

from __future__ import annotations

import shutil
from pathlib import Path

from feature_extraction.store import FeatureStore, add_video
from feature_extraction.zoo.card import CardFacts, is_random, read_metrics, render_card
from feature_extraction.zoo.index import INDEX_NAME, SUMS_NAME, IndexRow, index_row, write_index, write_sums
from feature_extraction.zoo.summary import PACKED_NAME, open_store, summarise
from runtime.atomic import atomic_path, write_text
from runtime.errors import InputError
from runtime.hdf5 import writing_hdf5
from runtime.progress import progress

CARD_NAME = "README.md"
METRICS_NAME = "metrics.json"


def pack_store(
    source: Path, out: Path, facts: CardFacts, *, dtype: str = "float16", metrics: Path | None = None
) -> tuple[str, bool]:
    """Write the folder; a video at a time, so memory does not grow with the store.

    Args:
        source: store file, its folder, or a run folder (whose metrics.json is then taken by
            itself).
        out: folder to write; what a killed run of this command left there is written again.
        facts: for the card.
        dtype: "float16" or "float32".
        metrics: evaluation JSON.

    Returns:
        A line for the screen, and whether the features come from random weights.

    Raises:
        InputError: if there is no store or no figures, `out` holds a finished pack, or a value does
            not fit into `dtype`; names the video.
    """
    if (out / SUMS_NAME).exists():
        raise InputError(f"{out}: holds a finished pack; remove it, or choose another folder")
    store = open_store(source)
    if metrics is None and (source / METRICS_NAME).is_file():
        metrics = source / METRICS_NAME
    figures = read_metrics(metrics) if metrics else None
    summary = summarise(store)
    rows = _write_features(store, out / PACKED_NAME, dtype)
    write_index(out / INDEX_NAME, rows)
    write_text(out / CARD_NAME, render_card(facts, summary, dtype, PACKED_NAME, figures))
    names = [PACKED_NAME, INDEX_NAME, CARD_NAME]
    if metrics:
        with atomic_path(out / METRICS_NAME) as temporary:
            shutil.copyfile(metrics, temporary)
        names.append(METRICS_NAME)
    write_sums(out, names)
    size_gb = (out / PACKED_NAME).stat().st_size / 1e9
    line = f"packed {len(rows)} videos, {summary.features:,} features, {size_gb:.3g} GB, {dtype}: {out}"
    return line, is_random(summary)


def _write_features(store: FeatureStore, path: Path, dtype: str) -> list[IndexRow]:
    rows = []
    with writing_hdf5(path) as file:
        for video_id in progress(store, description="pack", total=len(store), unit="video"):
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
            rows.append(index_row(file, video_id))
    return rows
