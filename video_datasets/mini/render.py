"""The pictures of mini-HACS; and the rendering of any two twin videos: drawn once, encoded
forwards and backwards."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from video_datasets.mini.actor import Actor, draw_actor
from video_datasets.mini.encode import to_yuv, write_mp4
from video_datasets.mini.layout import TwinFiles
from video_datasets.mini.plan import TwinPlan
from video_datasets.mini.scene import (
    N_NOISE,
    Background,
    Distractor,
    Picture,
    draw_distractors,
    draw_noise,
    draw_texture,
)

RENDERER_VERSION = 1
"""Counts the changes after which the same seed gives other videos."""

SIZES_HW = ((112, 112), (112, 148), (112, 198), (120, 160), (128, 128), (128, 170), (148, 112))


def write_twins(files: TwinFiles) -> None:
    """Render both videos, unless both files are there already."""
    if all(path.exists() for path in files.paths):
        return
    frames = to_yuv(files.draw())
    write_mp4(files.paths[0], frames, files.clocks[0])
    write_mp4(files.paths[1], frames[::-1], files.clocks[1])


def draw_pictures(twins: TwinPlan) -> Iterator[Picture]:
    """Draw the frames of the forward video one by one, H x W x 3, RGB."""
    rng = np.random.default_rng(twins.seed)
    scene_rng = np.random.default_rng(twins.scene_seed)
    height, width = SIZES_HW[scene_rng.integers(len(SIZES_HW))]
    clock = twins.forward.clock
    times_s = clock.middles_s
    background = Background(rng, draw_texture(scene_rng, height, width), height, width, times_s)
    distractors = draw_distractors(rng, height, width, times_s, clock.duration_s)
    actors = [draw_actor(rng, twins.motion, s, times_s, height, width) for s in twins.forward.segments_s]
    noise = draw_noise(rng, height, width)
    things: list[Distractor | Actor] = [*distractors, *actors]
    for k in range(len(times_s)):
        picture = background.picture(k)
        for thing in things:
            thing.draw_on(picture, k)
        picture += noise[k % N_NOISE]
        yield picture
