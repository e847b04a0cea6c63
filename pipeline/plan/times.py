"""Hours of the stages of a run that are still to do: items, times the seconds of a measured
step."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runtime.sections import RunConfig
from video_datasets.dataset import VideoDataset
from video_datasets.time_grid import num_grid_frames

if TYPE_CHECKING:
    from tadaconv import VideoNetwork

FORWARD_SHARE = 1 / 3
"""Of a training step that is its forward pass; the backward pass costs about twice as much."""
MEASURED = ("finetune", "features", "bmn", "one_stage")


@dataclass(frozen=True)
class Amounts:
    """What the stages have to work off.

    Attributes:
        clips: training clips of an epoch.
        validation_clips: of a validation.
        features: of all videos on disk.
        trained_videos: labelled training videos on disk.
        windows: of BMN in them; where it sees whole videos, as many as videos.
        rows: features of the longest training video.
    """

    clips: int
    validation_clips: int
    features: int
    trained_videos: int
    windows: int
    rows: int


def amounts(dataset: VideoDataset, config: RunConfig, durations_s: Mapping[str, float]) -> Amounts:
    """Count the work; videos of unknown duration count as the median of the others.

    Args:
        durations_s: of some videos at least.
    """
    from bmn.windows import window_grid

    usual_s = statistics.median(durations_s.values()) if durations_s else 60.0
    imported = config.features.store is not None
    present = [video for video in dataset.videos.values() if imported or video.path is not None]
    lengths_s = {video.video_id: durations_s.get(video.video_id, usual_s) for video in present}
    counts = {
        name: config.grid.num_features(num_grid_frames(length_s, config.grid.fps))
        for name, length_s in lengths_s.items()
    }
    trained = [video for video in present if video.subset == config.data.training_subset and video.segments]
    validated = [video for video in present if video.subset == config.data.validation_subset]
    windows = window_grid(config.bmn, config.grid)
    return Amounts(
        clips=sum(len(video.segments) for video in trained) * config.finetune.clips_per_segment,
        validation_clips=sum(len(video.segments) for video in validated),
        features=sum(counts.values()),
        trained_videos=len(trained),
        windows=sum(
            len(windows.first_cells(lengths_s[video.video_id], counts[video.video_id])) if windows else 1
            for video in trained
        ),
        rows=max((counts[video.video_id] for video in trained), default=1),
    )


def stage_seconds(
    todo: Collection[str],
    dataset: VideoDataset,
    config: RunConfig,
    work: Amounts,
    model: VideoNetwork | None,
    channels: int,
) -> dict[str, float]:
    """Return the estimated seconds of each stage of `todo` that can be measured; decoding is not in
    them.

    Args:
        model: the network, None where features are imported.
        channels: of the features.
    """
    from pipeline.plan import steps
    from training.device import prepare_device

    device = prepare_device(config.runtime)
    found: dict[str, float] = {}
    if "finetune" in todo and model is not None:
        settings = config.finetune
        validations = -(-settings.epochs // settings.validate_every_epochs)
        clips = settings.epochs * work.clips + FORWARD_SHARE * validations * work.validation_clips
        found["finetune"] = clips * steps.clip_training_s(model, config, device)
    if "features" in todo and model is not None:
        found["features"] = work.features * steps.clip_features_s(model, config, device)
    if "bmn" in todo:
        items = config.bmn.epochs * work.windows
        found["bmn"] = items * steps.bmn_training_s(channels, config, device)
    if "one_stage" in todo:
        items = config.one_stage.epochs * work.trained_videos
        rows = min(work.rows, config.one_stage.max_length)
        found["one_stage"] = items * steps.one_stage_training_s(channels, rows, dataset, config, device)
    return found


def in_words(seconds: float) -> str:
    """Return a length of time in the unit that fits.

    >>> in_words(7), in_words(150), in_words(9000)
    ('7 s', '2.5 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def estimate_line(seconds: Mapping[str, float]) -> str:
    """Say estimated seconds by stage in a line; empty for none.

    >>> estimate_line({"finetune": 150, "features": 30})
    'time: about 3.0 min without decoding (finetune 2.5 min, features 30 s)'
    """
    parts = ", ".join(f"{name} {in_words(value)}" for name, value in seconds.items())
    return f"time: about {in_words(sum(seconds.values()))} without decoding ({parts})" if seconds else ""
