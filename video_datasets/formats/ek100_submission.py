"""Detections in the format of the EPIC-KITCHENS-100 detection challenge, version "0.2".

    {"version": "0.2", "challenge": "action_detection", "sls_pt": 2, "sls_tl": 3, "sls_td": 3,
     "results": {"P01_11": [{"verb": 3, "noun": 12, "action": "3,12", "score": .., "segment":
     [start, end]}, ..]}}

Source: epic-kitchens/C2-Action-Detection.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from runtime.errors import InputError
from video_datasets.annotations import read_json_object, short_repr
from video_datasets.formats.ek100_labels import (
    action_classes,
    action_name,
    join_classes,
    noun_class,
    split_label,
    verb_class,
)
from video_datasets.formats.submission_entries import (
    NUMBERS,
    EntryFormat,
    checked_predictions,
    read_entries,
    write_entries,
)
from video_datasets.predictions import NO_LABEL, Predictions

EK100_VERSION = "0.2"
EK100_ENTRY = EntryFormat(
    {"verb": verb_class, "noun": noun_class, "action": action_classes},
    (NUMBERS, NUMBERS, frozenset({str})),
    join_classes,
    optional=False,
)


def read_ek100_json(path: str | Path) -> Predictions:
    """Read detections in this format.

    Classes must be whole numbers in range, as the official validator demands; the rest of the
    header is not looked at (`python -m evaluation.check` does).

    Args:
        path: JSON file, plain or gzip.

    Returns:
        Predictions with labels "verb,noun" (see `ek100_labels`).

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if something is missing or unreadable; the message lists every bad entry by
            video and number (the first 20, and how many there are).
    """
    path = Path(path)
    content = read_json_object(path)
    found, errors = read_entries(content, EK100_ENTRY)
    return checked_predictions(path, found, ek100_version_errors(content) + errors)


def ek100_version_errors(content: dict[str, Any]) -> list[str]:
    """Say what is wrong with the version of an EPIC-KITCHENS-100 submission; nothing if it is
    right."""
    found = content.get("version")
    if found == EK100_VERSION:
        return []
    return [f'expected "version": "{EK100_VERSION}" (text, not a number), found {short_repr(found)}']


def write_ek100_json(
    path: str | Path, predictions: Predictions, *, sls_pt: int, sls_tl: int, sls_td: int
) -> None:
    """Write detections in this format, whole or not at all.

    Args:
        path: JSON file to write.
        predictions: labels are "verb,noun".
        sls_pt: supervision level of pre-training, 0 to 5.
        sls_tl: supervision level of training labels, 0 to 5.
        sls_td: supervision level of training data, 0 to 5.

    Raises:
        InputError: if a row has no label, or a label is not "verb,noun".
        ValueError: if a number is NaN or infinite (JSON has neither).
    """
    unlabelled = np.flatnonzero(predictions.label == NO_LABEL)
    if unlabelled.size:
        raise InputError(f"{path}: row {unlabelled[0]} has no label; EPIC-KITCHENS-100 needs 'verb,noun'")
    levels = {"sls_pt": sls_pt, "sls_tl": sls_tl, "sls_td": sls_td}
    header = {"version": EK100_VERSION, "challenge": "action_detection", **levels}
    write_entries(path, header, predictions, [_fields(label) for label in predictions.labels])


def _fields(label: str) -> dict[str, Any]:
    verb, noun, action = split_label(label)
    return {"verb": verb, "noun": noun, "action": action_name(action)}
