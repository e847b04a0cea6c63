"""Changes of colour, pixel by pixel against the standard library's `colorsys` and plain
arithmetic."""

from __future__ import annotations

import colorsys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from video_datasets.video.colour import ColourJitter, brighten, contrast, grey, saturate, turn_hue


def clip(seed: int = 0, frames: int = 3) -> torch.Tensor:
    return torch.rand(3, frames, 5, 7, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@given(share=st.floats(-0.5, 0.5), seed=st.integers(0, 20))
def test_hue_as_the_standard_library(share: float, seed: int) -> None:
    pixels = clip(seed).reshape(3, -1)
    pixels[:, :3] = torch.tensor([[0.4] * 3, [0.0] * 3, [1.0] * 3]).T  # grey, black, white
    found = turn_hue(pixels.reshape(3, 3, 5, 7), share).reshape(3, -1)
    for before, after in zip(pixels.T.tolist(), found.T.tolist(), strict=True):
        hue, saturation, value = colorsys.rgb_to_hsv(*before)
        assert after == pytest.approx(colorsys.hsv_to_rgb((hue + share) % 1, saturation, value), abs=1e-9)


def test_the_other_changes_by_hand() -> None:
    pixels = clip()
    luma = 0.299 * pixels[0] + 0.587 * pixels[1] + 0.114 * pixels[2]
    mean = luma.mean(dim=(-2, -1), keepdim=True)
    assert torch.allclose(grey(pixels)[0], luma)
    assert torch.allclose(brighten(pixels, 1.5), (1.5 * pixels).clamp(0, 1))
    assert torch.allclose(contrast(pixels, 1.5), (1.5 * pixels - 0.5 * mean).clamp(0, 1))
    assert torch.allclose(saturate(pixels, 0.5), 0.5 * pixels + 0.5 * luma)


@given(seed=st.integers(0, 1000))
def test_values_stay_in_range(seed: int) -> None:
    jitter = ColourJitter(
        brightness=0.5, contrast=0.5, saturation=0.5, hue=0.25, grey_probability=0.3, per_frame=True
    )
    found = jitter(clip(seed), torch.Generator().manual_seed(seed))
    assert found.shape == (3, 3, 5, 7)
    assert found.min() >= 0
    assert found.max() <= 1


def test_factors_of_a_clip_and_of_its_frames() -> None:
    still = clip(1, frames=1).repeat(1, 6, 1, 1)
    alike = ColourJitter(brightness=0.5)(still, torch.Generator().manual_seed(2))
    each = ColourJitter(brightness=0.5, per_frame=True)(still, torch.Generator().manual_seed(2))
    assert torch.equal(alike, alike[:, :1].expand_as(alike))
    assert len({frame.sum().item() for frame in each.unbind(1)}) == 6


def test_colour_is_lost_as_often_as_asked() -> None:
    jitter, generator = ColourJitter(grey_probability=0.3), torch.Generator().manual_seed(0)
    lost = [torch.equal(*jitter(clip(), generator)[:2]) for _ in range(400)]
    assert np.mean(lost) == pytest.approx(0.3, abs=0.07)  # 3 standard deviations


def test_no_change_draws_nothing_visible() -> None:
    assert torch.equal(ColourJitter()(clip(), torch.Generator().manual_seed(0)), clip())
