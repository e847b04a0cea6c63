"""Cost of a network: parameters and multiply-accumulates, beside the figures of the papers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch.utils.flop_counter import FlopCounterMode

from tadaconv.registry import create_model

TADA = "TAda!, ICLR 2022"
TADA_V2 = "arXiv 2308.05787"
CSN = "CSN, ICCV 2019"
VIVIT = "ViViT, ICCV 2021"


@dataclass(frozen=True, kw_only=True)
class PaperFigures:
    """What a paper says a network costs. (Their "GFLOPs" are multiply-accumulates.)"""

    clip: tuple[int, int, int]
    """(T, H, W) that the figure holds for."""
    gmacs: float
    """10^9 multiply-accumulates for one clip."""
    source: str
    """The paper."""
    params_m: float | None = None
    """10^6 parameters with 400 classes; None: not known to us."""


@dataclass(frozen=True, kw_only=True)
class Costs:
    """What one of our networks costs."""

    params_m: float
    """10^6 parameters."""
    gmacs: float
    """10^9 multiply-accumulates for one clip."""


PAPER_FIGURES: Mapping[str, PaperFigures] = {
    "tada2d_r50": PaperFigures(clip=(8, 256, 256), gmacs=43.13, params_m=27.5, source=TADA),
    "r3d_r50": PaperFigures(clip=(8, 256, 256), gmacs=84.23, source=TADA),
    "r2p1d_r50": PaperFigures(clip=(8, 256, 256), gmacs=49.55, source=TADA),
    "slowfast_4x16": PaperFigures(clip=(32, 256, 256), gmacs=36.10, source=TADA),
    "slowfast_8x8": PaperFigures(clip=(32, 256, 256), gmacs=65.71, source=TADA),
    "tadaconvnextv2_tiny": PaperFigures(clip=(16, 256, 256), gmacs=47, source=TADA_V2),
    "tadaconvnextv2_small": PaperFigures(clip=(16, 256, 256), gmacs=91, source=TADA_V2),
    "tadaconvnextv2_base": PaperFigures(clip=(16, 256, 256), gmacs=162, source=TADA_V2),
    "csn_r152": PaperFigures(clip=(32, 256, 256), gmacs=96.7, source=CSN),
    "vivit_b16": PaperFigures(clip=(32, 224, 224), gmacs=455.2, params_m=88.9, source=VIVIT),
    "vivit_fac_enc_b16": PaperFigures(clip=(32, 224, 224), gmacs=284.4, params_m=115.1, source=VIVIT),
    "tadaformer_b16": PaperFigures(clip=(16, 224, 224), gmacs=153, source=TADA_V2),
    "tadaformer_b16_ssv2": PaperFigures(clip=(16, 224, 224), gmacs=187, source=TADA_V2),
    "tadaformer_l14": PaperFigures(clip=(16, 224, 224), gmacs=703, source=TADA_V2),
}


def count_costs(name: str, clip: tuple[int, int, int]) -> Costs:
    """Parameters (400 classes), and multiply-accumulates of convolutions and matrix products for
    one clip.

    Nothing is computed and no memory taken: tensors have shapes only.

    >>> costs = count_costs("tada2d_r50", clip=(8, 224, 224))
    >>> f"{costs.params_m:.2f} {costs.gmacs:.2f}"
    '27.49 33.02'
    """
    with torch.device("meta"), torch.no_grad(), FlopCounterMode(display=False) as counter:
        model = create_model(name, input_size=clip, hub_weights=False)
        model(torch.empty(1, 3, *clip))
    n_params = sum(parameter.numel() for parameter in model.parameters())
    return Costs(params_m=n_params / 1e6, gmacs=counter.get_total_flops() / 2 / 1e9)
