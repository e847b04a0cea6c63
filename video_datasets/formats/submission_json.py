"""Detections and proposals in the submission format of ActivityNet and HACS.

{"version": "VERSION 1.3", "results": {"<video id>": [{"label": .., "score": .., "segment": [start,
end]}, ..]},
 "external_data": {}}
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from video_datasets.annotations import read_json_object, short_repr
from video_datasets.formats.submission_entries import (
    EntryFormat,
    checked_predictions,
    read_entries,
    write_entries,
)
from video_datasets.predictions import Predictions


def _text_label(label: Any) -> str:
    if not isinstance(label, str):
        raise ValueError(f"'label' must be text, found {short_repr(label)}")
    return label


ACTIVITYNET_ENTRY = EntryFormat({"label": _text_label}, (frozenset({str}),), str, optional=True)


def read_detections_json(path: str | Path) -> Predictions:
    """Read detections or proposals in this format.

    Only `results` is required. Entries without a label are proposals. Numbers may stand in quotes.
    NaN and infinity are let through.

    Args:
        path: JSON file, plain or gzip.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if something is missing or unreadable; the message lists every bad entry by
            video and number (the first 20, and how many there are).
    """
    path = Path(path)
    return checked_predictions(path, *read_entries(read_json_object(path), ACTIVITYNET_ENTRY))


def write_detections_json(
    path: str | Path,
    predictions: Predictions,
    *,
    version: str = "VERSION 1.3",
    external_data: Mapping[str, Any] | None = None,
) -> None:
    """Write detections (or proposals) in this format, whole or not at all.

    Rows are grouped by video in the order of the table of videos and keep their order within a
    video. Ids lose the "v_" of feature files.

    Args:
        path: JSON file to write.
        predictions: rows without a label are written without one.
        version: `version` of the header.
        external_data: `external_data` of the header, {} by default.

    Raises:
        ValueError: if a number is NaN or infinite (JSON has neither).
    """
    labels: list[dict[str, Any]] = [{"label": name} for name in predictions.labels] + [{}]
    header = {"version": version, "results": {}, "external_data": dict(external_data or {})}
    write_entries(path, header, predictions, labels)
