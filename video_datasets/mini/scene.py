"""Surroundings of the action: a textured background that drifts, objects without a class, noise.

All of it is symmetric in time: nothing here tells forwards from backwards.
Axes: H, W = picture height and width, 3 = RGB. Pictures are uint8; everything drawn stays within
[NOISE_PEAK, 255 - NOISE_PEAK], so that noise can be added without a check for overflow.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]

SCENE_RANGE = (30, 190)
"""Of every colour channel: less pale than the actor's rim."""
PAN_FRACTION = 0.25
"""The background drifts within this fraction of the side."""
NOISE_PEAK = 6
NOISE_SIGMA = 1.2
N_NOISE = 5
N_DISTRACTORS = 2


def draw_wander(
    rng: np.random.Generator, times_s: NDArray[np.float64], periods_s: tuple[float, float]
) -> NDArray[np.float64]:
    """Draw a smooth path through [0, 1] x [0, 1]: a sine of random period and phase on either axis.

    Returns:
        Shape (K, 2), as times_s has K entries.
    """
    angles = 2 * np.pi * (times_s[:, None] / rng.uniform(*periods_s, size=2) + rng.random(2))
    path: NDArray[np.float64] = 0.5 + 0.5 * np.sin(angles)
    return path


def draw_texture(rng: np.random.Generator, height: int, width: int) -> Picture:
    """Draw a cloudy picture of muted colours, smoothed noise at three scales.

    Returns:
        Shape (H + reach, W + reach, 3), for a window of H x W to wander over by PAN_FRACTION of its
        side.
    """
    reach = round(PAN_FRACTION * min(height, width))
    height, width = height + reach, width + reach
    texture = np.zeros((height, width, 3), np.float32)
    for cells, strength in ((3, 1.0), (8, 0.6), (24, 0.35)):
        coarse = rng.normal(size=(cells, cells, 1)) + 0.4 * rng.normal(size=(cells, cells, 3))
        rows = np.einsum("hi,ijc->hjc", _upsampling(cells, height), coarse)
        texture += strength * np.einsum("hjc,wj->hwc", rows, _upsampling(cells, width))
    tint = rng.uniform(90, 165, size=3)
    return (tint + 22 * texture).clip(*SCENE_RANGE).astype(np.uint8)


def _upsampling(cells: int, length: int) -> NDArray[np.float32]:
    """Linear interpolation of `cells` values to `length` pixels, as a matrix (length, cells)."""
    positions = np.linspace(0, cells - 1, length)
    return np.maximum(0, 1 - np.abs(positions[:, None] - np.arange(cells))).astype(np.float32)


class Background:
    """A texture of `draw_texture`, seen through a window that wanders over it."""

    def __init__(
        self,
        rng: np.random.Generator,
        texture: Picture,
        height: int,
        width: int,
        times_s: NDArray[np.float64],
    ) -> None:
        self._texture, self._height, self._width = texture, height, width
        reach = np.array(texture.shape[:2]) - (height, width)
        self._corners = (draw_wander(rng, times_s, (20.0, 40.0)) * reach).round().astype(int)

    def picture(self, k: int) -> Picture:
        """Return frame k's background, a fresh H x W x 3 array."""
        top, left = self._corners[k]
        return self._texture[top : top + self._height, left : left + self._width].copy()


@dataclass(frozen=True)
class Distractor:
    """A plain object that wanders and comes and goes regardless of the instances.

    Attributes:
        mask: h x w, where its colour shows.
        colour: RGB.
        corners: (frames, 2), its top left pixel.
        present: (frames,), whether it is there.
    """

    mask: NDArray[np.bool_]
    colour: Picture
    corners: NDArray[np.int64]
    present: NDArray[np.bool_]

    def draw_on(self, picture: Picture, k: int) -> None:
        """Draw it as it is in frame k."""
        if not self.present[k]:
            return
        top, left = self.corners[k]
        patch = picture[top : top + self.mask.shape[0], left : left + self.mask.shape[1]]
        np.copyto(patch, self.colour, where=self.mask[..., None])


def draw_distractors(
    rng: np.random.Generator, height: int, width: int, times_s: NDArray[np.float64], duration_s: float
) -> list[Distractor]:
    """Draw the distractors of a video: bars, crosses and boxes in the actor's range of sizes and
    colours."""
    return [_draw_distractor(rng, height, width, times_s, duration_s) for _ in range(N_DISTRACTORS)]


def _draw_distractor(
    rng: np.random.Generator, height: int, width: int, times_s: NDArray[np.float64], duration_s: float
) -> Distractor:
    side = min(height, width)
    mask = _draw_mask(rng, round(side * rng.uniform(0.12, 0.3)))
    room = np.array([height - mask.shape[0], width - mask.shape[1]])
    corners = (draw_wander(rng, times_s, (8.0, 20.0)) * room).round().astype(int)
    # Gone during one stretch somewhere, which may reach over an end of the video.
    middle_s, half_s = rng.uniform(0, duration_s), rng.uniform(0.1, 0.3) * duration_s
    return Distractor(
        mask, rng.uniform(*SCENE_RANGE, size=3).astype(np.uint8), corners, np.abs(times_s - middle_s) > half_s
    )


def _draw_mask(rng: np.random.Generator, side: int) -> NDArray[np.bool_]:
    offsets = np.abs(np.linspace(-1, 1, side))
    shapes = (
        np.ones((side, side), bool),
        np.ones((max(2, side // 3), side), bool),
        (offsets[:, None] < 0.35) | (offsets < 0.35),
    )
    return shapes[rng.integers(len(shapes))]


def draw_noise(rng: np.random.Generator, height: int, width: int) -> Picture:
    """Draw a few noise pictures, (N_NOISE, H, W, 3), grey, negative values wrapped: add them
    modulo 256."""
    noise = rng.normal(scale=NOISE_SIGMA, size=(N_NOISE, height, width, 1))
    noise = noise.round().clip(-NOISE_PEAK, NOISE_PEAK)
    return np.repeat(noise.astype(np.int8).view(np.uint8), 3, axis=-1)
