"""Clips put together from a stream of frames: the same as from all frames at once, in bounded
memory."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from feature_extraction.clips import ClipAssembler
from video_datasets.time_grid import CONVENTIONS, SPACINGS, TimeGrid

GRIDS = st.builds(
    TimeGrid,
    fps=st.just(30.0),
    stride_frames=st.integers(1, 40),
    clip_frames=st.integers(1, 9),
    interval_frames=st.integers(1, 10),
    convention=st.sampled_from(CONVENTIONS),
    spacing=st.sampled_from(SPACINGS),
)


def _stream(grid: TimeGrid, n_frames: int) -> tuple[list[list[int]], int]:
    """Push the frames that a decoder gives; return the frames of every clip, and how many were
    held at most."""
    assembler = ClipAssembler.at_every_stride(grid)
    clips: list[list[torch.Tensor]] = []
    most_held = 0
    for index in range(n_frames):
        if grid.may_use(index) or index == n_frames - 1:
            clips += assembler.push(index, torch.full((1, 1, 1), float(index)))
            most_held = max(most_held, len(assembler.frames))
    clips += assembler.finish(n_frames)
    return [[int(frame) for frame in clip] for clip in clips], most_held


@given(GRIDS, st.integers(1, 400))
def test_clips_are_those_of_the_grid(grid: TimeGrid, n_frames: int) -> None:
    clips, _ = _stream(grid, n_frames)
    assert clips == grid.clip_frame_indices(n_frames).tolist()


@given(GRIDS)
def test_only_frames_of_coming_clips_are_held(grid: TimeGrid) -> None:
    _, held_short = _stream(grid, 300)
    _, held_long = _stream(grid, 600)
    assert held_long <= held_short + 1  # the last frame is given though no clip may look at it
    assert held_short <= grid.clip_span_frames + grid.stride_frames + grid.clip_frames * grid.interval_frames


def test_the_last_frame_is_kept_for_the_clips_behind_it() -> None:
    # Frame 112 ends clip 13 and the video; clip 14 lies wholly behind and repeats it.
    grid = TimeGrid(fps=30, stride_frames=8, clip_frames=4, interval_frames=2, spacing="linspace")
    clips, _ = _stream(grid, 113)
    assert clips[13:] == [[105, 107, 109, 112], [112] * 4]


def test_hacs_holds_a_clip_and_little_more() -> None:
    _, most_held = _stream(TimeGrid(fps=30, stride_frames=16), 3000)
    assert most_held <= 9


def test_clips_come_as_soon_as_their_last_frame() -> None:
    grid = TimeGrid(fps=30, stride_frames=16)
    assembler = ClipAssembler.at_every_stride(grid)
    frame = torch.zeros(3, 2, 2)
    came_at = [index for index in range(100) if grid.may_use(index) for _ in assembler.push(index, frame)]
    assert came_at == [36, 52, 68, 84]


def test_clips_share_their_frames_without_copies() -> None:
    grid = TimeGrid(fps=30, stride_frames=16)
    frames = {index: torch.zeros(3, 4, 5) for index in range(60)}
    assembler = ClipAssembler.at_every_stride(grid)
    clips = [
        clip for index in range(60) if grid.may_use(index) for clip in assembler.push(index, frames[index])
    ]
    for clip, indices in zip(clips, grid.clip_frame_indices(60).tolist(), strict=False):
        assert all(frame is frames[index] for frame, index in zip(clip, indices, strict=True))
