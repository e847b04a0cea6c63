"""ActionFormer written down plainly: torch's convolutions, norms written out, attention over all
pairs of rows with a mask.

What `benchmarks/one_stage.py` measures `one_stage` against, and a second writing of the same
network: with the same weights it gives the same maps (`tests/one_stage/test_plain_network.py`).
Axes: B batch, C channels, T rows; a mask is (B, 1, T).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from one_stage.architecture import Architecture
from one_stage.network import OneStageNetwork, Outputs


class PlainActionFormer(nn.Module):
    """The network of given weights, which keep their names.

    Args:
        network: ActionFormer with one class tower, of which the weights are taken.
    """

    def __init__(self, network: OneStageNetwork) -> None:
        super().__init__()
        self.arch: Architecture = network.arch
        self.weights = nn.ParameterDict(
            {name.replace(".", "/"): value.detach().clone() for name, value in network.named_parameters()}
        )

    def forward(self, feats_BCT: Tensor, valid_BT: Tensor, learning_BP: Tensor | None = None) -> Outputs:
        """Predict, as `OneStageNetwork` does, at all points whichever are asked for."""
        mask = valid_BT[:, None]
        values = feats_BCT
        for layer in range(self.arch.embedding_layers):
            values = self._conv(f"backbone.embd.{layer}.conv", values, mask)
            values = F.relu(self._norm(f"backbone.embd_norm.{layer}", values)) * mask
        for block in range(self.arch.stem_blocks):
            values, mask = self._block(f"backbone.stem.{block}", values, mask, 1, self.arch.windows[0])
        levels = [(values, mask)]
        for block, window in enumerate(self.arch.windows[1:]):
            values, mask = self._block(f"backbone.branch.{block}", values, mask, 2, window)
            levels.append((values, mask))
        logits, offsets = [], []
        for level, (values, mask) in enumerate(levels):
            normed = self._norm(f"neck.fpn_norms.{level}", values) * mask
            logits.append(self._conv("cls_head.cls_head.conv", self._tower("cls_head", normed, mask), mask))
            found = self._conv("reg_head.offset_head.conv", self._tower("reg_head", normed, mask), mask)
            offsets.append(F.relu(found * self._weight(f"reg_head.scale.{level}.scale")))
        return {"logits": logits, "offsets": offsets}

    def _weight(self, name: str) -> Tensor:
        return self.weights[name.replace(".", "/")]

    def _conv(self, name: str, values: Tensor, mask: Tensor, stride: int = 1) -> Tensor:
        weight, bias = self._weight(f"{name}.weight"), f"{name}.bias".replace(".", "/")
        groups = values.shape[1] // weight.shape[1]
        own = self.weights.get(bias)
        return F.conv1d(values, weight, own, stride, weight.shape[2] // 2, groups=groups) * mask

    def _norm(self, name: str, values: Tensor) -> Tensor:
        centred = values - values.mean(dim=1, keepdim=True)
        normed = centred / torch.sqrt((centred**2).mean(dim=1, keepdim=True) + 1e-5)
        return normed * self._weight(f"{name}.weight")[:, None] + self._weight(f"{name}.bias")[:, None]

    def _tower(self, name: str, values: Tensor, mask: Tensor) -> Tensor:
        for layer in range(self.arch.head_layers):
            values = self._conv(f"{name}.head.{layer}.conv", values, mask)
            values = F.relu(self._norm(f"{name}.norm.{layer}", values)) * mask
        return values

    def _block(
        self, name: str, values: Tensor, mask: Tensor, stride: int, window: int
    ) -> tuple[Tensor, Tensor]:
        normed = self._norm(f"{name}.ln1", values) * mask
        skipped = values
        if stride == 2:
            skipped = F.max_pool1d(values.masked_fill(~mask, -math.inf), 3, 2, 1)
            mask = mask[..., ::2]
            skipped = skipped.masked_fill(~mask, 0.0)
        query, key, value = (self._attended(name, role, normed, mask, stride) for role in ROLES)
        mixed = dense_attention(query, key, value, mask[:, 0], window // 2 if window > 1 else None)
        mixed = self._conv(f"{name}.attn.proj", mixed.transpose(2, 3).flatten(1, 2), mask)
        values = skipped + mixed * self._weight(f"{name}.drop_path_attn.scale")[:, None]
        hidden = F.gelu(self._conv(f"{name}.mlp.0", self._norm(f"{name}.ln2", values), mask))
        changed = self._conv(f"{name}.mlp.3", hidden, mask)
        return values + changed * self._weight(f"{name}.drop_path_mlp.scale")[:, None], mask

    def _attended(self, name: str, role: str, normed: Tensor, mask: Tensor, stride: int) -> Tensor:
        convolved = self._conv(f"{name}.attn.{role}_conv.conv", normed, mask, stride)
        rows = self._conv(f"{name}.attn.{role}", self._norm(f"{name}.attn.{role}_norm", convolved), mask)
        return rows.unflatten(1, (self.arch.heads, -1)).transpose(2, 3)


ROLES = ("query", "key", "value")


def dense_attention(
    q_BHTE: Tensor, k_BHTE: Tensor, v_BHTE: Tensor, valid_BT: Tensor, radius: int | None
) -> Tensor:
    """Attention over all pairs of rows, with a mask."""
    length = q_BHTE.shape[2]
    rows = torch.arange(length, device=q_BHTE.device)
    allowed = valid_BT[:, None, None] & ((rows - rows[:, None]).abs() <= (radius or length))
    logits = (q_BHTE * q_BHTE.shape[-1] ** -0.5) @ k_BHTE.transpose(-1, -2)
    return logits.masked_fill(~allowed, torch.finfo(logits.dtype).min).softmax(-1) @ v_BHTE
