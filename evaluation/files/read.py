"""Files of predictions and of ground truth: their format follows from their content, not their
name."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

from evaluation.files.protocols import Protocol
from runtime.errors import InputError
from video_datasets.annotations import AnnotationTable, read_text
from video_datasets.formats import FORMATS
from video_datasets.formats.detections_csv import read_detections_csv
from video_datasets.formats.ek100_csv import EK100_COLUMNS
from video_datasets.formats.tools.table import tool_of
from video_datasets.predictions import Predictions, is_hdf5, read_predictions

HEAD_LINES = 20
"""A CSV may have comments in front of its header."""


def read_predictions_file(path: str | Path, protocol: Protocol) -> Predictions:
    """Read predictions: columnar HDF5, the submission JSON of the protocol (also zipped, as
    packed), or a CSV.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is none of them.
    """
    path = Path(path)
    if is_hdf5(path):
        return read_predictions(path)
    if _is_json(read_text(path)):
        return protocol.format.read_detections(path)
    return read_detections_csv(path)


def is_json_file(path: str | Path) -> bool:
    """Tell whether a file is text that begins as JSON does, plain or compressed."""
    path = Path(path)
    return not is_hdf5(path) and _is_json(read_text(path))


def ground_truth_format(path: str | Path) -> str:
    """Tell the format of annotations, a name of `FORMATS`, by their content.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if they are HDF5 or no text.
    """
    path = Path(path)
    if path.is_dir():
        return _tool_format(path) or _refuse_folder(path)
    if is_hdf5(path):
        raise InputError(
            f"{path}: expected annotations as ground truth, found HDF5 (predictions, or features?)"
        )
    text = read_text(path)
    if _is_json(text):
        return "activitynet" if '"database"' in text else _tool_format(path) or "activitynet"
    if tool := _tool_format(path):
        return tool
    head = " ".join(text.splitlines()[:HEAD_LINES]).lower()
    return "ek100" if EK100_COLUMNS[1] in head else "csv"


def _tool_format(path: Path) -> str | None:
    """The labelling tool that wrote a file or folder; None where none has, or it is damaged."""
    try:
        return tool_of(path).name
    except InputError:
        return None


def _refuse_folder(path: Path) -> NoReturn:
    raise InputError(f"{path}: is a folder; name its format with --format, one of {', '.join(FORMATS)}")


def read_ground_truth(
    path: str | Path, protocol: Protocol, format_name: str | None = None
) -> AnnotationTable:
    """Read annotations in any format whose labels the protocol can score.

    Args:
        path: the file, or the folder of a format that has one.
        protocol: that scores them.
        format_name: a name of `FORMATS`; None: as the content says.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it cannot be read, or has other classes than the protocol: verbs and nouns,
            or labels.
    """
    name = format_name or ground_truth_format(path)
    if FORMATS[name].tasks != protocol.format.tasks:
        raise InputError(
            f"{path}: found {FORMATS[name].title}, but protocol {protocol.name} scores"
            f" {protocol.format.title} ({', '.join(protocol.format.tasks)})"
        )
    return FORMATS[name].read(path)


def _is_json(text: str) -> bool:
    return text.lstrip()[:1] in ("{", "[")
