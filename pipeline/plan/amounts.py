"""What the stages of a run have to work off, counted from annotations and headers."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from runtime.sections import RunConfig
from video_datasets.dataset import Video, VideoDataset
from video_datasets.time_grid import num_grid_frames


@dataclass(frozen=True)
class Amounts:
    """What the stages have to work off.

    Attributes:
        segments: labelled ones of the training videos on disk.
        validation_segments: of the validation videos on disk.
        video_s: seconds of all videos on disk.
        features: of them.
        training_videos: labelled ones on disk.
        training_video_s: their seconds.
        validation_videos: on disk.
        windows: of BMN in the training videos; where it sees whole videos, as many as these.
        validation_windows: likewise.
        rows: features of the longest training video.
        judged_videos: those outside the training subset, for which there will be proposals.
        judged_windows: of BMN in them.
        judged_features: of them.
    """

    segments: int
    validation_segments: int
    video_s: float
    features: int
    training_videos: int
    training_video_s: float
    validation_videos: int
    windows: int
    validation_windows: int
    rows: int
    judged_videos: int
    judged_windows: int
    judged_features: int


def amounts(dataset: VideoDataset, config: RunConfig, durations_s: Mapping[str, float]) -> Amounts:
    """Count the work; videos of unknown duration count as the median of the others.

    Args:
        durations_s: of some videos at least.
    """
    usual_s = statistics.median(durations_s.values()) if durations_s else 60.0
    imported = config.features.store is not None
    present = [video for video in dataset.videos.values() if imported or video.path is not None]
    lengths_s = {video.video_id: durations_s.get(video.video_id, usual_s) for video in present}
    counts = {
        name: config.grid.num_features(num_grid_frames(length_s, config.grid.fps))
        for name, length_s in lengths_s.items()
    }
    windows_of = _window_counter(config)
    windows = {name: windows_of(lengths_s[name], counts[name]) for name in counts}
    trained = [video for video in present if video.subset == config.data.training_subset and video.segments]
    validated = [video for video in present if video.subset == config.data.validation_subset]
    judged = [video for video in present if video.subset != config.data.training_subset]

    def total(values: Mapping[str, float], videos: list[Video]) -> float:
        return sum(values[video.video_id] for video in videos)

    return Amounts(
        segments=sum(len(video.segments) for video in trained),
        validation_segments=sum(len(video.segments) for video in validated),
        video_s=sum(lengths_s.values()),
        features=sum(counts.values()),
        training_videos=len(trained),
        training_video_s=total(lengths_s, trained),
        validation_videos=len(validated),
        windows=int(total(windows, trained)),
        validation_windows=int(total(windows, validated)),
        rows=max((counts[video.video_id] for video in trained), default=1),
        judged_videos=len(judged),
        judged_windows=int(total(windows, judged)),
        judged_features=int(total(counts, judged)),
    )


def _window_counter(config: RunConfig) -> Callable[[float, int], int]:
    """What counts BMN's windows in a video of some seconds and features."""
    from bmn.windows import window_grid

    windows = window_grid(config.bmn, config.grid)
    if windows is None:
        return lambda duration_s, count: 1
    return lambda duration_s, count: len(windows.first_cells(duration_s, count))
