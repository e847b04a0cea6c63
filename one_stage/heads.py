"""Heads that all levels share: classes, offsets to the two boundaries, and TriDet's boundary
maps."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from one_stage.architecture import Architecture
from one_stage.layers import LevelScale, MaskedConv1d, SequenceNorm, run_tower
from one_stage.padding import Padding

PRIOR = 0.01
"""Probability of a class at the start of training."""
EMPTY_PRIOR = 1e-6
"""Of a class that no training segment has."""


class _Tower(nn.Module):
    """Convolution, norm, ReLU, `arch.head_layers` times."""

    def __init__(self, arch: Architecture, kernel: int, padding: Padding) -> None:
        super().__init__()
        self.padding = padding
        channels = arch.channels
        self.head = nn.ModuleList(
            MaskedConv1d(channels, channels, kernel, bias=False) for _ in range(arch.head_layers)
        )
        self.norm = nn.ModuleList(SequenceNorm(channels, padding.tower_eps) for _ in self.head)

    def tower(self, values_BCT: Tensor, mask_B1T: Tensor) -> Tensor:
        """Apply the layers before the last."""
        return run_tower(values_BCT, mask_B1T, self.head, self.norm, self.padding)


class ClassHead(_Tower):
    """A logit for every class at every position.

    Args:
        arch: sizes.
        num_classes: K.
        kernel: of all its convolutions.
        padding: see there.
    """

    def __init__(self, arch: Architecture, num_classes: int, kernel: int, padding: Padding) -> None:
        super().__init__(arch, kernel, padding)
        self.cls_head = MaskedConv1d(arch.channels, num_classes, kernel)
        self.set_prior(range(num_classes), PRIOR)

    def set_prior(self, classes: Sequence[int], probability: float) -> None:
        """Let some classes start from a probability."""
        bias = self.cls_head.conv.bias
        assert bias is not None
        bias.data[list(classes)] = -math.log((1.0 - probability) / probability)

    def forward(self, values_BCT: Tensor, mask_B1T: Tensor) -> Tensor:
        """Return logits (B, K, T)."""
        logits: Tensor = self.cls_head(self.tower(values_BCT, mask_B1T), mask_B1T)
        return logits


class OffsetHead(_Tower):
    """Distances to the boundaries, in strides of the level: 2, or 2 (bins + 1) values a position,
    never negative.

    Args:
        arch: sizes.
        padding: see there.
    """

    def __init__(self, arch: Architecture, padding: Padding) -> None:
        super().__init__(arch, arch.head_kernel, padding)
        self.scale = nn.ModuleList(LevelScale() for _ in range(arch.levels))
        self.offset_head = MaskedConv1d(arch.channels, 2 * (arch.bins + 1), arch.head_kernel)

    def forward(self, values_BCT: Tensor, mask_B1T: Tensor, level: int) -> Tensor:
        """Return (B, 2 (bins + 1), T)."""
        offsets = self.offset_head(self.tower(values_BCT, mask_B1T), mask_B1T)
        return F.relu(self.scale[level](offsets))
