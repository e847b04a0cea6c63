"""Members of a comparison: files of detections, or whole runs with their settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from evaluation.files.evaluate import subset_of
from evaluation.files.protocols import Protocol, protocol_named, protocol_of_format
from evaluation.files.read import ground_truth_format, read_ground_truth, read_predictions_file
from evaluation.run import DETECTIONS, run_protocol
from runtime.config import config_to_dict, flatten, load_config
from runtime.errors import InputError
from runtime.sections import RunConfig
from video_datasets.annotations import AnnotationTable
from video_datasets.dataset import read_annotations
from video_datasets.predictions import Predictions

CONFIG_NAME = "config.yaml"
NOT_SET = "not set"


@dataclass(frozen=True, eq=False)
class Compared:
    """Detections with what they are scored by.

    Attributes:
        truth: annotations of all subsets.
        subset: which videos count.
        protocol: of the first run, or as asked for.
        predictions: of each file or run.
        settings: key -> its value in each run, where they differ; None where a file is not a run's.
    """

    truth: AnnotationTable
    subset: str
    protocol: Protocol
    predictions: tuple[Predictions, ...]
    settings: dict[str, list[Any]] = field(default_factory=dict)


def collect_members(paths: Sequence[Path], **asked: Any) -> Compared:
    """Read files of detections or folders of runs; what is not given follows from the first run.

    Args:
        paths: files and folders.
        asked: as `how_scored` takes it.

    Raises:
        FileNotFoundError: if something is not there.
        InputError: if there is neither a ground truth nor a run, or a file cannot be read.
    """
    compared = how_scored(paths, **asked)
    found = tuple(read_predictions_file(_detections(path), compared.protocol) for path in paths)
    return replace(compared, predictions=found)


def how_scored(
    paths: Sequence[Path],
    *,
    ground_truth: Path | None = None,
    ground_truth_format_name: str | None = None,
    protocol_name: str | None = None,
    tious: str = "",
    subset: str | None = None,
) -> Compared:
    """Return what files or runs are scored by, before any predictions are read; raises as
    `collect_members`."""
    configs = [_config(path) for path in paths]
    first = next((config for config in configs if config is not None), None)
    if protocol_name is None and first is not None:
        protocol = run_protocol(first).at(tious) if tious else run_protocol(first)
    else:
        if protocol_name is None and ground_truth is not None:
            protocol_name = protocol_of_format(ground_truth_format_name or ground_truth_format(ground_truth))
        protocol = protocol_named(protocol_name or "hacs", tious)
    if ground_truth is not None:
        truth = read_ground_truth(ground_truth, protocol, ground_truth_format_name)
    elif first is not None:
        truth, subset = read_annotations(first.data), subset or first.data.validation_subset
    else:
        raise InputError("give --ground-truth, or at least one folder of a run, which names its own")
    return Compared(truth, subset or subset_of(truth, protocol), protocol, (), differing_settings(configs))


def _config(path: Path) -> RunConfig | None:
    if not path.is_dir():
        return None
    if not (path / CONFIG_NAME).is_file():
        raise InputError(f"{path}: no {CONFIG_NAME}; expected the folder of a run, or a file of detections")
    return load_config(path / CONFIG_NAME)


def _detections(path: Path) -> Path:
    return path.joinpath(*DETECTIONS) if path.is_dir() else path


def differing_settings(configs: Sequence[RunConfig | None]) -> dict[str, list[Any]]:
    """Return the settings in which runs differ, but for the folder: key -> value in each; None
    for no run."""
    flat = [None if config is None else flatten(config_to_dict(config)) for config in configs]
    keys = dict.fromkeys(key for values in flat if values for key in values if key != "run_dir")
    found = {}
    for key in keys:
        row = [None if values is None else _said(values.get(key, NOT_SET)) for values in flat]
        if len({str(value) for value in row if value is not None}) > 1:
            found[key] = row
    return found


def _said(value: Any) -> Any:
    """A setting that is null is one, too."""
    return "null" if value is None else value
