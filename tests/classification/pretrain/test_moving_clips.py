"""Moving clips of MoSI, against a slow plain form and the properties of the original generator."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from classification.pretrain import motions, moving_clips
from classification.pretrain.motions import WindowMotion, mirrored_class, motion_classes, random_path
from classification.pretrain.moving_clips import MovingClips, random_flips, scaled_picture, static_mask

NINE = [(-2, 0), (-1, 0), (1, 0), (2, 0), (0, -2), (0, -1), (0, 1), (0, 2), (0, 0)]
"""Order of the original's classes (5 speeds, decoupled, both axes)."""


def coordinates(height: int, width: int) -> np.ndarray:
    """A picture that says where each pixel is: red = column, green = row."""
    picture = np.zeros((height, width, 3), np.uint8)
    picture[..., 0] = np.arange(width)[None] % 256
    picture[..., 1] = np.arange(height)[:, None] % 256
    return picture


@pytest.mark.parametrize(
    ("options", "count"),
    [({}, 9), ({"still": False}, 8), ({"joint_axes": True}, 25), ({"speeds": 3}, 5), ({"speeds": 7}, 13)],
)
def test_numbers_of_classes(options: dict[str, int], count: int) -> None:
    assert len(motion_classes(**options)) == len(set(motion_classes(**options))) == count


def test_order_of_the_nine_classes() -> None:
    assert [tuple(motion) for motion in motion_classes()] == NINE


def test_joint_classes_run_over_y_first() -> None:
    assert motion_classes(joint_axes=True)[:3] == [
        WindowMotion(-2, -2),
        WindowMotion(-2, -1),
        WindowMotion(-2, 0),
    ]


@pytest.mark.parametrize("speeds", [1, 2, 4])
def test_speeds_must_be_odd(speeds: int) -> None:
    with pytest.raises(ValueError, match=f"expected an odd number of speeds, at least 3, found {speeds}"):
        motion_classes(speeds)


def test_mirroring_twice_gives_the_class_again() -> None:
    for joint in (False, True):
        classes = motion_classes(joint_axes=joint)
        assert [mirrored_class(classes, mirrored_class(classes, i)) for i in range(len(classes))] == [
            *range(len(classes))
        ]


@given(speed=st.integers(-2, 2), free_px=st.integers(0, 300), seed=st.integers(0, 99))
def test_paths_stay_in_the_picture(speed: int, free_px: int, seed: int) -> None:
    path = random_path(speed, 2, free_px, np.random.default_rng(seed))
    assert 0 <= path.start_px <= free_px
    assert -0.5 <= path.start_px + path.distance_px <= free_px + 0.5


def test_displacements_of_the_paper() -> None:
    clips = MovingClips(mask_share=None).of_picture(coordinates(320, 320) // 2 * 2, np.random.default_rng(3))
    assert clips.shape == (9, 16, 112, 112, 3)
    for (x, y), clip in zip(NINE, clips, strict=True):
        first, last = clip[0, 0, 0].astype(int), clip[-1, 0, 0].astype(int)
        moved = (last - first)[:2] % 256
        expected = np.array([x * 104, y * 104]) % 256
        assert np.abs((moved - expected + 128) % 256 - 128).max() <= 2  # pictures tell every other pixel


def test_clips_are_windows_of_the_picture_to_the_pixel() -> None:
    """A slow plain form: the window's corner is read from the picture, and the whole window
    compared."""
    settings = MovingClips(picture_px=96, window_px=32, num_frames=8, mask_share=None)
    picture = coordinates(96, 96)
    for clip in settings.of_picture(picture, np.random.default_rng(0)):
        for frame in clip:
            x, y = int(frame[0, 0, 0]), int(frame[0, 0, 1])
            assert np.array_equal(frame, picture[y : y + 32, x : x + 32])


@given(seed=st.integers(0, 30))
def test_speed_is_the_same_from_frame_to_frame(seed: int) -> None:
    settings = MovingClips(picture_px=96, window_px=32, num_frames=9, mask_share=None)
    clips = settings.of_picture(coordinates(96, 96), np.random.default_rng(seed))
    for (x, y), clip in zip(NINE, clips, strict=True):
        corners = clip[:, 0, 0, :2].astype(int)
        assert np.array_equal(np.diff(corners, axis=0), np.tile([4 * x, 4 * y], (8, 1)))


def test_validation_starts_in_the_middle() -> None:
    settings = MovingClips(picture_px=96, window_px=32, num_frames=9, mask_share=None)
    clips = settings.of_picture(coordinates(96, 96), np.random.default_rng(0), central=True)
    assert [tuple(clip[0, 0, 0, :2]) for clip in clips] == [
        (64, 32), (48, 32), (16, 32), (0, 32), (32, 64), (32, 48), (32, 16), (32, 0), (32, 32)
    ]  # fmt: skip


@given(share=st.floats(0.3, 0.5), seed=st.integers(0, 99))
def test_only_the_rectangle_moves(share: float, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    clip = torch.rand(3, 6, 40, 40, generator=generator)
    masked = static_mask(clip, share, np.random.default_rng(seed))
    changes = (
        (masked != masked[:, :1]).any(dim=(0, 1)) if False else (masked != masked[:, :1]).flatten(0, 1).any(0)
    )
    rows, columns = torch.nonzero(changes, as_tuple=True)
    side = int(40 * share)
    assert len(rows) == side * side
    assert rows.max() - rows.min() == columns.max() - columns.min() == side - 1
    inside = (
        ...,
        slice(int(rows.min()), int(rows.max()) + 1),
        slice(int(columns.min()), int(columns.max()) + 1),
    )
    assert torch.equal(masked[inside], clip[inside])
    frozen = [bool(torch.equal(masked[:, 0][:, ~changes], frame[:, ~changes])) for frame in clip.unbind(1)]
    assert sum(frozen) == 1  # the frame that stands still outside is one of the clip's


def test_a_flipped_clip_has_the_mirrored_label() -> None:
    settings = MovingClips(picture_px=96, window_px=32, num_frames=9, mask_share=None)
    stack = settings.of_picture(coordinates(96, 96), np.random.default_rng(5))
    clips = torch.from_numpy(stack).permute(0, 4, 1, 2, 3)
    flipped, labels = random_flips(clips, [*range(9)], settings.classes, np.random.default_rng(1))
    assert labels != [*range(9)]
    for clip, label in zip(flipped, labels, strict=True):
        left_to_right = clip[0, 0, 0, -1] > clip[0, 0, 0, 0]
        corners = clip[0, :, 0, 0 if left_to_right else -1].int()
        direction = 1 if left_to_right else -1
        assert set((corners[1:] - corners[:-1]).tolist()) == {4 * direction * NINE[label][0]}


def test_pictures_are_truncated_to_whole_values() -> None:
    picture = np.full((10, 20, 3), 7, np.uint8)
    assert scaled_picture(picture, 20).shape == (20, 40, 3)
    assert set(np.unique(scaled_picture(picture, 20))) <= {6, 7}  # truncated, as the original does


@pytest.mark.parametrize("module", [motions, moving_clips])
def test_doctests(module: object) -> None:
    assert doctest.testmod(module).failed == 0  # type: ignore[arg-type]
