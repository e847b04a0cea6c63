"""Outputs of the stage: a file of detections for every subset, and what a submission declares."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from runtime.errors import InputError
from runtime.sections import RunConfig
from runtime.stage import StageRun
from video_datasets.dataset import VideoDataset
from video_datasets.formats import format_of
from video_datasets.predictions import Predictions, select_videos


def declared_levels(config: RunConfig) -> dict[str, int]:
    """Return the supervision levels that a submission in the data set's format declares; most
    declare none.

    Raises:
        InputError: if one is not set.
    """
    levels = {name: getattr(config.classification, name) for name in format_of(config.data).declares}
    unset = [f"classification.{name}" for name, level in levels.items() if level is None]
    if unset:
        raise InputError(
            f"{', '.join(unset)} not set: a submission to the EPIC-KITCHENS-100 challenge declares how much "
            f"supervision went into it, each from 0 to 5; what they mean is in docs/configuration.md. Trained on the "
            f"training subset from weights of public videos: 2, 3 and 3"
        )
    return levels


def write_subsets(
    run: StageRun,
    dataset: VideoDataset,
    detections: Predictions,
    write: Callable[[Path, Predictions], None],
) -> None:
    """Write detections.json for the validation subset, and detections_<subset>.json for each other
    one.

    Args:
        run: of the stage.
        dataset: says which subset a video is in.
        detections: of all subsets.
        write: writes one file.
    """
    videos, validation = dataset.videos, run.config.data.validation_subset
    for subset in {validation} | {videos[video_id].subset for video_id in detections.videos}:
        name = "detections.json" if subset == validation else f"detections_{subset}.json"
        ids = {video_id for video_id in detections.videos if videos[video_id].subset == subset}
        write(run.folder / name, select_videos(detections, ids))
