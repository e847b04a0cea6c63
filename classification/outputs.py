"""What the stage leaves: detections of many videos as one table, one file for every subset, and what it declares."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from runtime.errors import InputError
from runtime.items import Arrays
from runtime.schema import ClassificationConfig
from runtime.stage import StageRun
from video_datasets.dataset import VideoDataset
from video_datasets.predictions import Predictions, select_videos

SUPERVISION = ("sls_pt", "sls_tl", "sls_td")


def supervision_levels(config: ClassificationConfig) -> dict[str, int]:
    """Return the supervision levels that a submission declares.

    Raises:
        InputError: if one is not set.
    """
    levels = {name: getattr(config, name) for name in SUPERVISION}
    unset = [f"classification.{name}" for name, level in levels.items() if level is None]
    if unset:
        raise InputError(
            f"{', '.join(unset)} not set: a submission to the EPIC-KITCHENS-100 challenge declares how much "
            f"supervision went into it, each from 0 to 5; what they mean is in runtime/schema.py. Trained on the "
            f"training subset from weights of public videos: 2, 3 and 3"
        )
    return levels


def detection_table(labels: tuple[str, ...], found: Mapping[str, Arrays]) -> Predictions:
    """Join the detections of many videos.

    Args:
        labels: names of the classes.
        found: video id -> "segments_s" (n, 2), "scores" (n,) and "classes" (n,); {} where there are none.
    """
    counts = [len(arrays["scores"]) if arrays else 0 for arrays in found.values()]
    full = [arrays for arrays in found.values() if arrays]
    segments_s = np.concatenate([np.zeros((0, 2)), *(arrays["segments_s"] for arrays in full)])
    return Predictions(
        videos=tuple(found),
        labels=labels,
        video_index=np.repeat(np.arange(len(found)), counts),
        start_s=segments_s[:, 0],
        end_s=segments_s[:, 1],
        score=np.concatenate([np.zeros(0), *(arrays["scores"] for arrays in full)]),
        label=np.concatenate([np.zeros(0, int), *(arrays["classes"] for arrays in full)]),
    )


def write_subsets(
    run: StageRun,
    dataset: VideoDataset,
    detections: Predictions,
    write: Callable[[Path, Predictions], None],
) -> None:
    """Write detections.json for the validation subset, and detections_<subset>.json for each other one.

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
