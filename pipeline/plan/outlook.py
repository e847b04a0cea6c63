"""What the plan of a run says of its segments and of the disk."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from evaluation.files.evaluate import select_subset
from evaluation.run import run_protocol
from pipeline.plan.amounts import Amounts
from pipeline.reach_section import measure_reach
from runtime.sections import RunConfig
from video_datasets.dataset import VideoDataset, read_annotations
from video_datasets.notes import read_lengths
from video_datasets.reach import recall_bound
from video_datasets.watched import take_stretches

if TYPE_CHECKING:
    from tadaconv import VideoNetwork

COPIES_OF_WEIGHTS = 5
"""That finetuning leaves: the weights, the best ones, and a checkpoint with two moments for
each."""


def known_durations(dataset: VideoDataset) -> dict[str, float]:
    """Return the durations of videos as annotated, or of some of the others as their headers
    say."""
    annotated = {name: video.duration_s for name, video in dataset.videos.items() if video.duration_s > 0}
    others = [video for name, video in dataset.videos.items() if name not in annotated]
    return annotated | {name: length.duration_s for name, length in read_lengths(others).items()}


def recall_bounds(
    config: RunConfig, durations_s: Mapping[str, float]
) -> tuple[tuple[float, ...], dict[str, NDArray[np.float64]], int]:
    """Return the protocol's tIoUs, the best possible recall at each, and how many segments were
    looked at.

    Args:
        durations_s: by video; segments of other videos are not looked at.
    """
    annotations, _ = take_stretches(read_annotations(config.data))
    truth = select_subset(annotations, config.data.validation_subset)
    lengths = np.array([durations_s.get(name, np.nan) for name in truth.video_ids])
    reach = measure_reach(config, dataclasses.replace(truth, durations_s=lengths), None)
    known = ~np.isnan(reach.lengths)
    tious = run_protocol(config).tiou_thresholds
    bounds = {
        name: recall_bound(best[known], np.array(tious)) for name, best in reach.best.items() if known.any()
    }
    return tuple(tious), bounds, int(known.sum())


def bytes_left(
    todo: Collection[str], config: RunConfig, work: Amounts, model: VideoNetwork | None, channels: int
) -> int:
    """Return about how many bytes the stages of `todo` leave, without a frame cache."""
    total = 0
    if "finetune" in todo and model is not None:
        total += COPIES_OF_WEIGHTS * 4 * sum(weights.numel() for weights in model.parameters())
    if "features" in todo and model is not None:
        total += work.features * (channels * (2 if config.features.dtype == "float16" else 4) + 8)
    return total


def bytes_free(folder: Path) -> int:
    """Return the free bytes of the disk that a folder, which need not exist yet, will be on."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    return shutil.disk_usage(there).free
