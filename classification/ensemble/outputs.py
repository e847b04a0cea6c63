"""The file of an ensemble's detections."""

from __future__ import annotations

from pathlib import Path

from classification.classify import write_checked
from classification.ensemble.classes import run_config
from classification.outputs import declared_levels
from runtime.errors import InputError
from video_datasets.dataset import load_dataset
from video_datasets.predictions import Predictions, write_predictions


def write_ensemble(path: Path, detections: Predictions, first: Path) -> None:
    """Write detections: `.json` as the submission of the first member's data set, else HDF5.

    Args:
        path: to write.
        detections: of the ensemble.
        first: member; for a submission the folder of a run, which says what it declares.

    Raises:
        InputError: if a submission has no run that says its format and levels, or breaks a rule of
            the challenge.
    """
    if path.suffix.lower() != ".json":
        write_predictions(path, detections)
        return
    if not first.is_dir():
        raise InputError(
            f"{path}: a submission needs a run as the first member, found {first}; write FILE.h5"
        )
    config = run_config(first)
    dataset = load_dataset(config.data, for_training=False)
    write_checked(path, detections, dataset, declared_levels(config))
