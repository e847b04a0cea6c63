"""TAdaFormer: CLIP's vision transformer over the frames of a clip, with a TAdaConv in every layer.

    clips (B, 3, T, H, W) --patches of 3 frames, every second frame--> B * T' images of L patches
    and a class token --> layers --> the class tokens' mean over frames, normalised: (B, D) --> head

Frames meet in the patches and in the TAdaConvs only; attention stays within a frame. Any T will do;
H and W are fixed when the network is built, since every patch has its own positional embedding.

Source: Temporally-Adaptive Models (Huang et al., arXiv 2308.05787); names of the parameters are the
released ones.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from tadaconv.heads import ClassificationHead, NumClasses
from tadaconv.initialisation import TRANSFORMER_STD, initialise_like_transformers_
from tadaconv.inputs import CLIP_MEAN, CLIP_STD, NetworkInput
from tadaconv.layers import ChannelLinear, ClipConv, PatchConv, QuickGELU
from tadaconv.network import VideoNetwork
from tadaconv.operators_v2 import SelfCalibratedConv2d

INPUT = NetworkInput(clip=(16, 224, 224), frame_step=None, mean=CLIP_MEAN, std=CLIP_STD, fixed_size=True)


@dataclass(frozen=True, kw_only=True)
class TAdaFormerSpec:
    """What distinguishes one TAdaFormer from another; the defaults are B/16 as trained on
    Kinetics-400."""

    width: int = 768
    """D, channels of a token."""
    depth: int = 12
    """Layers."""
    heads: int = 12
    """Attention heads."""
    patch_px: int = 16
    """Height and width of a patch."""
    router_head_dim: int = 64
    """Channels of one attention head in the routers."""
    temporal_projection: bool = False
    """Whether the projection in front of a TAdaConv spans 3 frames (as trained on
    Something-Something V2)."""
    two_tadas: bool = False
    """Whether a second TAdaConv stands behind the attention (as trained on Something-Something
    V2)."""

    input: NetworkInput = INPUT
    """Pixels and usual clip."""

    def build(self, num_classes: NumClasses, input_size: tuple[int, int, int] | None = None) -> VideoNetwork:
        """The network, with random weights, for frames of this size; None: the usual ones.

        Raises:
            ValueError: if the frames are not square or not a multiple of the patch.
        """
        _, height, width = input_size or self.input.clip
        if height != width or height % self.patch_px or height < self.patch_px:
            raise ValueError(
                f"TAdaFormer takes square frames, a multiple of {self.patch_px} pixels wide; "
                f"input_size has {height} x {width}"
            )
        backbone = VisionTransformer(self, height // self.patch_px)
        network = VideoNetwork(backbone, ClassificationHead(self.width, num_classes))
        initialise_like_transformers_(network)
        for module in network.modules():
            if isinstance(module, TAdaBlock):
                nn.init.zeros_(module.tada_proj.weight)
        return network


class TAdaBlock(nn.Module):
    """From D to half of it, a depthwise 3x3 TAdaConv, QuickGELU, and back to D; starts at zero."""

    def __init__(self, spec: TAdaFormerSpec) -> None:
        super().__init__()
        width, inner = spec.width, spec.width // 2
        if spec.temporal_projection:
            self.tada_pre_proj: nn.Module = ClipConv(width, inner, kernel=(3, 1), bias=True)
            self.tada_proj: ClipConv | ChannelLinear = ClipConv(inner, width, bias=True)
        else:
            self.tada_pre_proj = ChannelLinear(width, inner)
            self.tada_proj = ChannelLinear(inner, width)
        self.tadaconv = SelfCalibratedConv2d(
            inner, kernel=3, ratio=2, router_kernels=(3, 3), head_dim=spec.router_head_dim
        )
        self.gelu = QuickGELU()

    def forward(self, x: Tensor) -> Tensor:
        """(B, D, T, H, W) to the same shape."""
        y: Tensor = self.tada_proj(self.gelu(self.tadaconv(self.tada_pre_proj(x))))
        return y


class TAdaFormerLayer(nn.Module):
    """TAdaConv over the patches (not the class token), attention within each frame, a two-layer
    perceptron."""

    def __init__(self, spec: TAdaFormerSpec) -> None:
        super().__init__()
        width = spec.width
        self.tada = TAdaBlock(spec)
        self.tada2 = TAdaBlock(spec) if spec.two_tadas else None
        self.attn = nn.MultiheadAttention(width, spec.heads, batch_first=True)
        self.ln_1 = nn.LayerNorm(width)
        self.mlp = nn.Sequential(
            OrderedDict(
                c_fc=nn.Linear(width, 4 * width), gelu=QuickGELU(), c_proj=nn.Linear(4 * width, width)
            )
        )
        self.ln_2 = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, n_clips: int) -> Tensor:
        """Tokens (B * T, 1 + L, D), the class token first, to the same shape."""
        tokens = _add_to_patches(tokens, self.tada, n_clips)
        normed = self.ln_1(tokens)
        tokens = tokens + self.attn(normed, normed, normed, need_weights=False)[0]
        if self.tada2 is not None:
            tokens = _add_to_patches(tokens, self.tada2, n_clips)
        out: Tensor = tokens + self.mlp(self.ln_2(tokens))
        return out


def _add_to_patches(tokens: Tensor, block: nn.Module, n_clips: int) -> Tensor:
    """Add what the block makes of the patches, seen as maps (B, D, T, H, W), to those tokens."""
    class_token, patches = tokens[:, :1], tokens[:, 1:]
    side = round(patches.shape[1] ** 0.5)
    maps = patches.unflatten(0, (n_clips, -1)).unflatten(2, (side, side)).movedim(-1, 1)
    change = block(maps).movedim(1, -1).flatten(2, 3).flatten(0, 1)
    return torch.cat([class_token, patches + change], dim=1)


class VisionTransformer(nn.Module):
    """Patches, layers, and the mean of the class tokens.

    Args:
        spec: the network.
        side: patches along one side of a frame.
    """

    def __init__(self, spec: TAdaFormerSpec, side: int) -> None:
        super().__init__()
        self.side = side
        self.class_embedding = nn.Parameter(torch.randn(spec.width) * TRANSFORMER_STD)
        self.positional_embedding = nn.Parameter(torch.randn(side**2 + 1, spec.width) * TRANSFORMER_STD)
        self.conv1 = PatchConv(3, spec.width, kernel=(3, spec.patch_px), stride_frames=2, bias=False)
        self.ln_pre = nn.LayerNorm(spec.width)
        self.layers = nn.ModuleList(TAdaFormerLayer(spec) for _ in range(spec.depth))
        self.ln_post = nn.LayerNorm(spec.width)

    def forward(self, clips_BCTHW: Tensor) -> Tensor:
        """Clips (B, 3, T, H, W) to features (B, D).

        Raises:
            ValueError: if the frames have another size than the network was built for.
        """
        size_px = self.side * self.conv1.kernel_size[1]
        if clips_BCTHW.shape[3:] != (size_px, size_px):
            raise ValueError(
                f"this TAdaFormer takes frames of {size_px} x {size_px} pixels, got clips "
                f"{tuple(clips_BCTHW.shape)}; build it with create_model(..., input_size=(T, H, W))"
            )
        n_clips = clips_BCTHW.shape[0]
        patches = self.conv1(clips_BCTHW).movedim(1, -1).flatten(2, 3).flatten(0, 1)  # (B * T') x L x D
        class_tokens = self.class_embedding.expand(len(patches), 1, -1)
        tokens = self.ln_pre(torch.cat([class_tokens, patches], dim=1) + self.positional_embedding)
        for layer in self.layers:
            tokens = layer(tokens, n_clips)
        feats_BD: Tensor = self.ln_post(tokens[:, 0].unflatten(0, (n_clips, -1)).mean(1))
        return feats_BD
