"""Proposals and detections in bulk: one record of columns, one HDF5 layout, and the official JSON formats.

EPIC-KITCHENS-100 rows carry one label "verb,noun" (e.g. "3,12"), from which the verb, the noun and the action
follow (`ek100_labels`), so one file serves the three tasks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from runtime.atomic import atomic_path
from runtime.errors import InputError
from video_datasets.annotations import read_json_object, short_repr
from video_datasets.formats.ek100_labels import action_name, split_label
from video_datasets.submission_entries import (
    ACTIVITYNET_ENTRY,
    EK100_ENTRY,
    NO_LABEL,
    EntryColumns,
    error_list,
    read_entries,
)

HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
HDF5_FORMAT = "tadaloc predictions 1"
COLUMN_TYPES = {
    "video_index": np.int32,
    "start_s": np.float64,
    "end_s": np.float64,
    "score": np.float64,
    "label": np.int32,
}
EK100_VERSION = "0.2"
# Feature files of ActivityNet and HACS are called v_<YouTube id>, submissions name the id alone.
PREFIXED_YOUTUBE_ID = re.compile(r"v_[\w-]{11}")


@dataclass(frozen=True, eq=False)
class Predictions:
    """Proposals or detections of many videos, as columns of equal length N.

    Rows keep the order of the file: of two equal scores the official metrics rank the later row first.

    Attributes:
        videos: table of video ids; may hold videos without rows.
        labels: table of labels; empty for proposals.
        video_index: (N,) int32, position in `videos`.
        start_s: (N,) float64.
        end_s: (N,) float64.
        score: (N,) float64, higher is better.
        label: (N,) int32, position in `labels`, -1 for none.
    """

    videos: tuple[str, ...]
    labels: tuple[str, ...]
    video_index: np.ndarray
    start_s: np.ndarray
    end_s: np.ndarray
    score: np.ndarray
    label: np.ndarray

    def __post_init__(self) -> None:
        """Convert the columns to their types and check that they fit together.

        Raises:
            InputError: if lengths differ or an index points outside its table.
        """
        for name, dtype in COLUMN_TYPES.items():
            object.__setattr__(self, name, np.asarray(getattr(self, name), dtype=dtype))
        shapes = {name: getattr(self, name).shape for name in COLUMN_TYPES}
        if len(set(shapes.values())) != 1 or self.score.ndim != 1:
            raise InputError(f"predictions: expected columns of one length, found shapes {shapes}")
        _check_indices(self.video_index, "video_index", "videos", 0, len(self.videos))
        _check_indices(self.label, "label", "labels", NO_LABEL, len(self.labels))

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.score)


def _check_indices(column: np.ndarray, name: str, table: str, lowest: int, size: int) -> None:
    bad = np.flatnonzero((column < lowest) | (column >= size))
    if bad.size:
        raise InputError(
            f"predictions: {name}[{bad[0]}] is {column[bad[0]]}, but the table '{table}' has {size} entries"
        )


def select_videos(predictions: Predictions, video_ids: Collection[str]) -> Predictions:
    """Keep some videos and their rows, in the order of the file."""
    keep = np.array([video in video_ids for video in predictions.videos], dtype=bool)
    rows = np.flatnonzero(keep[predictions.video_index])
    number = np.cumsum(keep) - 1
    return replace(
        predictions,
        videos=tuple(video for video, kept in zip(predictions.videos, keep, strict=True) if kept),
        video_index=number[predictions.video_index[rows]],
        start_s=predictions.start_s[rows],
        end_s=predictions.end_s[rows],
        score=predictions.score[rows],
        label=predictions.label[rows],
    )


def write_predictions(path: str | Path, predictions: Predictions) -> None:
    """Write proposals or detections to one columnar HDF5 file, whole or not at all.

    Layout: datasets video_index, start_s, end_s, score, label and the string tables videos, labels.
    """
    import h5py  # here, since commands on JSON files should start without it

    with atomic_path(Path(path)) as temporary, h5py.File(temporary, "w") as file:
        file.attrs["format"] = HDF5_FORMAT
        for name in COLUMN_TYPES:
            file[name] = getattr(predictions, name)
        for name in ("videos", "labels"):
            file.create_dataset(name, data=list(getattr(predictions, name)), dtype=h5py.string_dtype())


def read_predictions(path: str | Path) -> Predictions:
    """Read what `write_predictions` wrote.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is not such a file.
    """
    import h5py

    path = Path(path)
    if not is_hdf5(path):
        raise InputError(f"{path}: expected an HDF5 file of predictions, found another format")
    try:
        with h5py.File(path, "r") as file:
            columns = {name: file[name][()] for name in COLUMN_TYPES}
            videos, labels = (tuple(file[name].asstr()[()]) for name in ("videos", "labels"))
    except KeyError as error:
        raise InputError(
            f"{path}: a dataset is missing ({error}); expected {', '.join(COLUMN_TYPES)}, videos and labels"
        ) from None
    except OSError as error:
        raise InputError(f"{path}: damaged HDF5 file ({error}); write it again") from None
    return Predictions(videos, labels, **columns)


def is_hdf5(path: Path) -> bool:
    """Tell an HDF5 file by its first bytes.

    Raises:
        FileNotFoundError: if there is no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    with path.open("rb") as file:
        return file.read(len(HDF5_MAGIC)) == HDF5_MAGIC


def read_detections_json(path: str | Path) -> Predictions:
    """Read detections or proposals in the ActivityNet/HACS submission format.

    Only `results` is required: {video id: [{"label": .., "score": .., "segment": [start, end]}, ..]}. Entries
    without a label are proposals. Numbers may stand in quotes. NaN and infinity are let through.

    Args:
        path: JSON file, plain or gzip.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if something is missing or unreadable; the message lists every bad entry by video and
            number (the first 20, and how many there are).
    """
    path = Path(path)
    columns, errors = read_entries(read_json_object(path), ACTIVITYNET_ENTRY)
    return _to_predictions(path, columns, errors)


def read_ek100_json(path: str | Path) -> Predictions:
    """Read detections in the EPIC-KITCHENS-100 challenge format, version "0.2".

    Each entry has verb, noun, action "v,n", score and segment. Classes must be whole numbers in range, as the
    official validator demands; the rest of the header is not looked at (`python -m evaluation.check` does).

    Args:
        path: JSON file, plain or gzip.

    Returns:
        Predictions with labels "verb,noun" (see the head of this module).

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: as `read_detections_json`.
    """
    path = Path(path)
    content = read_json_object(path)
    columns, errors = read_entries(content, EK100_ENTRY)
    return _to_predictions(path, columns, ek100_version_errors(content) + errors)


def ek100_version_errors(content: dict[str, Any]) -> list[str]:
    """Say what is wrong with the version of an EPIC-KITCHENS-100 submission; nothing if it is right."""
    found = content.get("version")
    if found == EK100_VERSION:
        return []
    return [f'expected "version": "{EK100_VERSION}" (text, not a number), found {short_repr(found)}']


def _to_predictions(path: Path, columns: EntryColumns | None, errors: list[str]) -> Predictions:
    if columns is None or errors:
        raise InputError(error_list(str(path), errors))
    return Predictions(**vars(columns))


def write_detections_json(
    path: str | Path,
    predictions: Predictions,
    *,
    version: str = "VERSION 1.3",
    external_data: dict[str, Any] | None = None,
) -> None:
    """Write detections (or proposals) in the ActivityNet/HACS submission format, whole or not at all.

    Rows are grouped by video in the order of the table of videos and keep their order within a video.
    Ids lose the "v_" of feature files.

    Args:
        path: JSON file to write.
        predictions: rows without a label are written without one.
        version: `version` of the header.
        external_data: `external_data` of the header, {} by default.

    Raises:
        ValueError: if a number is NaN or infinite (JSON has neither).
    """
    labels = [{"label": name} for name in predictions.labels] + [{}]  # [-1] serves rows without a label
    results = _group_by_video(predictions, labels)
    _write_json(path, {"version": version, "results": results, "external_data": external_data or {}})


def write_ek100_json(
    path: str | Path, predictions: Predictions, *, sls_pt: int, sls_tl: int, sls_td: int
) -> None:
    """Write detections in the EPIC-KITCHENS-100 challenge format, version "0.2", whole or not at all.

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
    results = _group_by_video(predictions, [_ek100_fields(label) for label in predictions.labels])
    levels = {"sls_pt": sls_pt, "sls_tl": sls_tl, "sls_td": sls_td}
    header = {"version": EK100_VERSION, "challenge": "action_detection", **levels}
    _write_json(path, {**header, "results": results})


def _ek100_fields(label: str) -> dict[str, Any]:
    verb, noun, action = split_label(label)
    return {"verb": verb, "noun": noun, "action": action_name(action)}


def _group_by_video(
    predictions: Predictions, fields: list[dict[str, Any]]
) -> dict[str, list[dict[str, Any]]]:
    """Entries per video, plain Python numbers; `fields[label]` are the parts that depend on the label."""
    ids = [id[2:] if PREFIXED_YOUTUBE_ID.fullmatch(id) else id for id in predictions.videos]
    results: dict[str, list[dict[str, Any]]] = {id: [] for id in ids}
    columns = (getattr(predictions, name).tolist() for name in COLUMN_TYPES)
    for video, start_s, end_s, score, label in zip(*columns, strict=True):
        results[ids[video]].append({**fields[label], "score": score, "segment": [start_s, end_s]})
    return results


def _write_json(path: str | Path, content: dict[str, Any]) -> None:
    with atomic_path(Path(path)) as temporary, temporary.open("w", encoding="utf-8") as file:
        json.dump(content, file, allow_nan=False, ensure_ascii=False)
