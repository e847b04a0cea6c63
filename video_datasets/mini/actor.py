"""The object whose change is the action: a disc, box or diamond with a pale rim and a pale wedge.

Around the rim there may be a band, by which one object is told from another.

Everything happens within the central square of the picture, so that a centre crop keeps it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from video_datasets.mini.motions import Motion, draw_states
from video_datasets.mini.scene import Picture

COLD_RGB = np.array([15.0, 25.0, 130.0], np.float32)
HOT_RGB = np.array([245.0, 190.0, 30.0], np.float32)
RIM_RGB = np.array([240.0, 240.0, 235.0], np.float32)
RIM_FRACTION = 0.14
MIN_RIM_PX = 2.0
DARK_STRIPE = 0.15
"""Brightness of a band's dark stripes."""
SIZES = (0.15, 0.60)
"""Width of the smallest and of the largest actor, as a fraction of the picture's short side."""
WIDEST_WEDGE = np.pi * 0.8
"""Half the angle of the wedge at aperture 1."""
EXPONENTS = (1.0, 2.0, 6.0)
"""|x|^p + |y|^p = 1 is a diamond, a disc, a box."""


@dataclass(frozen=True)
class Band:
    """What surrounds an actor's rim.

    Attributes:
        rgb: colour.
        fraction: width, as a fraction of the actor's radius.
        stripes: how often it turns dark on the way round.
    """

    rgb: NDArray[np.float32]
    fraction: float
    stripes: int

    def colours(self, y: NDArray[np.float32], x: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return the colour at offsets (h, 1) and (w,) from the actor's centre, of shape (h, w,
        3)."""
        dark = np.sin(self.stripes * np.arctan2(y, x)) < 0
        return self.rgb * np.where(dark, DARK_STRIPE, 1.0).astype(np.float32)[..., None]


@dataclass(frozen=True)
class Actor:
    """One instance's actor over its course; arrays have one entry a frame, from `first` on.

    Attributes:
        first: frame in which it appears.
        centres: (K, 2), row and column in pixels.
        radii: (K,), in pixels.
        colours: (K, 3), RGB.
        wedges: (K,), half angle of the wedge, in radians.
        facing: unit vector (2,), where the wedge points.
        exponent: its shape.
        band: around its rim; None: there is none.
    """

    first: int
    centres: NDArray[np.float32]
    radii: NDArray[np.float32]
    colours: NDArray[np.float32]
    wedges: NDArray[np.float32]
    facing: NDArray[np.float32]
    exponent: float
    band: Band | None = None

    def draw_on(self, picture: Picture, k: int) -> None:
        """Draw it as it is in frame k, clipped at the picture's edges; nothing outside its
        instance."""
        j = k - self.first
        if not 0 <= j < len(self.radii):
            return
        (row, column), radius = self.centres[j], self.radii[j]
        top, left = max(0, int(row - radius)), max(0, int(column - radius))
        patch = picture[top : int(row + radius) + 2, left : int(column + radius) + 2]
        y = (np.arange(top, top + patch.shape[0], dtype=np.float32)[:, None] - row) / radius
        x = (np.arange(left, left + patch.shape[1], dtype=np.float32) - column) / radius
        distance = _norm(y, x, self.exponent)
        opaque = np.clip((1 - distance) * radius + 0.5, 0, 1)
        band_px = self.band.fraction * radius if self.band else 0.0
        rim_px = max(MIN_RIM_PX, RIM_FRACTION * radius)
        coloured = np.clip((1 - distance) * radius - rim_px - band_px + 0.5, 0, 1)
        coloured *= self._outside_wedge(y, x, radius, self.wedges[j])
        colour = RIM_RGB + coloured[..., None] * (self.colours[j] - RIM_RGB)
        if self.band:
            banded = self.band.colours(y, x)
            within = np.clip((1 - distance) * radius - band_px + 0.5, 0, 1)
            colour = banded + within[..., None] * (colour - banded)
        patch[...] = patch + opaque[..., None] * (colour - patch)

    def _outside_wedge(
        self, y: NDArray[np.float32], x: NDArray[np.float32], radius: np.float32, half_angle: np.float32
    ) -> NDArray[np.float32]:
        towards = y * self.facing[0] + x * self.facing[1]
        edge = np.hypot(y, x) * np.cos(half_angle) - towards
        return np.clip(edge * radius + 0.5, 0, 1)


def _norm(y: NDArray[np.float32], x: NDArray[np.float32], exponent: float) -> NDArray[np.floating]:
    return (np.abs(y) ** exponent + np.abs(x) ** exponent) ** (1 / exponent)


def draw_actor(
    rng: np.random.Generator,
    motion: Motion,
    segment_s: NDArray[np.float64],
    times_s: NDArray[np.float64],
    height: int,
    width: int,
) -> Actor:
    """Draw one instance: the frames within `segment_s` show the motion once, from 0 to 1."""
    first, end = np.searchsorted(times_s, segment_s)
    progress = (times_s[first:end] - segment_s[0]) / (segment_s[1] - segment_s[0])
    states = draw_states(rng, motion, progress)
    side = min(height, width)
    rows = height / 2 + side * 0.66 * (0.5 - states["height"])
    columns = np.full_like(rows, width / 2 + side * rng.uniform(-0.2, 0.2))
    angle = rng.uniform(0, 2 * np.pi)
    return Actor(
        int(first),
        np.stack([rows, columns], axis=1).astype(np.float32),
        (side / 2 * SIZES[0] * (SIZES[1] / SIZES[0]) ** states["size"]).astype(np.float32),
        (COLD_RGB + states["heat"][:, None] * (HOT_RGB - COLD_RGB)).astype(np.float32),
        (WIDEST_WEDGE * states["aperture"]).astype(np.float32),
        np.array([np.sin(angle), np.cos(angle)], np.float32),
        float(rng.choice(EXPONENTS)),
    )
