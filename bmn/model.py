"""The Boundary-Matching Network: start, end and confidence of every segment of a window.

Axes: B batch, C input channels, T positions, D durations.

    x (B,C,T) -> backbone -+-> x_1d_s ------------------------------> start (B,T)
                           +-> x_1d_e ------------------------------> end (B,T)
                           +-> x_1d_p -> sampling, x_3d_p -> x_2d_p -> confidence_map (B,2,D,T)
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from bmn.boundary_matching import BoundaryMatching
from bmn.map_cells import MapCells
from tadaconv.weights import refuse_not_finite
from tadaconv.weights_files import read_weights_file

GROUPS = 4
"""Groups of the backbone's and the boundary branches' convolutions, hence a divisor of their
channels."""
REDUCE, FIRST, SECOND, LAST = 0, 2, 4, 6
"""Places of the convolutions in `x_2d_p`, which are their names in the original's checkpoints."""


def _conv1d(in_channels: int, out_channels: int, groups: int = 1) -> nn.Conv1d:
    return nn.Conv1d(in_channels, out_channels, kernel_size=3, padding=1, groups=groups)


def _conv2d(branch: nn.Sequential, place: int) -> nn.Conv2d:
    layer = branch[place]
    assert isinstance(layer, nn.Conv2d)
    return layer


def _probability(logits: Tensor) -> Tensor:
    """Sigmoid in float32 at least: under bf16 autocast, probabilities near 1 would round to 1."""
    return torch.sigmoid(logits.to(torch.promote_types(logits.dtype, torch.float32)))


class Trunk(nn.Module):
    """Two grouped temporal convolutions: (B, C, T) -> (B, hidden, T)."""

    def __init__(self, in_channels: int, hidden: int) -> None:
        super().__init__()
        self.conv_layer = nn.Sequential(
            _conv1d(in_channels, hidden, GROUPS), nn.ReLU(), _conv1d(hidden, hidden, GROUPS), nn.ReLU()
        )

    def forward(self, feats_BCT: Tensor) -> Tensor:
        """Apply the two convolutions."""
        out: Tensor = self.conv_layer(feats_BCT)
        return out


class BoundaryHead(nn.Module):
    """The branches of BMN; attributes are named as in the original, so that its weights fit."""

    def __init__(
        self,
        sampling: BoundaryMatching,
        map_cells: MapCells,
        hidden_1d: int,
        hidden_2d: int,
        hidden_3d: int,
    ) -> None:
        super().__init__()
        self.sampling, self.map_cells = sampling, map_cells
        self.x_1d_s = self._boundary_branch(hidden_1d)
        self.x_1d_e = self._boundary_branch(hidden_1d)
        self.x_1d_p = nn.Sequential(_conv1d(hidden_1d, hidden_1d), nn.ReLU())
        self.x_3d_p = nn.Sequential(nn.Conv3d(hidden_1d, hidden_3d, (sampling.num_samples, 1, 1)), nn.ReLU())
        self.x_2d_p = nn.Sequential(
            nn.Conv2d(hidden_3d, hidden_2d, 1),
            nn.ReLU(),
            nn.Conv2d(hidden_2d, hidden_2d, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(hidden_2d, hidden_2d, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(hidden_2d, 2, 1),
        )

    @staticmethod
    def _boundary_branch(hidden: int) -> nn.Sequential:
        return nn.Sequential(_conv1d(hidden, hidden, GROUPS), nn.ReLU(), nn.Conv1d(hidden, 1, 1))

    def forward(self, feats_BCT: Tensor) -> dict[str, Tensor]:
        """Return "start" (B, T), "end" (B, T) and "confidence_map" (B, 2, D, T), probabilities."""
        return {
            "start": _probability(self.x_1d_s(feats_BCT).squeeze(1)),
            "end": _probability(self.x_1d_e(feats_BCT).squeeze(1)),
            "confidence_map": self._confidence_map(self.x_1d_p(feats_BCT)),
        }

    def _confidence_map(self, feats_BCT: Tensor) -> Tensor:
        """Compute the convolutions `x_3d_p` and `x_2d_p`, each for the distinct cells of the map
        only."""
        conv_3d = self.x_3d_p[0]
        reduce, first, second, last = (_conv2d(self.x_2d_p, at) for at in (REDUCE, FIRST, SECOND, LAST))
        assert isinstance(conv_3d, nn.Conv3d)
        assert conv_3d.bias is not None
        conv_3d_bias = conv_3d.bias
        # One item after the other: without gradients only one at a time has its hidden_3d channels
        # in memory.
        cells_BKF = torch.stack(
            [
                F.relu_(_pointwise(F.relu_(self.sampling(responses_XO, conv_3d_bias)), reduce))
                for responses_XO in self.sampling.responses(feats_BCT, conv_3d.weight)
            ]
        )
        # Where nothing is sampled, in an invalid cell, the first convolution yields its bias.
        invalid_F = F.relu(_pointwise(F.relu(conv_3d_bias), reduce))
        cells = self.map_cells.from_valid(cells_BKF, invalid_F)
        cells = F.relu_(self.map_cells.convolve(cells, first))
        cells = F.relu_(self.map_cells.convolve(cells, second))
        return self.map_cells.to_map(_probability(_pointwise(cells, last)))


def _pointwise(cells: Tensor, conv: nn.Conv2d) -> Tensor:
    """Apply a 1 x 1 convolution to features in the last axis."""
    return F.linear(cells, conv.weight.flatten(1), conv.bias)


class BMN(nn.Module):
    """Boundary-Matching Network for a fixed number of positions.

    Source: Lin et al., "BMN: Boundary-Matching Network for Temporal Action Proposal Generation",
    ICCV 2019, Sec. 4; layer sizes, groups and parameter names as in the TAdaConv code
    (`bmn_head.py`, `backbone.py`). Differences: the sampling is sparse and folded into the
    convolution after it (`bmn.boundary_matching`), and the convolutions of the map are computed for
    its distinct cells only (`bmn.map_cells`), both equal up to rounding in every cell; the sampling
    mask is not part of the state_dict.

    Args:
        in_channels: feature channels C, a multiple of 4.
        tscale: positions T of the input.
        dscale: durations D, at most T; a cell (d, t) is the segment [t / T, (t + d + 1) / T].
        num_samples: samples of a cell.
        num_samples_per_bin: points averaged into one sample.
        boundary_ratio: extension of a cell on both sides, as a fraction of its length.
        hidden_1d: channels of the sequence, a multiple of 4.
        hidden_2d: channels of the map.
        hidden_3d: channels of a cell right after the sampling.

    Raises:
        ValueError: if a size is out of range.

    >>> model = BMN(8, tscale=6, dscale=4, hidden_1d=8, hidden_2d=8, hidden_3d=8)
    >>> {name: tuple(out.shape) for name, out in model(torch.zeros(2, 8, 6)).items()}
    {'start': (2, 6), 'end': (2, 6), 'confidence_map': (2, 2, 4, 6)}
    """

    def __init__(
        self,
        in_channels: int,
        tscale: int = 100,
        dscale: int = 100,
        num_samples: int = 32,
        num_samples_per_bin: int = 3,
        boundary_ratio: float = 0.5,
        *,
        hidden_1d: int = 256,
        hidden_2d: int = 128,
        hidden_3d: int = 512,
    ) -> None:
        super().__init__()
        for name, channels in (("in_channels", in_channels), ("hidden_1d", hidden_1d)):
            if channels < GROUPS or channels % GROUPS:
                raise ValueError(
                    f"{name} must be a positive multiple of {GROUPS} (grouped convolution), got {channels}"
                )
        self.in_channels, self.tscale, self.dscale = in_channels, tscale, dscale
        self.backbone = Trunk(in_channels, hidden_1d)
        sampling = BoundaryMatching(tscale, dscale, num_samples, num_samples_per_bin, boundary_ratio)
        self.head = BoundaryHead(sampling, MapCells(tscale, dscale), hidden_1d, hidden_2d, hidden_3d)

    def forward(self, feats_BCT: Tensor) -> dict[str, Tensor]:
        """Predict the maps of a batch of windows.

        Args:
            feats_BCT: features (B, C, T).

        Returns:
            "start" (B, T) and "end" (B, T), probability that an action starts or ends at each
            position; "confidence_map" (B, 2, D, T), channel 0 = IoU by regression, channel 1 = IoU
            by classification. All after the sigmoid, float32 also under autocast.

        Raises:
            ValueError: if the input is not (B, in_channels, tscale).
        """
        if feats_BCT.dim() != 3 or feats_BCT.shape[1:] != (self.in_channels, self.tscale):
            raise ValueError(
                f"BMN expects features (batch, {self.in_channels} channels, {self.tscale} positions), "
                f"got {tuple(feats_BCT.shape)}; rescale the features to {self.tscale} positions or set tscale"
            )
        outputs: dict[str, Tensor] = self.head(self.backbone(feats_BCT))
        return outputs


def load_original_weights(model: BMN, path: str | os.PathLike[str]) -> None:
    """Load a checkpoint of this model or of the original code into `model`, strictly.

    Accepted are a bare state_dict and one under "model_state" (TAdaConv) or "state_dict" (JJBOY),
    with or without the "module." that data parallelism prepends. Only the stored sampling mask is
    ignored.

    Args:
        model: a BMN of the checkpoint's sizes.
        path: file written by `torch.save`, or one of safetensors.

    Raises:
        ValueError: if it is no file of weights, keys are missing or unknown, shapes differ, or a
            value is not finite.
        FileNotFoundError: if there is no such file.
    """
    state: Any = read_weights_file(Path(path))
    for wrapper in ("model_state", "state_dict"):
        inner = state.get(wrapper)
        state = inner if isinstance(inner, Mapping) else state
    state = {str(key).removeprefix("module."): value for key, value in state.items()}
    weights = {key: value for key, value in state.items() if key.split(".")[-1] != "sample_mask"}
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ValueError(f"{os.fspath(path)}: not the weights of this BMN: {error}") from error
    refuse_not_finite(weights, os.fspath(path))
