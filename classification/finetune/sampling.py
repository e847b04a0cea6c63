"""Frames of a training clip: every few frames from somewhere in a segment, or one of each of T
parts.

    grid frames of a segment     |.................................................|      first ... stop - 1
    by interval                        0   8   16  24  32  40  48  56                     `clip_frames`
    by segments (T = 8)             0     |  1    | 2    |    3 |  4 |     5| 6     |7    `spread_frames`

By interval, the clip is one stretch of real time (`TimeGrid.clip_steps`: true steps of 8, or of 9
as in the released code), wherever `position` puts it. By segments (TSN, ECCV 2016, Sec. 3.1; the
paper's Something-Something), the clip always covers the whole labelled segment and `position` moves
the frames inside their parts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from video_datasets.dataset import Segment
from video_datasets.time_grid import TimeGrid, seconds_to_frames


def segment_frames(grid: TimeGrid, segment: Segment, num_frames: int) -> tuple[int, int]:
    """Return the grid frames [first, stop) of a segment, at least one of them inside the video."""
    first = min(int(seconds_to_frames(segment.start_s, grid.fps)), num_frames - 1)
    stop = -int(seconds_to_frames(-segment.end_s, grid.fps))  # rounded up: a frame begun is on screen
    return first, min(max(stop, first + 1), num_frames)


def clip_frames(
    grid: TimeGrid, segment: Segment, num_frames: int, position: float, start_step: int = 1
) -> np.ndarray:
    """Return the grid frames of one clip of a segment, sampled by interval.

    A segment shorter than a clip has the clip around its middle.

    Args:
        grid: gives the spacing of the clip's frames.
        segment: labelled stretch, in seconds.
        num_frames: N, frames of the video's grid.
        position: where in the segment, 0 (clip starts with the segment) to 1 (clip ends with it).
        start_step: the start is rounded down to a multiple of this.

    Returns:
        Integer array (clip_frames,), edge frames of the video repeated.
    """
    first, stop = segment_frames(grid, segment, num_frames)
    spare = stop - first - grid.clip_span_frames
    start = first + round(position * spare) if spare >= 0 else first + spare // 2
    start -= start % start_step
    last = (num_frames - 1) // start_step * start_step
    return np.clip(start + grid.clip_steps, 0, last)


def spread_frames(
    grid: TimeGrid, segment: Segment, num_frames: int, position: ArrayLike, start_step: int = 1
) -> np.ndarray:
    """Return one grid frame of each of `clip_frames` equal parts of a segment.

    Args:
        grid: gives the number of frames of a clip.
        segment: labelled stretch, in seconds.
        num_frames: N, frames of the video's grid.
        position: where in its part each frame lies, 0 to 1: one number, or shape (clip_frames,).
        start_step: frames are rounded down to multiples of this.

    Returns:
        Integer array (clip_frames,), not decreasing; a segment of fewer frames repeats some.

    >>> spread_frames(TimeGrid(30, 16, clip_frames=4), Segment(1.0, 3.0, "run"), 300, 0.5)
    array([37, 52, 67, 82])
    """
    first, stop = segment_frames(grid, segment, num_frames)
    parts = np.arange(grid.clip_frames) + np.asarray(position, dtype=np.float64)
    frames = first + np.floor(parts * (stop - first) / grid.clip_frames).astype(np.int64)
    frames = np.minimum(frames, stop - 1)  # position 1 of the last part
    return frames - frames % start_step


def view_positions(count: int, sampling: str) -> list[float]:
    """Return the positions of a segment's test clips, for `clip_frames` or `spread_frames`.

    One clip lies in the middle. Several lie as in the released code (TAdaConv,
    datasets/base/base_dataset.py), which the published accuracies were measured with: by interval
    they start at 0, 1/n, ... (n - 1)/n of the room there is, so that none reaches the end; by
    segments at 1/n, 2/n, ... 1 of each part, so that the last clip ends with the segment.

    >>> view_positions(4, "interval"), view_positions(2, "segments"), view_positions(1, "interval")
    ([0.0, 0.25, 0.5, 0.75], [0.5, 1.0], [0.5])
    """
    if count == 1:
        return [0.5]
    first = 1 if sampling == "segments" else 0
    return [(index + first) / count for index in range(count)]
