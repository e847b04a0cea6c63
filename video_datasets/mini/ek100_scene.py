"""The pictures of mini-EK100: a kitchen with things lying about, and the thing that something is
done to.

What lies about has the looks of the nouns too, but is half faded, and still: only an action's
object is bright.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from video_datasets.mini.actor import COLD_RGB, HOT_RGB, WIDEST_WEDGE, Actor, Band
from video_datasets.mini.ek100_plan import NOUNS, Action, KitchenTwins, Noun
from video_datasets.mini.motions import draw_states
from video_datasets.mini.scene import N_NOISE, Background, Picture, draw_noise, draw_texture

SIZES_HW = ((112, 128), (112, 140), (120, 136))
"""Nearly square: a random square crop then keeps the objects, and the whole region costs little."""
OBJECT_SIZES = (0.25, 0.75)
"""Width of the smallest and of the largest object, as a fraction of the picture's short side."""
BAND_FRACTION = 0.18
REST_RANGES = {"size": (0.6, 0.7), "height": (0.45, 0.55), "heat": (0.4, 0.6), "aperture": (0.15, 0.25)}
"""Of the states that do not change; narrow, since there are fewer seconds of action to learn
from than in mini-HACS."""
TRAVEL = 0.5
"""Way between low and high, as a fraction of the short side."""
LANES = (-0.17, 0.17)
"""Columns that actions take in turn, from the middle, so that two at once can be told apart."""
LANE_SPREAD = 0.03
GREY, CONTRAST = 120.0, 0.6
"""Kitchens are greyer than the scenes of mini-HACS: every colour goes so much of its way from
this grey."""
IDLE_OBJECTS = 5
IDLE_SIZES = (0.15, 0.25)
IDLE_OPACITY = 0.5


def picture_size(twins: KitchenTwins) -> tuple[int, int]:
    """Return height and width in pixels, the same for all videos of a kitchen."""
    return SIZES_HW[sum(twins.kitchen_seed) % len(SIZES_HW)]


def draw_pictures(twins: KitchenTwins) -> Iterator[Picture]:
    """Draw the frames of the forward video one by one, H x W x 3, RGB."""
    rng = np.random.default_rng(twins.seed)
    height, width = picture_size(twins)
    times_s = twins.forward.clock.middles_s
    kitchen = draw_kitchen(np.random.default_rng(twins.kitchen_seed), height, width)
    background = Background(rng, kitchen, height, width, times_s)
    actors = [
        draw_object(rng, action, LANES[number % len(LANES)], times_s, height, width)
        for number, action in enumerate(twins.forward.actions)
    ]
    noise = draw_noise(rng, height, width)
    for k in range(len(times_s)):
        picture = background.picture(k)
        for actor in actors:
            actor.draw_on(picture, k)
        picture += noise[k % N_NOISE]
        yield picture


def draw_kitchen(rng: np.random.Generator, height: int, width: int) -> Picture:
    """Draw a background that is larger than the picture (`draw_texture`), with idle objects on
    it."""
    texture = (GREY + CONTRAST * (draw_texture(rng, height, width) - GREY)).astype(np.uint8)
    bright = texture.copy()
    for _ in range(IDLE_OBJECTS):
        noun = NOUNS[rng.integers(len(NOUNS))]
        radius = min(height, width) / 2 * rng.uniform(*IDLE_SIZES)
        centre = rng.uniform(radius, np.array(texture.shape[:2]) - radius)
        colour = COLD_RGB + rng.random() * (HOT_RGB - COLD_RGB)
        ones = np.ones(1, np.float32)
        idle = Actor(
            0, centre[None].astype(np.float32), radius * ones, colour[None], 0 * ones, np.zeros(2, np.float32),
            noun.exponent, _band(noun),
        )  # fmt: skip
        idle.draw_on(bright, 0)
    return (texture + IDLE_OPACITY * (bright.astype(np.float32) - texture)).astype(np.uint8)


def draw_object(
    rng: np.random.Generator,
    action: Action,
    lane: float,
    times_s: NDArray[np.float64],
    height: int,
    width: int,
) -> Actor:
    """Draw an action's object: it is there from start to end, and its state changes at a steady
    rate."""
    first, end = np.searchsorted(times_s, (action.start_s, action.end_s))
    progress = (times_s[first:end] - action.start_s) / (action.end_s - action.start_s)
    states = draw_states(rng, action.motion, 1 - progress if action.backwards else progress, REST_RANGES)
    side = min(height, width)
    rows = height / 2 + side * TRAVEL * (0.5 - states["height"])
    columns = np.full_like(rows, width / 2 + side * (lane + rng.uniform(-LANE_SPREAD, LANE_SPREAD)))
    smallest, largest = OBJECT_SIZES
    angle = rng.uniform(0, 2 * np.pi)
    return Actor(
        int(first),
        np.stack([rows, columns], axis=1).astype(np.float32),
        (side / 2 * smallest * (largest / smallest) ** states["size"]).astype(np.float32),
        (COLD_RGB + states["heat"][:, None] * (HOT_RGB - COLD_RGB)).astype(np.float32),
        (WIDEST_WEDGE * states["aperture"]).astype(np.float32),
        np.array([np.sin(angle), np.cos(angle)], np.float32),
        action.noun.exponent,
        _band(action.noun),
    )


def _band(noun: Noun) -> Band:
    return Band(np.array(noun.band_rgb, np.float32), BAND_FRACTION, noun.stripes)
