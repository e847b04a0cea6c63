"""Mixup and CutMix of the clips of a batch: each clip has a part of its partner in it, and of its
label.

The partner is the clip at the same place of the reversed batch. One draw holds for the whole batch:

    mixup     share * clip + (1 - share) * partner,          share from Beta(alpha, alpha)
    cutmix    a box of the partner, at the same place of all frames, that covers 1 - share of the picture

Source: mixup (Zhang et al., ICLR 2018), CutMix (Yun et al., ICCV 2019); one draw a batch and the
reversed batch as in the released code (datasets/utils/mixup.py), which draws cutmix in every second
batch where both are on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from classification.finetune.settings import FinetuneConfig

WHOLE = (0, 0, 0, 0)


@dataclass(frozen=True)
class Mix:
    """One draw.

    Attributes:
        share: weight of a clip's own label, 0 to 1.
        box: top, bottom, left, right in pixels of what comes from the partner; all 0: the pictures
            are added instead.
    """

    share: float
    box: tuple[int, int, int, int] = WHOLE

    def clips(self, clips_BCTHW: Tensor) -> Tensor:
        """Mix a batch with itself reversed."""
        partners = clips_BCTHW.flip(0)
        if self.box == WHOLE:
            return self.share * clips_BCTHW + (1 - self.share) * partners
        top, bottom, left, right = self.box
        mixed = clips_BCTHW.clone()
        mixed[..., top:bottom, left:right] = partners[..., top:bottom, left:right]
        return mixed

    def cross_entropy(self, logits: Tensor, classes: Tensor, label_smoothing: float) -> Tensor:
        """Mean loss against the mixed labels: that of either label, weighted, since it is linear
        in the target."""
        own = F.cross_entropy(logits, classes, label_smoothing=label_smoothing)
        if self.share == 1:
            return own
        partner = F.cross_entropy(logits, classes.flip(0), label_smoothing=label_smoothing)
        return self.share * own + (1 - self.share) * partner


UNMIXED = Mix(share=1.0)


def draw_mix(config: FinetuneConfig, size_px: tuple[int, int], generator: torch.Generator) -> Mix:
    """Draw how a batch is mixed; nothing is drawn where both settings are 0.

    Args:
        config: `mixup` and `cutmix`, the alphas of the Beta distributions.
        size_px: height and width of the clips.
        generator: of the step.
    """
    if not (config.mixup or config.cutmix):
        return UNMIXED
    seed = int(torch.randint(2**62, (), generator=generator, device=generator.device))
    draws = np.random.default_rng(seed)
    if config.cutmix and (not config.mixup or draws.random() < 0.5):
        return _box(draws.beta(config.cutmix, config.cutmix), size_px, draws)
    return Mix(share=float(draws.beta(config.mixup, config.mixup)))


def _box(share: float, size_px: tuple[int, int], draws: np.random.Generator) -> Mix:
    """A box of 1 - share of the picture around a random pixel, clipped; the share follows what
    is left of it."""
    sides = []
    for size in size_px:
        half, centre = int(size * math.sqrt(1 - share)) // 2, int(draws.integers(size))
        sides.append((max(centre - half, 0), min(centre + half, size)))
    (top, bottom), (left, right) = sides
    area = (bottom - top) * (right - left)
    return (
        Mix(share=1 - area / (size_px[0] * size_px[1]), box=(top, bottom, left, right)) if area else UNMIXED
    )


def erase(clip_CTHW: Tensor, generator: torch.Generator) -> Tensor:
    """Fill a random rectangle, the same in all frames, with normal noise (random erasing, Zhong et
    al., AAAI 2020).

    Area 0.02 to 1/3 of the picture, aspect 0.3 to 3.3, noise for every pixel and frame; as the
    released code does behind the normalisation.
    """
    height, width = clip_CTHW.shape[-2:]
    for _ in range(10):  # a rectangle that does not fit is drawn again
        area, aspect, row, column = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
        area = (0.02 + area * (1 / 3 - 0.02)) * height * width
        aspect = math.exp(math.log(0.3) + aspect * (math.log(1 / 0.3) - math.log(0.3)))
        tall, wide = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < tall < height and 0 < wide < width:
            top, left = int(row * (height - tall + 1)), int(column * (width - wide + 1))
            erased = clip_CTHW.clone()
            noise = torch.randn(*clip_CTHW.shape[:2], tall, wide, generator=generator)
            erased[..., top : top + tall, left : left + wide] = noise
            return erased
    return clip_CTHW
