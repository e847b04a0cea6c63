"""RandAugment against Pillow, frame by frame."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps
from torch import Tensor

from video_datasets.video.rand_augment import OPERATIONS, RandAugment

FILL = (115, 110, 100)
SHARE = 0.9
Reference = Callable[[Image.Image], Image.Image]


def affine(*matrix: float) -> Reference:
    return lambda image: image.transform(
        image.size, Image.Transform.AFFINE, matrix, Image.Resampling.BICUBIC, fillcolor=FILL
    )


def enhanced(kind: type[ImageEnhance._Enhance], factor: float) -> Reference:
    return lambda image: kind(image).enhance(factor)


def solarize_add(image: Image.Image) -> Image.Image:
    return image.point([min(255, i + 99) if i < 128 else i for i in range(256)] * 3)


def references(sign: float, width: int, height: int) -> dict[str, tuple[Reference, float]]:
    """Of each operation: Pillow's, and the mean difference in levels that rounding (enhancements) or
    another bicubic kernel (geometry) makes at most."""
    factor = 1 + sign * 0.9 * SHARE
    return {
        "auto_contrast": (ImageOps.autocontrast, 0.02),
        "equalize": (ImageOps.equalize, 0.0),
        "invert": (ImageOps.invert, 0.0),
        "rotate": (
            lambda image: image.rotate(sign * 27, Image.Resampling.BICUBIC, fillcolor=FILL),
            2.0,
        ),
        "posterize": (lambda image: ImageOps.posterize(image, 1), 0.0),
        "solarize": (lambda image: ImageOps.solarize(image, 26), 0.0),
        "solarize_add": (solarize_add, 0.0),
        "saturate": (enhanced(ImageEnhance.Color, factor), 1.0),
        "contrast": (enhanced(ImageEnhance.Contrast, factor), 1.0),
        "brighten": (enhanced(ImageEnhance.Brightness, factor), 1.0),
        "sharpen": (enhanced(ImageEnhance.Sharpness, factor), 1.0),
        "shear_x": (affine(1, sign * 0.27, 0, 0, 1, 0), 2.0),
        "shear_y": (affine(1, 0, 0, sign * 0.27, 1, 0), 2.0),
        "shift_x": (affine(1, 0, sign * 0.405 * width, 0, 1, 0), 2.0),
        "shift_y": (affine(1, 0, 0, 0, 1, sign * 0.405 * height), 2.0),
    }


def pictures(count: int, height: int, width: int) -> np.ndarray:
    """Smooth random colours (T, H, W, 3), as pictures are, with some noise."""
    rng = np.random.default_rng(0)
    coarse = [rng.integers(20, 235, (5, 6, 3), dtype=np.uint8) for _ in range(count)]
    resized = [Image.fromarray(c).resize((width, height), Image.Resampling.BICUBIC) for c in coarse]
    noisy = np.stack([np.asarray(image) for image in resized]).astype(int) + rng.integers(-3, 4)
    return noisy.clip(0, 255).astype(np.uint8)


def to_clip(frames: np.ndarray) -> Tensor:
    return torch.from_numpy(frames).permute(3, 0, 1, 2).float() / 255


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("name", OPERATIONS)
def test_operations_are_those_of_pillow(name: str, sign: float) -> None:
    frames = pictures(2, 40, 52)
    reference, tolerance = references(sign, 52, 40)[name]
    fill = torch.tensor(FILL) / 255
    found = (OPERATIONS[name](to_clip(frames), SHARE, sign, fill) * 255).round().clamp(0, 255)
    expected = np.stack([np.asarray(reference(Image.fromarray(frame))) for frame in frames])
    gap = np.abs(found.permute(1, 2, 3, 0).numpy() - expected)
    assert gap.mean() <= tolerance
    assert gap.max() <= (255 if tolerance == 2.0 else 1)  # geometry: pixels at the border of the fill


def test_all_frames_are_changed_alike_and_draws_repeat() -> None:
    still = to_clip(pictures(1, 32, 32)).expand(-1, 4, -1, -1).contiguous()
    augment = RandAugment(4, 9.0, [0.45] * 3)
    changed = 0
    for seed in range(20):
        found = augment(still, torch.Generator().manual_seed(seed))
        again = augment(still, torch.Generator().manual_seed(seed))
        assert torch.equal(found, again)
        assert torch.equal(found, found[:, :1].expand_as(found))
        assert found.shape == still.shape
        assert 0 <= found.min() <= found.max() <= 1
        changed += not torch.equal(found, still)
    assert changed > 10


def test_a_clip_of_one_colour_survives_everything() -> None:
    plain = torch.full((3, 2, 16, 16), 100 / 255)
    for name, operation in OPERATIONS.items():
        found = operation(plain, SHARE, 1.0, torch.tensor([0.45] * 3))
        assert torch.isfinite(found).all(), name
