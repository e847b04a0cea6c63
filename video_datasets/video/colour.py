"""Random changes of colour: brightness, contrast, saturation, hue, and loss of colour.

Source: the colour jitter of the TAdaConv repository (`datasets/utils/transformations.py`) and of
torchvision, whose arithmetic on RGB in [0, 1] this is. Pure functions; randomness comes from the
generator that is passed in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

_GREY_WEIGHTS = (0.299, 0.587, 0.114)
"""Of red, green and blue (ITU-R BT.601)."""


@dataclass(frozen=True, kw_only=True)
class ColourJitter:
    """Strength of each change; 0 turns it off.

    Attributes:
        brightness: factors are drawn from 1 - brightness to 1 + brightness, not below 0.
        contrast: likewise.
        saturation: likewise.
        hue: the largest turn of the colour circle, as a share of it, at most 0.5.
        grey_probability: of losing all colour, first and for the whole clip.
        per_frame: whether every frame draws its own factors and order.
    """

    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0
    grey_probability: float = 0.0
    per_frame: bool = False

    def __call__(self, clip_CTHW: Tensor, generator: torch.Generator) -> Tensor:
        """Change a clip (3, T, H, W) with values in [0, 1]; the result is in [0, 1] again."""
        if _uniform(0, 1, generator) < self.grey_probability:
            clip_CTHW = grey(clip_CTHW).expand_as(clip_CTHW)
        if not self.per_frame:
            return self._changed(clip_CTHW, generator)
        return torch.cat([self._changed(frame, generator) for frame in clip_CTHW.split(1, dim=1)], dim=1)

    def _changed(self, clip_CTHW: Tensor, generator: torch.Generator) -> Tensor:
        changes: list[tuple[Callable[[Tensor, float], Tensor], float, float]] = [
            (change, max(0.0, 1 - strength), 1 + strength)
            for change, strength in (
                (brighten, self.brightness),
                (contrast, self.contrast),
                (saturate, self.saturation),
            )
            if strength
        ]
        if self.hue:
            changes.append((turn_hue, -self.hue, self.hue))
        for place in torch.randperm(len(changes), generator=generator).tolist():
            change, low, high = changes[place]
            clip_CTHW = change(clip_CTHW, _uniform(low, high, generator))
        return clip_CTHW


def _uniform(low: float, high: float, generator: torch.Generator) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator, dtype=torch.float64))


def grey(clip_CTHW: Tensor) -> Tensor:
    """Return the brightness (1, T, H, W) of RGB (3, T, H, W)."""
    return torch.tensordot(clip_CTHW.new_tensor(_GREY_WEIGHTS), clip_CTHW, dims=1)[None]


def brighten(clip_CTHW: Tensor, factor: float) -> Tensor:
    """Multiply all values."""
    return (clip_CTHW * factor).clamp(0, 1)


def contrast(clip_CTHW: Tensor, factor: float) -> Tensor:
    """Move every frame away from (factor above 1) or towards its mean brightness."""
    mean = grey(clip_CTHW).mean(dim=(-2, -1), keepdim=True)
    return torch.lerp(mean, clip_CTHW, factor).clamp(0, 1)


def saturate(clip_CTHW: Tensor, factor: float) -> Tensor:
    """Move every pixel away from (factor above 1) or towards its brightness."""
    return torch.lerp(grey(clip_CTHW), clip_CTHW, factor).clamp(0, 1)


def turn_hue(clip_CTHW: Tensor, share: float) -> Tensor:
    """Turn the hue of every pixel by a share of the colour circle; value and saturation (HSV) stay.

    In HSV a channel is value * (1 - saturation * d), d = clamp(min(k, 4 - k), 0, 1), with
    k = (offset + 6 * hue) mod 6 and offsets 5, 3, 1 for red, green, blue.
    """
    value, spread = clip_CTHW.amax(0), clip_CTHW.amax(0) - clip_CTHW.amin(0)
    red, green, blue = clip_CTHW
    by = spread.clamp_min(torch.finfo(clip_CTHW.dtype).tiny)
    hue = torch.where(
        value == red,
        (green - blue) / by,
        torch.where(value == green, 2 + (blue - red) / by, 4 + (red - green) / by),
    )
    offsets = clip_CTHW.new_tensor([5.0, 3.0, 1.0]).view(3, 1, 1, 1)
    k = (offsets + hue + 6 * share) % 6
    return (value - spread * torch.minimum(k, 4 - k).clamp(0, 1)).clamp(0, 1)
