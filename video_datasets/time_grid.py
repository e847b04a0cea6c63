"""The one place that turns frame indices into seconds, seconds into feature indices, and back.

Three layers, each on top of the one before:

1. *Shown frames* of a file, with their own times. Seconds count from the first shown frame.
2. *Grid frames*: frame k of a uniform grid stands at k / fps, whatever the file's own rate is. It
   is the source frame that FFmpeg's `fps` filter shows there (`grid_source_indices`).
3. *Features*: every `stride_frames` grid frames one clip is looked at (`TimeGrid`).

The default, "centred", for HACS (30 fps, stride 16, clips of 8 frames, interval 8), N = 40 grid
frames:

    grid frame   0               16              32      39
                 |---------------|---------------|-------|      N = 40 frames, 1.333 s
    feature      |       0       |       1       |   2   |      T = ceil(40 / 16) = 3
    centre               8               24              40     c = 16 k + 8
    time (s)           0.267           0.800           1.333    c / 30

    clip of feature 0: centre 8 - 28, - 20, - 12, - 4, + 4, + 12, + 20, + 28
                     = -20 -12 -4 4 12 20 28 36, edge frames repeated -> 0 0 0 4 12 20 28 36

Feature k stands for the frames [k s, (k + 1) s), the last one for what is left, so that every frame
belongs to exactly one feature and a video of a single frame still has one. TAda2D (Huang et al.,
ICLR 2022, App. A.2) gives fps, clip, interval and stride but not the anchor; this one is our
choice. Clips of all features use only the frames at one phase of 8 (here 4, 12, 20, ...) besides
the first and the last frame of the video.

Other people's features follow other rules, which are known by name (s stride, w frames that a clip
spans):

    convention          clip k                        T                      time of feature k
    "centred"           around k s + s/2              ceil(N / s)            (k s + s/2) / fps
    "centred_on_first"  around k s                    ceil(N / s)            k s / fps
    "centred_on_last"   around k s + s - 1            floor(N / s)           (k s + s - 1) / fps
    "no_padding"        k s ... k s + w - 1           floor((N - w)/s) + 1   (k s + w/2) / fps

`spacing="interval"` takes every `interval_frames`-th frame (0, 8, ..., 56; w = 57); "linspace"
spreads the clip over all clip x interval frames as the released TAdaConv code does (0, 9, ..., 63;
w = 64).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from runtime.sections import section

CONVENTIONS = ("centred", "centred_on_first", "centred_on_last", "no_padding")
SPACINGS = ("interval", "linspace")
MAX_FPS, MAX_STEP = 10_000, 1_000_000
"""More has no use, and a stranger's bundle might ask for it."""

# In grid frames (a few nanoseconds): a product such as 3 / 60 * 30 may land a rounding error below
# its tie.
_TIE_TOLERANCE = 1e-7


# ---- shown frames -> grid frames


def first_grid_index(time_s: ArrayLike, fps: float) -> NDArray[np.int64]:
    """First grid frame that may show a source frame: its time in grid frames, rounded, halves up.

    Args:
        time_s: seconds since the first shown frame, any shape.
        fps: grid frames per second.

    Returns:
        int64 array of the same shape.
    """
    position = np.asarray(time_s, dtype=np.float64) * fps
    return np.floor(position + 0.5 + _TIE_TOLERANCE).astype(np.int64)


def num_grid_frames(duration_s: float, fps: float) -> int:
    """Count the frames of the uniform grid over a video.

    FFmpeg's `fps` filter ends where the last frame's own time on screen ends. A video always keeps
    one frame.

    >>> num_grid_frames(10.01, 30), num_grid_frames(10.01, 60)
    (300, 601)
    """
    return max(1, int(first_grid_index(duration_s, fps)))


def grid_source_indices(pts_s: ArrayLike, fps: float, duration_s: float | None = None) -> NDArray[np.int64]:
    """Source frame shown at each frame of the uniform grid, by the rule of FFmpeg's `fps` filter.

    Grid frame k shows the last source frame i with floor(t_i * fps + 0.5) <= k, t_i counted from
    the first shown frame (FFmpeg, libavfilter/vf_fps.c, rounding "near"). Not the same as the
    nearest frame.

    Args:
        pts_s: times of the shown frames in seconds, shape (n,), not decreasing; only differences
            matter.
        fps: grid frames per second.
        duration_s: from the first shown frame to the end of the last one's time on screen. None:
            the last frame is shown as long as the one before it (a single frame: for one grid
            frame).

    Returns:
        int64 array of shape (K,), K = `num_grid_frames`.

    Raises:
        ValueError: without any frame, with decreasing times, or if fps is not positive.

    >>> grid_source_indices([0.0, 0.04, 0.08], fps=50)      # 25 fps shown at 50
    array([0, 0, 1, 1, 2, 2])
    """
    times_s = np.asarray(pts_s, dtype=np.float64)
    if times_s.ndim != 1 or times_s.size == 0:
        raise ValueError(f"expected the times of at least one frame, shape (n,); got shape {times_s.shape}")
    if np.any(np.diff(times_s) < 0):
        raise ValueError("frame times must not decrease; sort them into the order of presentation")
    if not fps > 0:
        raise ValueError(f"fps must be positive, got {fps}")
    times_s = times_s - times_s[0]
    if duration_s is None:
        duration_s = 2 * times_s[-1] - times_s[-2] if times_s.size > 1 else 1 / fps
    k = np.arange(num_grid_frames(duration_s, fps))
    return np.searchsorted(first_grid_index(times_s, fps), k, side="right") - 1


def frames_to_seconds(frames: ArrayLike, fps: float) -> NDArray[np.float64]:
    """Times at which grid frames start to be shown, in seconds."""
    return np.asarray(frames, dtype=np.float64) / fps


def seconds_to_frames(times_s: ArrayLike, fps: float) -> NDArray[np.int64]:
    """Grid frames on screen at given seconds (frame k from k / fps until (k + 1) / fps)."""
    return np.floor(np.asarray(times_s, dtype=np.float64) * fps + _TIE_TOLERANCE).astype(np.int64)


# ---- grid frames -> features


@section("grid")
@dataclass(frozen=True)
class TimeGrid:
    """Where features lie in time, and which frames each of them has seen. The drawing is at the
    file's head.

    >>> grid = TimeGrid(fps=30, stride_frames=16)
    >>> grid.num_features(40), grid.times_s(40).round(3)
    (3, array([0.267, 0.8  , 1.333]))
    >>> grid.clip_frame_indices(40)[0]
    array([ 0,  0,  0,  4, 12, 20, 28, 36])
    """

    fps: float = 30.0
    """Frames per second of the uniform grid: 60 for EPIC-KITCHENS-100, 30 for HACS (paper, App.
    A.2)."""
    stride_frames: int = 16
    """Grid frames from one feature to the next: 8 for EPIC-KITCHENS-100, 16 for HACS (paper,
    App. A.2)."""
    clip_frames: int = 8
    """Frames that the network sees for one feature."""
    interval_frames: int = 8
    """Grid frames from one frame of a clip to the next."""
    convention: str = "centred"
    """Which frame a feature stands for, one of `CONVENTIONS`."""
    spacing: str = "interval"
    """How the frames of a clip are spread, one of `SPACINGS`."""

    def __post_init__(self) -> None:
        if not 0 < self.fps <= MAX_FPS:
            raise ValueError(f"grid.fps must be positive and at most {MAX_FPS}, found {self.fps}")
        for name, highest in (
            ("stride_frames", MAX_STEP),
            ("clip_frames", 4096),
            ("interval_frames", MAX_STEP),
        ):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= highest:
                raise ValueError(
                    f"grid.{name} must be a whole number of frames, 1 to {highest}, found {value!r}"
                )
        for name, known in (("convention", CONVENTIONS), ("spacing", SPACINGS)):
            if getattr(self, name) not in known:
                raise ValueError(f"grid.{name} must be one of {known}, found {getattr(self, name)!r}")

    @property
    def clip_steps(self) -> NDArray[np.int64]:
        """Frames of a clip counted from its first one, shape (clip_frames,): 0, 8, ..., 56."""
        if self.spacing == "interval":
            return np.arange(self.clip_frames) * self.interval_frames
        return np.linspace(0, self.clip_frames * self.interval_frames - 1, self.clip_frames).astype(np.int64)

    @property
    def clip_span_frames(self) -> int:
        """Frames from the first to the last frame of a clip, both counted: 57 (linspace: 64)."""
        return int(self.clip_steps[-1]) + 1

    @property
    def clip_offsets(self) -> NDArray[np.int64]:
        """Frames of a clip counted from its centre, shape (clip_frames,): -28, -20, ..., 28.

        "centred_on_first" and "centred_on_last" follow their origins, OpenTAD and the TAdaConv
        loader, whose clips hold one frame more before the centre than after it: -32, -24, ..., 24.
        """
        if self.convention in ("centred_on_first", "centred_on_last"):
            return self.clip_steps - self.clip_frames * self.interval_frames // 2
        return self.clip_steps - (self.clip_span_frames - 1) // 2

    @property
    def _first_centre(self) -> int:
        """Centre of clip 0; clip k is centred k strides later."""
        return {
            "centred": self.stride_frames // 2,
            "centred_on_first": 0,
            "centred_on_last": self.stride_frames - 1,
            "no_padding": (self.clip_span_frames - 1) // 2,
        }[self.convention]

    @property
    def _first_time_frames(self) -> float:
        """Time of feature 0 in grid frames (half frames are kept, unlike in `_first_centre`)."""
        return {
            "centred": self.stride_frames / 2,
            "centred_on_first": 0.0,
            "centred_on_last": self.stride_frames - 1.0,
            "no_padding": self.clip_span_frames / 2,
        }[self.convention]

    @property
    def stride_s(self) -> float:
        """Seconds from one feature to the next."""
        return self.stride_frames / self.fps

    @property
    def strides_before_first(self) -> int:
        """Whole strides of a video that end before feature 0 stands: 0, but for "no_padding" with
        long clips.

        Feature k is the one of the stride [k + this, k + this + 1) * stride_s.

        >>> TimeGrid(fps=30, stride_frames=16).strides_before_first
        0
        >>> TimeGrid(fps=30, stride_frames=8, convention="no_padding").strides_before_first
        3
        """
        return int(self._first_time_frames // self.stride_frames)

    def num_features(self, n_frames: int) -> int:
        """Count the features of a video of `n_frames` grid frames.

        Raises:
            ValueError: if `n_frames` is negative.
        """
        if n_frames < 0:
            raise ValueError(f"n_frames must be >= 0, got {n_frames}")
        if self.convention == "no_padding":
            return max(0, (n_frames - self.clip_span_frames) // self.stride_frames + 1)
        if self.convention == "centred_on_last":
            return n_frames // self.stride_frames
        return -(-n_frames // self.stride_frames)

    def clip_frame_indices(self, n_frames: int) -> NDArray[np.int64]:
        """Grid frames of every clip, shape (T, clip_frames), edge frames repeated beyond the
        ends."""
        centres = self._first_centre + self.stride_frames * np.arange(self.num_features(n_frames))
        return np.clip(centres[:, None] + self.clip_offsets, 0, max(n_frames - 1, 0))

    def clip_frames_of(self, index: int) -> NDArray[np.int64]:
        """Grid frames of the clip of one feature, shape (clip_frames,), not yet cut to the
        video's ends."""
        return self._first_centre + self.stride_frames * index + self.clip_offsets

    def may_use(self, frame: int) -> bool:
        """Whether any clip of any video looks at this grid frame, other than as the video's last
        frame.

        Decoders use it to convert only these frames and, once the end is known, the last one.

        >>> [frame for frame in range(40) if TimeGrid(fps=30, stride_frames=16).may_use(frame)]
        [0, 4, 12, 20, 28, 36]
        """
        return frame == 0 or frame % self.stride_frames in self._used_phases

    @cached_property
    def _used_phases(self) -> frozenset[int]:
        return frozenset(((self._first_centre + self.clip_offsets) % self.stride_frames).tolist())

    def times_s(self, n_frames: int) -> NDArray[np.float64]:
        """Time of every feature in seconds, float64 of shape (T,)."""
        return self.feature_to_seconds(np.arange(self.num_features(n_frames)))

    def feature_to_seconds(self, index: ArrayLike) -> NDArray[np.float64]:
        """Time of features by their index, which may be fractional."""
        strides: NDArray[np.float64] = np.asarray(index, dtype=np.float64) * self.stride_frames
        return (strides + self._first_time_frames) / self.fps

    def seconds_to_feature(self, time_s: ArrayLike) -> NDArray[np.float64]:
        """Fractional feature index at given seconds, the inverse of `feature_to_seconds`."""
        frames: NDArray[np.float64] = np.asarray(time_s, dtype=np.float64) * self.fps
        return (frames - self._first_time_frames) / self.stride_frames

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as plain numbers and strings, for HDF5 attributes and JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> TimeGrid:
        """Build the grid that `to_dict` described; NumPy scalars, as HDF5 returns them, are
        welcome.

        Raises:
            ValueError: if a field is missing or out of range.
        """
        missing = [field.name for field in fields(cls) if field.name not in content]
        if missing:
            raise ValueError(f"time grid without {', '.join(missing)}; found {sorted(content)}")
        values = {field.name: content[field.name] for field in fields(cls)}
        return cls(**{k: v.item() if isinstance(v, np.generic) else v for k, v in values.items()})


# ---- features -> the cells of BMN over a whole video


def cell_centres_s(duration_s: float, tscale: int) -> NDArray[np.float64]:
    """Centres of BMN's `tscale` equal cells over a video, in seconds, shape (tscale,).

    >>> cell_centres_s(10.0, 4)
    array([1.25, 3.75, 6.25, 8.75])
    """
    return np.arange(0.5, tscale) * (duration_s / tscale)


def interpolate_to_cells(
    features_TC: NDArray[np.floating], times_s: ArrayLike, duration_s: float, tscale: int
) -> NDArray[np.float32]:
    """Rescale the features of a whole video to a fixed number of cells (BMN, ICCV 2019, Sec. 4.1).

    Linear interpolation at the middle of every cell; before the first and after the last feature
    its value is held. One feature is enough.

    Args:
        features_TC: shape (T, C), T >= 1.
        times_s: their times in seconds, shape (T,), increasing.
        duration_s: duration of the video in seconds, > 0.
        tscale: number of cells.

    Returns:
        float32 array of shape (tscale, C).

    Raises:
        ValueError: if the shapes do not fit, times do not increase, or the duration is not
            positive.
    """
    times = np.asarray(times_s, dtype=np.float64)
    if features_TC.ndim != 2 or times.shape != features_TC.shape[:1] or times.size == 0:
        raise ValueError(
            f"expected features (T, C) and times (T,), T >= 1; got {features_TC.shape} and {times.shape}"
        )
    if np.any(np.diff(times) <= 0):
        raise ValueError("times of features must increase")
    if not (math.isfinite(duration_s) and duration_s > 0 and tscale > 0):
        raise ValueError(f"duration_s and tscale must be positive, got {duration_s} and {tscale}")
    # Held edges need no case of their own: position is clipped to [0, T - 1].
    position = np.interp(cell_centres_s(duration_s, tscale), times, np.arange(times.size))
    lower = position.astype(np.int64)
    upper = np.minimum(lower + 1, times.size - 1)
    weight = (position - lower).astype(np.float32)[:, None]
    below = features_TC[lower].astype(np.float32, copy=False)
    above = features_TC[upper].astype(np.float32, copy=False)
    return below + weight * (above - below)


def seconds_to_normalised(segments_s: ArrayLike, duration_s: float) -> NDArray[np.float64]:
    """Segments as fractions of the duration, cut to [0, 1]; any shape."""
    return np.clip(np.asarray(segments_s, dtype=np.float64) / duration_s, 0.0, 1.0)
