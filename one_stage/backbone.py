"""From features to a pyramid of levels: embedding, blocks at full length, blocks that halve it."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from one_stage.architecture import Architecture
from one_stage.joined import Pyramid
from one_stage.layers import MaskedConv1d, SequenceNorm, halve, halved_mask, masked, run_tower
from one_stage.padding import Padding
from one_stage.position import positions, sinusoid_table
from one_stage.sgp import SgpBlock
from one_stage.transformer import TransformerBlock


class MaxPoolBlock(nn.Module):
    """TemporalMaxer's block: a maximum over three rows, without parameters (Tang et al., 2023,
    Sec. 3.3)."""

    def __init__(self, padding: Padding) -> None:
        super().__init__()
        self.padding = padding

    def forward(self, values_BTC: Tensor, mask_BT1: Tensor) -> tuple[Tensor, Tensor]:
        """Return the values and mask of the next level."""
        return halve(values_BTC, mask_BT1, self.padding), halved_mask(mask_BT1)


def _transformer(arch: Architecture, padding: Padding, level: int, stride: int) -> nn.Module:
    return TransformerBlock(
        arch.channels,
        heads=arch.heads,
        stride=stride,
        window=arch.windows[level],
        drop_path=arch.drop_path,
        dropout=arch.dropout,
        padding=padding,
    )


def _sgp(arch: Architecture, padding: Padding, level: int, stride: int) -> nn.Module:
    in_stem = stride == 1
    return SgpBlock(
        arch.channels,
        stride=stride,
        window=1 if in_stem else arch.windows[level],
        widening=arch.sgp_widening,
        mlp_channels=arch.sgp_mlp_channels,
        drop_path=None if in_stem else arch.drop_path,
        init_std=arch.sgp_init_std,
        padding=padding,
    )


def _pool(arch: Architecture, padding: Padding, level: int, stride: int) -> nn.Module:
    return MaxPoolBlock(padding)


BLOCKS: dict[str, Callable[[Architecture, Padding, int, int], nn.Module]] = {
    "actionformer": _transformer,
    "temporalmaxer": _pool,
    "tridet": _sgp,
}


class FeaturePyramid(nn.Module):
    """(B, T, C) to a pyramid; level l has ceil(T / 2^l) positions.

    Args:
        arch: sizes.
        padding: see there.
    """

    def __init__(self, arch: Architecture, padding: Padding) -> None:
        super().__init__()
        self.padding = padding
        sizes = [arch.in_channels, *[arch.channels] * arch.embedding_layers]
        self.embd = nn.ModuleList(
            MaskedConv1d(size, arch.channels, arch.embedding_kernel, bias=False) for size in sizes[:-1]
        )
        self.embd_norm = nn.ModuleList(SequenceNorm(arch.channels, padding.tower_eps) for _ in self.embd)
        block = BLOCKS[arch.kind]
        self.stem = nn.ModuleList(block(arch, padding, 0, 1) for _ in range(arch.stem_blocks))
        self.branch = nn.ModuleList(block(arch, padding, level, 2) for level in range(1, arch.levels))
        self.table: Tensor | None
        table = sinusoid_table(arch.max_length, arch.channels) if arch.positions else None
        self.register_buffer("table", table, persistent=False)

    def forward(self, feats_BTC: Tensor, mask_BT1: Tensor) -> Pyramid:
        """Compute all levels."""
        keep = mask_BT1 if self.padding.after_tower_norms else torch.ones_like(mask_BT1)
        values, preparation = run_tower(feats_BTC, mask_BT1, self.embd, self.embd_norm, keep)
        values = preparation(values, *preparation.parameters)
        if self.table is not None:
            values = values + masked(self._positions(self.table, mask_BT1), mask_BT1)
        for block in self.stem:
            values, mask_BT1 = block(values, mask_BT1)
        levels = [(values, mask_BT1)]
        for block in self.branch:
            values, mask_BT1 = block(values, mask_BT1)
            levels.append((values, mask_BT1))
        return levels

    def _positions(self, table_CT: Tensor, mask_BT1: Tensor) -> Tensor:
        """As released, a long batch stretches the table over its padded length."""
        padded = mask_BT1.shape[1]
        own = mask_BT1.sum((1, 2)).tolist() if self.padding.everywhere else [padded] * len(mask_BT1)
        return positions(table_CT, own, padded).transpose(1, 2)
