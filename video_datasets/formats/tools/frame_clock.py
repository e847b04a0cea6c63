"""Clock of a video's frames: between seconds and the frame numbers of labelling tools.

    frame       |  1  |  2  |  3  |  4  |        n frames, numbered from 1 by the tools, n + 1 edges
    edge        0     1     2     3     4

A segment starts at one edge and ends at another: frames 2 to 3 (both included) are edges 1 to 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from runtime.errors import InputError

VARIABLE_FROM_FRAMES = 0.5
"""A frame shown that far from where a constant rate has it makes the rate a variable one."""


@dataclass(frozen=True, eq=False)
class FrameClock:
    """Times of the edges between frames: of a constant rate, or as a video has them.

    Attributes:
        fps: frames per second; of a video the average.
        edges_s: (n + 1,) when each frame appears, and the end of the last; None for a constant rate
            without end.
    """

    fps: float
    edges_s: np.ndarray | None = None

    def time_s(self, edge: int) -> float:
        """Seconds of an edge; before the first and behind the last of a video the constant rate
        goes on.

        >>> FrameClock(25.0).time_s(50)
        2.0
        """
        if self.edges_s is None:
            return edge / self.fps
        last = len(self.edges_s) - 1
        inside = min(max(edge, 0), last)
        return float(self.edges_s[inside]) + (edge - inside) / self.fps

    def edge(self, time_s: float) -> int:
        """Nearest edge of a time, from 0 to the last.

        >>> FrameClock(25.0).edge(2.01)
        50
        """
        if self.edges_s is None:
            return max(round(time_s * self.fps), 0)
        after = int(np.searchsorted(self.edges_s, time_s))
        near = [edge for edge in (after - 1, after) if 0 <= edge < len(self.edges_s)]
        return min(near, key=lambda edge: abs(float(self.edges_s[edge]) - time_s))  # type: ignore[index]

    def edges(self, start_s: float, end_s: float) -> tuple[int, int]:
        """Edges of a segment, which keeps at least one frame.

        >>> FrameClock(10.0).edges(0.51, 0.52)
        (5, 6)
        """
        start, end = self.edge(start_s), self.edge(end_s)
        if self.edges_s is not None:
            start = min(start, len(self.edges_s) - 2)
        return start, max(end, start + 1)

    @property
    def n_frames(self) -> int | None:
        """Frames of the video; None where there is no end."""
        return None if self.edges_s is None else len(self.edges_s) - 1

    @property
    def is_variable(self) -> bool:
        """Whether frames appear at other times than a constant rate would have them."""
        if self.edges_s is None:
            return False
        steady_s = np.arange(len(self.edges_s)) / self.fps
        return bool(np.abs(self.edges_s - steady_s).max() * self.fps > VARIABLE_FROM_FRAMES)


def clock_of_video(path: Path) -> FrameClock:
    """Read when each frame of a video is shown; from its index where it has one, else all of it is
    decoded.

    Raises:
        VideoError: if the video cannot be read.
    """
    from video_datasets.video.reader import frame_times  # here, since reading labels needs no decoder

    frames = frame_times(path)
    edges_s = np.append(frames.times_s, frames.duration_s)
    return FrameClock(len(frames.times_s) / frames.duration_s, edges_s)


def unknown_rate(where: str) -> InputError:
    """Say what is missing where frames are counted and nothing tells when they are shown."""
    return InputError(
        f"{where}: frames are counted, and nothing tells their rate; name the folder that has the video"
        " (--videos) or the rate (--fps); for a command that has neither make a file with seconds first:"
        " python -m video_datasets.convert IN --videos DIR --to csv --out labels.csv"
    )
