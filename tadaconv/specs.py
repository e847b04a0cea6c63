"""The networks by name: each is an entry of data, built by the code of its family.

``..._tada`` is a network with TAdaConvs plugged in for the spatial convolutions of its blocks
(TAda!, Table 2). Of those no code or weights are public; they follow the paper's plug-in rule: each
convolution replaced by a TAdaConv of the same shape with a router of its own (ratio 4, kernels 3,
3), and nothing else changed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol

from tadaconv.branches import CSN, R2D, R2P1D, R3D, SLOW_LATE, TADA2D, Branch, calibrate
from tadaconv.convnext import ConvNeXtSpec
from tadaconv.heads import NumClasses
from tadaconv.hub.images import TimmSpec
from tadaconv.hub.video import TransformersSpec
from tadaconv.inputs import NetworkInput
from tadaconv.network import VideoNetwork
from tadaconv.resnet import ResNetSpec
from tadaconv.s3d import S3DSpec
from tadaconv.simple_branches import SimpleBranch
from tadaconv.slowfast import SlowFastSpec
from tadaconv.tadaformer import TAdaFormerSpec
from tadaconv.vivit import FACTORISED_INPUT, FactorisedSpec, TimeSformerSpec, ViViTSpec


class NetworkSpec(Protocol):
    """The description of a network of any family, which can build it; add one to ``SPECS`` and
    all commands know it."""

    @property
    def input(self) -> NetworkInput:
        """Statistics of its pixels, size and rate of its usual clip."""
        ...

    def build(self, num_classes: NumClasses, input_size: tuple[int, int, int] | None = None) -> VideoNetwork:
        """The network, with random weights."""
        ...


def _resnet50(branch: Branch, stem_frames: int = 1) -> ResNetSpec:
    return ResNetSpec(branches=(branch,) * 4, stem_kernel=(stem_frames, 7))


# For 64-pixel clips: 32, 64, 128 and 256 channels at 16, 8, 4 and 2 pixels.
# On two CPU cores, a training step of 32 clips of 8 frames takes about 0.17 s.
_TADA2D_MINI = ResNetSpec(
    branches=(TADA2D,) * 4,
    depths=(1, 1, 2, 2),
    widths=(16, 32, 64, 128),
    expansion=2,
    stem_width=32,
    stem_stride=4,
    strides=(1, 2, 2, 2),
    input=NetworkInput(clip=(8, 64, 64)),
)

_SLOW = ResNetSpec(
    branches=(R2D, R2D, SLOW_LATE, SLOW_LATE), stem_pool=True, strides=(1, 2, 2, 2), zero_init_residual=True
)
_FAST = replace(_SLOW, branches=(SLOW_LATE,) * 4, widths=(8, 16, 32, 64), stem_width=8, stem_kernel=(5, 7))
_SLOWFAST_4X16 = SlowFastSpec(slow=_SLOW, fast=_FAST, alpha=8, fusion_frames=5)
_SLOWFAST_8X8 = SlowFastSpec(slow=_SLOW, fast=_FAST, alpha=4, fusion_frames=7)


_CSN_R152 = ResNetSpec(
    branches=(CSN,) * 4,
    depths=(3, 8, 36, 3),
    stem_kernel=(3, 7),
    stem_pool=True,
    strides=(1, 2, 2, 2),
    strides_frames=(1, 2, 2, 2),
    drawn_as_layers=True,
    input=NetworkInput(clip=(32, 256, 256), frame_step=2),
)

# The two of MoSI (Huang et al., CVPR 2021).
_R2D3D_18 = ResNetSpec(
    branches=(SimpleBranch(frames=1), SimpleBranch(frames=1), SimpleBranch(), SimpleBranch()),
    depths=(2, 2, 2, 2),
    widths=(64, 128, 256, 256),
    expansion=1,
    stem_pool=True,
    strides=(1, 2, 2, 2),
    strides_frames=(1, 1, 2, 2),
    drawn_as_layers=True,
    input=NetworkInput(clip=(16, 112, 112), frame_step=4),
)
_R2P1D_10 = ResNetSpec(
    branches=(SimpleBranch(factorised=True),) * 4,
    depths=(1, 1, 1, 1),
    expansion=1,
    factorised_stem=True,
    strides=(1, 2, 2, 2),
    strides_frames=(1, 2, 2, 2),
    drawn_as_layers=True,
    input=NetworkInput(clip=(16, 112, 112), frame_step=4),
)

_CONVNEXT_TINY = ConvNeXtSpec()
_CONVNEXT_SMALL = ConvNeXtSpec(depths=(3, 3, 27, 3), drop_path=0.4)
_CONVNEXT_BASE = ConvNeXtSpec(depths=(3, 3, 27, 3), widths=(128, 256, 512, 1024), head_dim=64, drop_path=0.6)

# "A Stronger Baseline for Ego-Centric Action Detection" (arXiv 2106.06942).
_VIVIT_EK100 = FactorisedSpec(drop_path=0.2, input=replace(FACTORISED_INPUT, clip=(32, 320, 320)))
# For 64-pixel clips: 16 patches a step.
_VIVIT_MINI = FactorisedSpec(
    width=96,
    depth=4,
    heads=4,
    temporal_depth=2,
    drop_path=0.0,
    input=replace(FACTORISED_INPUT, clip=(8, 64, 64)),
)


def _tada(spec: ResNetSpec) -> ResNetSpec:
    """The ResNet with the spatial convolution of every block calibrated."""
    return replace(spec, branches=tuple(calibrate(b) for b in spec.branches if isinstance(b, Branch)))


def _tada_slowfast(spec: SlowFastSpec) -> SlowFastSpec:
    """The same in both paths."""
    return replace(spec, slow=_tada(spec.slow), fast=_tada(spec.fast))


SPECS: dict[str, NetworkSpec] = {
    "tada2d_r50": _resnet50(TADA2D),
    "tada2d_mini": _TADA2D_MINI,
    "r2d_r50": _resnet50(R2D),  # the paper's TSN baseline
    "r2d_mini": replace(_TADA2D_MINI, branches=(R2D,) * 4),
    "r3d_r50": _resnet50(R3D, stem_frames=3),
    "r3d_r50_tada": _tada(_resnet50(R3D, stem_frames=3)),  # the paper's "3d"
    "r2p1d_r50": _resnet50(R2P1D),
    "r2p1d_r50_tada": _tada(_resnet50(R2P1D)),  # the paper's "2d"
    "r2p1d_r50_tada_2d1d": _resnet50(calibrate(R2P1D, "b1", "b2")),  # the paper's "2d+1d"
    "csn_r152": _CSN_R152,
    "r2d3d_18": _R2D3D_18,
    "r2p1d_10": _R2P1D_10,
    "s3dg": S3DSpec(),
    "slowonly_8x8": _SLOW,
    "slowonly_8x8_tada": _tada(_SLOW),
    "slowfast_4x16": _SLOWFAST_4X16,
    "slowfast_4x16_tada": _tada_slowfast(_SLOWFAST_4X16),
    "slowfast_8x8": _SLOWFAST_8X8,
    "slowfast_8x8_tada": _tada_slowfast(_SLOWFAST_8X8),
    "tadaconvnext_tiny": replace(_CONVNEXT_TINY, version=1),
    "tadaconvnext_small": replace(_CONVNEXT_SMALL, version=1),
    "tadaconvnext_base": replace(_CONVNEXT_BASE, version=1),
    "tadaconvnextv2_tiny": _CONVNEXT_TINY,
    "tadaconvnextv2_small": _CONVNEXT_SMALL,
    "tadaconvnextv2_base": _CONVNEXT_BASE,
    "vivit_b16": ViViTSpec(),
    "vivit_fac_enc_b16": FactorisedSpec(),
    "vivit_fac_enc_b16_ek100": _VIVIT_EK100,
    "vivit_mini": _VIVIT_MINI,
    "timesformer_b16": TimeSformerSpec(),
    "tadaformer_b16": TAdaFormerSpec(),
    "tadaformer_b16_ssv2": TAdaFormerSpec(temporal_projection=True, two_tadas=True),
    "tadaformer_l14": TAdaFormerSpec(width=1024, depth=24, heads=16, patch_px=14),
}
HUB: dict[str, Callable[..., NetworkSpec]] = {
    "hf": TransformersSpec,
    "timm": TimmSpec,
    "timm-diff": partial(TimmSpec, differences=True),
}
"""Networks of others: what stands before the colon of their name -> their description, from what
stands behind it and whether it is to have its weights (`pretrained`)."""
