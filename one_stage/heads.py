"""Heads that all levels share: classes, offsets to the two boundaries, and TriDet's boundary
maps.

Axes: B batch, T rows of all levels, one behind the other (`one_stage.joined`), D channels, K
classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from one_stage.architecture import Architecture
from one_stage.joined import Joined, at_wanted
from one_stage.layers import LevelScale, MaskedConv1d, SequenceNorm, by_piece, run_tower
from one_stage.padding import Padding

PRIOR = 0.01
"""Probability of a class at the start of training."""
EMPTY_PRIOR = 1e-6
"""Of a class that no training segment has."""


class _Tower(nn.Module):
    """Convolution, norm, ReLU, `arch.head_layers` times, and a last convolution."""

    def __init__(self, arch: Architecture, kernel: int, padding: Padding) -> None:
        super().__init__()
        channels = arch.channels
        self.head = nn.ModuleList(
            MaskedConv1d(channels, channels, kernel, bias=False) for _ in range(arch.head_layers)
        )
        self.norm = nn.ModuleList(SequenceNorm(channels, padding.tower_eps) for _ in self.head)

    def through(self, levels: Joined, last: MaskedConv1d) -> Tensor:
        """Apply all layers, (B, T, channels of the last); where `levels.wanted` says so, no more
        rows than needed."""

        def applied(piece: Joined) -> Tensor:
            values, preparation = run_tower(piece.values, piece.mask, self.head, self.norm, piece.keep)
            found: Tensor = last(values, piece.mask, preparation)
            return found

        reach = (len(self.head) + 1) * (last.conv.kernel_size[0] // 2)
        if levels.wanted is not None:
            return at_wanted(applied, levels, reach)
        return by_piece(lambda _, rows: applied(levels.part(rows)), levels.values, reach)


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

    def forward(self, levels: Joined) -> list[Tensor]:
        """Return logits (B, K, T_l) of every level."""
        return [level.transpose(1, 2) for level in levels.split(self.through(levels, self.cls_head))]


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

    def forward(self, levels: Joined) -> list[Tensor]:
        """Return (B, 2 (bins + 1), T_l) of every level."""
        offsets = levels.split(self.through(levels, self.offset_head))
        return [
            F.relu(scale(level)).transpose(1, 2) for scale, level in zip(self.scale, offsets, strict=True)
        ]
