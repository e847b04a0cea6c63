"""Motions of MoSI: the classes, and the window's path over the picture for each of them.

From one still picture a window is cut out again and again while it slides; the network names how it
moved. Speeds run from -K//2 to K//2 on an axis; a positive one moves the window right (x) or down
(y), so that the picture seems to move left or up.

    K = 5, one axis at a time         x: -2 -1 1 2     y: -2 -1 1 2     none      9 classes

Source: MoSI (Huang et al., CVPR 2021), Sec. 3; classes, paths and rounding as in the TAdaConv
repository, `sslgenerators/mosi/mosi_generator.py`.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class WindowMotion(NamedTuple):
    """Speed of the window on each axis, in half free paths a clip."""

    x: int
    y: int


class Path(NamedTuple):
    """Way of the window along one axis: first position and signed distance, in pixels."""

    start_px: int
    distance_px: float

    def positions_px(self, num_frames: int, free_px: int) -> NDArray[np.int64]:
        """Return the window's position in each frame (T,), truncated to pixels, within 0..free_px.

        >>> Path(104, -104.0).positions_px(3, free_px=208).tolist()
        [104, 52, 0]
        """
        positions = np.linspace(self.start_px, self.start_px + self.distance_px, num_frames)
        return np.clip(positions.astype(np.int64), 0, free_px)


def motion_classes(speeds: int = 5, *, joint_axes: bool = False, still: bool = True) -> list[WindowMotion]:
    """List the motions in the order of their class numbers.

    Args:
        speeds: K, speeds of an axis, the zero among them; odd, at least 3.
        joint_axes: True: every pair of speeds (K * K classes); False: one axis moves at a time.
        still: whether standing still is a class; with `joint_axes` it always is.

    Raises:
        ValueError: if `speeds` is even or below 3.

    >>> [tuple(motion) for motion in motion_classes(3)]
    [(-1, 0), (1, 0), (0, -1), (0, 1), (0, 0)]
    """
    if speeds < 3 or speeds % 2 == 0:
        raise ValueError(f"expected an odd number of speeds, at least 3, found {speeds}")
    axis = [speed - speeds // 2 for speed in range(speeds)]
    if joint_axes:
        return [WindowMotion(x, y) for x, y in itertools.product(axis, axis)]
    moving = [speed for speed in axis if speed]
    classes = [WindowMotion(speed, 0) for speed in moving] + [WindowMotion(0, speed) for speed in moving]
    return classes + [WindowMotion(0, 0)] * still


def mirrored_class(classes: list[WindowMotion], index: int) -> int:
    """Return the class of a clip that is flipped from left to right.

    >>> classes = motion_classes(3)
    >>> [mirrored_class(classes, index) for index in range(5)]
    [1, 0, 2, 3, 4]
    """
    motion = classes[index]
    return classes.index(WindowMotion(-motion.x, motion.y))


def random_path(speed: int, top_speed: int, free_px: int, generator: np.random.Generator) -> Path:
    """Draw where the window of a training clip starts.

    Args:
        speed: of the axis, -top_speed..top_speed.
        top_speed: K // 2, which crosses the whole free path.
        free_px: pixels by which the picture is longer than the window, at least 0.
        generator: source of randomness; one number is drawn.
    """
    distance_px = free_px * speed / top_speed
    low, high = max(0, -distance_px), min(free_px, free_px - distance_px)
    return Path(int(generator.integers(int(low), int(high), endpoint=True)), distance_px)


def central_path(speed: int, top_speed: int, free_px: int) -> Path:
    """Return the path whose middle is the picture's, for validation.

    >>> [central_path(speed, 2, 208).start_px for speed in (-2, -1, 0, 1, 2)]
    [208, 156, 104, 52, 0]
    """
    distance_px = free_px * speed / top_speed
    return Path(int((free_px - distance_px) // 2), distance_px)
