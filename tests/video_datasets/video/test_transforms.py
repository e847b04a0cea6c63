"""Pixel preparation against a plain per-pixel version and against what the facts state."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from video_datasets.video.transforms import (
    centre_crop,
    crop,
    random_training_view,
    resize_short_side,
    resized_size,
    scaled_frames,
    three_crops,
    to_float,
)


def frames(t: int = 2, h: int = 9, w: int = 16) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (t, h, w, 3)).astype(np.uint8)


def slow_bilinear(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bilinear scaling with pixel centres at half positions, edges held; image (h, w), float64."""
    out = np.empty((height, width))
    for i in range(height):
        for j in range(width):
            y = max((i + 0.5) * image.shape[0] / height - 0.5, 0.0)
            x = max((j + 0.5) * image.shape[1] / width - 0.5, 0.0)
            top, left = int(y), int(x)
            bottom, right = min(top + 1, image.shape[0] - 1), min(left + 1, image.shape[1] - 1)
            a, b = y - top, x - left
            out[i, j] = (1 - a) * ((1 - b) * image[top, left] + b * image[top, right]) + a * (
                (1 - b) * image[bottom, left] + b * image[bottom, right]
            )
    return out


@pytest.mark.parametrize("short_side_px", [4, 9, 13])
@pytest.mark.parametrize("turned", [False, True])
def test_scaled_frames_pixel_by_pixel(short_side_px: int, turned: bool) -> None:
    decoded = frames(h=16, w=9) if turned else frames()
    prepared = scaled_frames(decoded, short_side_px)
    size = resized_size(*decoded.shape[1:3], short_side_px)
    assert prepared.shape == (3, 2, *size)
    for t in range(2):
        for c in range(3):
            expected = slow_bilinear(decoded[t, :, :, c] / 255, *size)
            np.testing.assert_allclose(prepared[c, t].numpy(), expected, atol=2e-5)


def test_frames_scaled_alone_equal_those_of_a_clip() -> None:
    decoded = frames(t=4)
    alone = torch.cat([scaled_frames(decoded[t : t + 1], 5) for t in range(4)], dim=1)
    assert torch.equal(alone, scaled_frames(decoded, 5))


@pytest.mark.parametrize(
    ("height", "width", "target", "expected"),
    [
        (1080, 1920, 224, (224, 398)),  # EPIC-KITCHENS-100
        (256, 456, 128, (128, 228)),  # HACS
        (1920, 1080, 224, (398, 224)),  # upright
        (100, 100, 7, (7, 7)),
        (3, 5, 7, (7, 11)),  # 11.67, truncated
    ],
)
def test_long_side_is_truncated(height: int, width: int, target: int, expected: tuple[int, int]) -> None:
    assert resized_size(height, width, target) == expected


def test_three_crops_lie_along_the_longer_side() -> None:
    wide = torch.arange(10.0).expand(1, 1, 4, 10)
    assert [c[0, 0, 0, 0].item() for c in three_crops(wide, 4)] == [0, 3, 6]
    tall = wide.transpose(-1, -2)
    assert [c[0, 0, 0, 0].item() for c in three_crops(tall, 4)] == [0, 3, 6]
    assert torch.equal(centre_crop(wide, 2), wide[..., 1:3, 4:6])


def view(clip: torch.Tensor, seed: int, flip_probability: float = 0.5) -> torch.Tensor:
    return random_training_view(
        clip,
        short_side_range_px=(10, 14),
        crop_px=8,
        generator=torch.Generator().manual_seed(seed),
        flip_probability=flip_probability,
    )


def test_random_views_repeat_with_the_generator_and_vary_without() -> None:
    clip = to_float(frames(h=20, w=30))
    assert torch.equal(view(clip, 1), view(clip, 1))
    assert len({view(clip, seed).sum().item() for seed in range(20)}) > 10
    assert view(clip, 1).shape == (3, 2, 8, 8)


def test_random_view_is_one_of_the_possible_ones() -> None:
    clip = to_float(frames(h=20, w=30))
    possible = [
        scaled[..., top : top + 8, left : left + 8]
        for flipped in (clip, clip.flip(-1))
        for short in range(10, 14)
        for scaled in [resize_short_side(flipped, short)]
        for top in range(scaled.shape[-2] - 7)
        for left in range(scaled.shape[-1] - 7)
    ]
    for seed in range(5):
        assert any(torch.equal(view(clip, seed), choice) for choice in possible)


def test_crops_reach_every_corner_and_flips_half_the_views() -> None:
    columns = torch.arange(20.0).expand(1, 1, 10, 20)
    rows = torch.arange(10.0)[:, None].expand(1, 1, 10, 20)
    generator = torch.Generator().manual_seed(0)

    def corner(clip: torch.Tensor, flip_probability: float) -> torch.Tensor:
        return random_training_view(
            clip,
            short_side_range_px=(10, 10),
            crop_px=8,
            generator=generator,
            flip_probability=flip_probability,
        )[0, 0, 0, :2]

    assert {corner(columns, 0)[0].item() for _ in range(300)} == set(range(13))
    assert {corner(rows, 0)[0].item() for _ in range(50)} == {0, 1, 2}
    flipped = sum(bool(corner(columns, 0.5).diff() < 0) for _ in range(400))
    assert 160 < flipped < 240  # 4 standard deviations


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: to_float(np.zeros((2, 4, 4, 3), np.float32)), r"uint8 frames .* got torch.float32 \(2, 4"),
        (lambda: to_float(np.zeros((2, 3, 4, 4), np.uint8)), r"\(T, H, W, 3\)"),
        (lambda: crop(torch.zeros(3, 1, 4, 4), 1, 0, 4), "no 4 px square at row 1, column 0 of 4 x 4 px"),
        (lambda: centre_crop(torch.zeros(3, 1, 4, 9), 5), "no 5 px square"),
        (
            lambda: random_training_view(
                torch.zeros(3, 1, 9, 9),
                short_side_range_px=(8, 6),
                crop_px=4,
                generator=torch.Generator(),
            ),
            "got crop 4, low 8, high 6",
        ),
    ],
)
def test_refuses(call, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
