"""RandAugment of a whole clip: some random changes of geometry and colour, the same in all frames.

Source: Cubuk et al. 2020, in the form "rand-m9-n4-mstd0.5-inc1" of timm that TAdaFormer and
TAdaConvNeXtV2 are trained with. So many operations are drawn, with replacement, from 15; each is
applied with probability 0.5, at a magnitude near the given one of 10; "increasing" forms do more at
a larger magnitude. Magnitudes and signs are drawn once for a clip. What moves out of the picture is
filled with the network's mean colour.

Arithmetic is that of Pillow on 8-bit pictures. Pure functions on RGB clips (3, T, H, W) in [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from video_datasets.video.colour import brighten, contrast, saturate

PROBABILITY = 0.5
"""Of each operation that was drawn."""
MAGNITUDE_STD = 0.5
MAX_MAGNITUDE = 10.0
MAX_DEGREES, MAX_SHEAR, MAX_SHIFT = 30.0, 0.3, 0.45
"""At the largest magnitude; shifts are shares of the picture's width or height."""
Operation = Callable[[Tensor, float, float, Tensor], Tensor]
"""Of a clip, the share of the largest magnitude, a sign, and the fill colour (3,)."""


@dataclass(frozen=True)
class RandAugment:
    """The changes of a clip.

    Attributes:
        operations: drawn for each clip.
        magnitude: 0 to 10, about which magnitudes are drawn.
        fill: colour (red, green, blue) of what lies outside, in [0, 1].
    """

    operations: int
    magnitude: float
    fill: Sequence[float]

    def __call__(self, clip_CTHW: Tensor, generator: torch.Generator) -> Tensor:
        """Change a clip (3, T, H, W) with values in [0, 1]; the result is one of 8-bit values."""
        clip_CTHW = _eight_bit(clip_CTHW)
        names = list(OPERATIONS)
        fill = clip_CTHW.new_tensor(self.fill)
        for _ in range(self.operations):
            place = int(torch.randint(len(names), (), generator=generator))
            applied, sign = torch.rand(2, generator=generator).tolist()
            spread = float(torch.randn((), generator=generator)) * MAGNITUDE_STD
            if applied < PROBABILITY:
                share = min(max(self.magnitude + spread, 0.0), MAX_MAGNITUDE) / MAX_MAGNITUDE
                change = OPERATIONS[names[place]]
                clip_CTHW = _eight_bit(change(clip_CTHW, share, 1.0 if sign < 0.5 else -1.0, fill))
        return clip_CTHW


def _eight_bit(clip_CTHW: Tensor) -> Tensor:
    return (clip_CTHW * 255).round().clamp(0, 255) / 255


def auto_contrast(clip_CTHW: Tensor) -> Tensor:
    """Stretch each channel of each frame to the whole range."""
    low, high = clip_CTHW.amin((-2, -1), keepdim=True), clip_CTHW.amax((-2, -1), keepdim=True)
    stretched = ((clip_CTHW - low) / (high - low).clamp_min(1 / 255) * 255 + 1e-3).floor() / 255
    return torch.where(high > low, stretched, clip_CTHW)


def equalize(clip_CTHW: Tensor) -> Tensor:
    """Make the values of each channel of each frame about equally frequent."""
    levels = (clip_CTHW * 255).round().long()
    planes = levels.flatten(0, 1).flatten(1)  # C T x H W
    counts = torch.zeros(len(planes), 256, dtype=torch.long).scatter_add_(1, planes, torch.ones_like(planes))
    highest = planes.amax(dim=1, keepdim=True)
    step = (planes.shape[1] - counts.gather(1, highest)) // 255
    table = (step // 2 + counts.cumsum(dim=1) - counts) // step.clamp_min(1)
    table = torch.where(step > 0, table.clamp(max=255), torch.arange(256))
    return table.gather(1, planes).view_as(levels).to(clip_CTHW.dtype) / 255


def posterize(clip_CTHW: Tensor, bits: int) -> Tensor:
    """Keep the highest bits of every value."""
    step = 2 ** (8 - bits)
    return ((clip_CTHW * 255).round() / step).floor() * step / 255


def solarize(clip_CTHW: Tensor, threshold: float) -> Tensor:
    """Invert values from a threshold (0 to 256) on."""
    return torch.where((clip_CTHW * 255).round() < threshold, clip_CTHW, 1 - clip_CTHW)


def brighten_dark(clip_CTHW: Tensor, added: int) -> Tensor:
    """Add to the values of the darker half."""
    return torch.where((clip_CTHW * 255).round() < 128, (clip_CTHW + added / 255).clamp(max=1), clip_CTHW)


def sharpen(clip_CTHW: Tensor, factor: float) -> Tensor:
    """Move every pixel away from (factor above 1) or towards its smoothed neighbourhood; those at
    the border stay."""
    kernel = torch.ones(3, 3)
    kernel[1, 1] = 5
    weights = (kernel / kernel.sum()).to(clip_CTHW).view(1, 1, 3, 3)
    smooth = clip_CTHW.clone()
    planes = clip_CTHW.flatten(0, 1)[:, None]
    smooth[..., 1:-1, 1:-1] = _eight_bit(F.conv2d(planes, weights)[:, 0]).view(
        *clip_CTHW.shape[:2], *_inner(clip_CTHW)
    )
    return torch.lerp(smooth, clip_CTHW, factor).clamp(0, 1)


def _inner(clip_CTHW: Tensor) -> tuple[int, int]:
    height, width = clip_CTHW.shape[-2:]
    return height - 2, width - 2


def move(clip_CTHW: Tensor, matrix: Sequence[float], fill: Tensor) -> Tensor:
    """Take every pixel from another place, bicubic.

    Args:
        clip_CTHW: the clip.
        matrix: a, b, c, d, e, f: pixel (x, y) comes from (a x + b y + c, d x + e y + f), in pixels
            from the upper left corner.
        fill: (3,) colour of what comes from outside.
    """
    height, width = clip_CTHW.shape[-2:]
    a, b, c, d, e, f = matrix
    x = torch.arange(width, dtype=torch.float64) + 0.5
    y = (torch.arange(height, dtype=torch.float64) + 0.5)[:, None]
    places = torch.stack([(a * x + b * y + c) / width, (d * x + e * y + f) / height], dim=-1) * 2 - 1
    inside = (places.abs() <= 1).all(dim=-1)
    frames = (clip_CTHW - fill.view(3, 1, 1, 1)).transpose(0, 1)
    grid = places.to(clip_CTHW.dtype).expand(len(frames), -1, -1, -1)
    moved = F.grid_sample(frames, grid, mode="bicubic", padding_mode="border", align_corners=False)
    return (moved * inside + fill.view(3, 1, 1)).transpose(0, 1).clamp(0, 1)


def rotation(degrees: float, height: int, width: int) -> tuple[float, ...]:
    """Return the matrix of `move` that turns a picture counter-clockwise around its centre."""
    angle, x, y = math.radians(degrees), width / 2, height / 2
    cos, sin = math.cos(angle), math.sin(angle)
    return cos, -sin, x - cos * x + sin * y, sin, cos, y - sin * x - cos * y


def _factor(share: float, sign: float) -> float:
    return max(0.1, 1 + sign * 0.9 * share)


OPERATIONS: dict[str, Operation] = {
    "auto_contrast": lambda clip, share, sign, fill: auto_contrast(clip),
    "equalize": lambda clip, share, sign, fill: equalize(clip),
    "invert": lambda clip, share, sign, fill: 1 - clip,
    "rotate": lambda clip, share, sign, fill: move(
        clip, rotation(sign * MAX_DEGREES * share, *clip.shape[-2:]), fill
    ),
    "posterize": lambda clip, share, sign, fill: posterize(clip, 4 - int(4 * share)),
    "solarize": lambda clip, share, sign, fill: solarize(clip, 256 - min(256, int(256 * share))),
    "solarize_add": lambda clip, share, sign, fill: brighten_dark(clip, min(128, int(110 * share))),
    "saturate": lambda clip, share, sign, fill: saturate(clip, _factor(share, sign)),
    "contrast": lambda clip, share, sign, fill: contrast(clip, _factor(share, sign)),
    "brighten": lambda clip, share, sign, fill: brighten(clip, _factor(share, sign)),
    "sharpen": lambda clip, share, sign, fill: sharpen(clip, _factor(share, sign)),
    "shear_x": lambda clip, share, sign, fill: move(clip, (1, sign * MAX_SHEAR * share, 0, 0, 1, 0), fill),
    "shear_y": lambda clip, share, sign, fill: move(clip, (1, 0, 0, sign * MAX_SHEAR * share, 1, 0), fill),
    "shift_x": lambda clip, share, sign, fill: move(
        clip, (1, 0, sign * MAX_SHIFT * share * clip.shape[-1], 0, 1, 0), fill
    ),
    "shift_y": lambda clip, share, sign, fill: move(
        clip, (1, 0, 0, 0, 1, sign * MAX_SHIFT * share * clip.shape[-2]), fill
    ),
}
"""Name -> operation."""
