"""ActionFormer, TemporalMaxer and TriDet: one network with three kinds of block.

Axes: B batch, C input channels, D channels, K classes, T positions, l levels. Inside, rows lie one
behind the other (B, T, D); features and outputs have the layout of the originals.

    feats (B,C,T) -> backbone -> pyramid (B,T_l,D) -> neck -+-> cls_head ----> logits (B,K,T_l)
                                                            +-> reg_head ----> offsets (B,2,T_l)
                                                            +-> start_head, end_head (TriDet)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from one_stage.architecture import Architecture
from one_stage.backbone import FeaturePyramid
from one_stage.heads import EMPTY_PRIOR, ClassHead, OffsetHead
from one_stage.joined import Pyramid, join
from one_stage.layers import MaskedGroupNorm, SequenceNorm
from one_stage.padding import PADDINGS, Padding
from one_stage.products import masked_in_place

NECK_GROUPS = 4
Outputs = dict[str, list[Tensor]]
"""Per level: "logits" (B, K, T_l), "offsets" (B, 2 or 2 (bins + 1), T_l), TriDet also "start",
"end" (B, K, T_l)."""


class Neck(nn.Module):
    """A norm of its own for every level."""

    def __init__(self, arch: Architecture, padding: Padding) -> None:
        super().__init__()
        self.padding = padding
        self.fpn_norms = nn.ModuleList(_neck_norm(arch, padding) for _ in range(arch.levels))

    def forward(self, levels: Pyramid) -> Pyramid:
        """Normalise the levels."""
        return [
            (self._normed(norm, values, mask), mask)
            for norm, (values, mask) in zip(self.fpn_norms, levels, strict=True)
        ]

    def _normed(self, norm: nn.Module, values_BTC: Tensor, mask_BT1: Tensor) -> Tensor:
        grouped = isinstance(norm, MaskedGroupNorm)
        normed: Tensor = norm(values_BTC, mask_BT1) if grouped else norm(values_BTC)
        if not self.padding.everywhere or normed is values_BTC:  # levels are masked already
            return normed
        return masked_in_place(normed, mask_BT1)


def _neck_norm(arch: Architecture, padding: Padding) -> nn.Module:
    if arch.neck == "layer":
        return SequenceNorm(arch.channels, padding.tower_eps)
    if arch.neck == "group":
        return MaskedGroupNorm(arch.channels, padding, NECK_GROUPS, affine=False)
    return nn.Identity()


class OneStageNetwork(nn.Module):
    """Class and boundaries of an action at every position of every level.

    Source: ActionFormer (Zhang et al., ECCV 2022), TriDet (Shi et al., CVPR 2023), TemporalMaxer
    (Tang et al., 2023); names of parameters as released, norms and scales in one axis. Differences:
    attention in chunks, and by default no influence of padded rows (`one_stage.padding`).

    Args:
        arch: sizes.

    Attributes:
        loss_normalizer: moving average of the positive points of a batch (`one_stage.losses`); part
            of the weights, so that training goes on with it.

    >>> arch = Architecture(kind="temporalmaxer", in_channels=4, class_towers=(3,), channels=8, stem_blocks=0)
    >>> outputs = OneStageNetwork(arch)(torch.zeros(2, 4, 50), torch.ones(2, 50, dtype=torch.bool))
    >>> [tuple(level.shape) for level in outputs["offsets"]]
    [(2, 2, 50), (2, 2, 25), (2, 2, 13), (2, 2, 7), (2, 2, 4), (2, 2, 2)]
    """

    def __init__(self, arch: Architecture) -> None:
        super().__init__()
        self.arch = arch
        self.padding = padding = PADDINGS[arch.padding]
        self.gap = max(arch.head_kernel, arch.boundary_kernel) // 2
        self.input_dropout = nn.Dropout1d(arch.input_dropout)
        self.backbone = FeaturePyramid(arch, padding)
        self.neck = Neck(arch, padding)
        towers = [ClassHead(arch, classes, arch.head_kernel, padding) for classes in arch.class_towers]
        self.cls_head: nn.Module = towers[0] if len(towers) == 1 else nn.ModuleList(towers)
        self.reg_head = OffsetHead(arch, padding)
        if arch.bins:
            self.start_head = ClassHead(arch, arch.num_classes, arch.boundary_kernel, padding)
            self.end_head = ClassHead(arch, arch.num_classes, arch.boundary_kernel, padding)
        self.loss_normalizer: Tensor
        self.register_buffer("loss_normalizer", torch.tensor(100.0, dtype=torch.float64))

    def forward(self, feats_BCT: Tensor, valid_BT: Tensor, learning_BP: Tensor | None = None) -> Outputs:
        """Predict from a batch of videos.

        Args:
            feats_BCT: features, zeros behind the last.
            valid_BT: bool, true where there is a feature: a number of leading positions.
            learning_BP: bool, points of all levels, the finest first, whose boundaries are asked for:
                in training those that learn a segment, which are few. None: all.

        Returns:
            See `Outputs`; logits before the sigmoid, offsets in strides of their level (2^l
            positions), and of points that are not asked for without meaning. With several class
            towers their classes follow each other along K.

        Raises:
            ValueError: if the shapes are not (B, in_channels, T) and (B, T).
        """
        batch, channels, length = feats_BCT.shape
        if channels != self.arch.in_channels or valid_BT.shape != (batch, length):
            raise ValueError(
                f"expected features (B, {self.arch.in_channels}, T) and validity (B, T), "
                f"got {tuple(feats_BCT.shape)} and {tuple(valid_BT.shape)}"
            )
        levels = join(self.pyramid(feats_BCT, valid_BT), self.gap, self.padding)
        towers = [head(levels) for head in self.class_heads()]
        outputs: Outputs = {
            "logits": [torch.cat(level, dim=1) for level in zip(*towers, strict=True)],
            "offsets": self.reg_head(levels.at(learning_BP)),
        }
        if self.arch.bins:
            # Boundaries are learnt on the side: they do not shape the features.
            aside = levels.at(learning_BP, self.arch.bins)._replace(values=levels.values.detach())
            outputs["start"], outputs["end"] = self.start_head(aside), self.end_head(aside)
        return outputs

    def pyramid(self, feats_BCT: Tensor, valid_BT: Tensor) -> Pyramid:
        """Return the levels that the heads look at."""
        feats_BTC = self.input_dropout(feats_BCT).transpose(1, 2)
        levels: Pyramid = self.neck(self.backbone(feats_BTC, valid_BT[..., None]))
        return levels

    def class_heads(self) -> list[ClassHead]:
        """Return the class towers."""
        heads = self.cls_head if isinstance(self.cls_head, nn.ModuleList) else [self.cls_head]
        return [head for head in heads if isinstance(head, ClassHead)]

    def silence(self, classes: list[int]) -> None:
        """Let classes that no training segment has start from a probability of next to nothing."""
        first = 0
        for head, count in zip(self.class_heads(), self.arch.class_towers, strict=True):
            head.set_prior([index - first for index in classes if 0 <= index - first < count], EMPTY_PRIOR)
            first += count
