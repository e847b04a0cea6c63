"""ViViT, its factorised encoder, and TimeSformer: transformers over the patches of all frames of a
clip.

    clips (B, 3, T, H, W) --tubelets of t frames, p x p pixels--> class token + T/t * L patches +
    positions
        ViViT         layers over all tokens together                        --norm--> class token (B, D) --> head
        factorised    layers over each step's L patches --norm--> T/t class tokens --temporal layers--> (B, D)
        TimeSformer   layers whose attention is divided between time and space

Positions are learnt for the size that a network is built for. The factorised encoder takes other H
and W, too: its positions are interpolated, bilinearly.

Source: ViViT (Arnab et al., ICCV 2021), models 1 and 2; TimeSformer (Bertasius et al., ICML 2021).
Names of the parameters, and differences from the papers, are the released TAdaConv code's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tadaconv.attention import NORM_EPS, DividedLayer, TransformerLayer
from tadaconv.heads import ClassificationHead, NumClasses
from tadaconv.initialisation import TRANSFORMER_STD
from tadaconv.inputs import NetworkInput
from tadaconv.network import VideoNetwork
from tadaconv.positions import interpolated_grid

INPUT = NetworkInput(clip=(32, 224, 224), frame_step=2, fixed_size=True, fixed_frames=True)
FACTORISED_INPUT = NetworkInput(clip=(32, 224, 224), frame_step=2, fixed_frames=True)
TIMESFORMER_INPUT = NetworkInput(clip=(8, 224, 224), frame_step=32, fixed_size=True, fixed_frames=True)


@dataclass(frozen=True, kw_only=True)
class ViViTSpec:
    """ViViT, whose layers see all tokens of a clip; the defaults are B/16x2."""

    width: int = 768
    """D, channels of a token."""
    depth: int = 12
    """Layers."""
    heads: int = 12
    """Attention heads."""
    tubelet: int = 2
    """Frames of a patch."""
    patch_px: int = 16
    """Height and width of a patch."""
    dropout: float = 0.0
    """Inside the layers, in training."""
    drop_path: float = 0.1
    """Probability of dropping the last layer's branches in training; it grows linearly from 0."""
    head_dropout: float = 0.0
    """Before the last linear layer."""
    input: NetworkInput = INPUT
    """Pixels and usual clip."""

    def build(self, num_classes: NumClasses, input_size: tuple[int, int, int] | None = None) -> VideoNetwork:
        """The network, with random weights, for clips (T, H, W) of this size; None: the usual one.

        Raises:
            ValueError: if they cannot be cut into patches.
        """
        clip = input_size or self.input.clip
        sizes = self.tubelet, self.patch_px, self.patch_px
        if any(n < 1 or n % size for n, size in zip(clip, sizes, strict=True)):
            raise ValueError(
                f"clips are cut into patches of {' x '.join(map(str, sizes))} (frames, pixels), so input_size must be "
                f"a multiple of that; got {' x '.join(map(str, clip))}"
            )
        steps, rows, columns = (n // size for n, size in zip(clip, sizes, strict=True))
        head = ClassificationHead(self.width, num_classes, self.head_dropout, one_layer="linear")
        network = VideoNetwork(self.backbone(steps, rows, columns), head)
        for module in network.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=TRANSFORMER_STD)
                nn.init.zeros_(module.bias)
        return network

    def backbone(self, steps: int, rows: int, columns: int) -> nn.Module:
        """The layers up to the feature, for so many patches along time, height and width."""
        return ViViT(self, steps, rows, columns)

    def layers(self, kind: type[TransformerLayer], rates: list[float]) -> nn.ModuleList:
        """Layers with these probabilities of being dropped."""
        return nn.ModuleList(kind(self.width, self.heads, self.dropout, rate) for rate in rates)


@dataclass(frozen=True, kw_only=True)
class FactorisedSpec(ViViTSpec):
    """The factorised encoder: layers within each step, then some over the steps."""

    temporal_depth: int = 4
    """Layers over the steps."""
    input: NetworkInput = FACTORISED_INPUT
    """Pixels and usual clip."""

    def backbone(self, steps: int, rows: int, columns: int) -> nn.Module:
        """See the class."""
        return FactorisedViViT(self, steps, rows, columns)


@dataclass(frozen=True, kw_only=True)
class TimeSformerSpec(ViViTSpec):
    """TimeSformer: patches of one frame, attention divided between time and space."""

    tubelet: int = 1
    """Frames of a patch."""
    dropout: float = 0.1
    """Inside the layers, in training."""
    drop_path: float = 0.0
    """Probability of dropping the last layer's branches in training."""
    input: NetworkInput = TIMESFORMER_INPUT
    """Pixels and usual clip."""

    def backbone(self, steps: int, rows: int, columns: int) -> nn.Module:
        """See the class."""
        return TimeSformer(self, steps, rows, columns)


class TubeletStem(nn.Module):
    """A linear layer over patches, kept as the ``Conv3d`` that it is in released files."""

    def __init__(self, spec: ViViTSpec) -> None:
        super().__init__()
        size = (spec.tubelet, spec.patch_px, spec.patch_px)
        self.conv1 = nn.Conv3d(3, spec.width, kernel_size=size, stride=size)

    def forward(self, clips_BCTHW: Tensor) -> Tensor:
        """(B, 3, T, H, W) to (B, T / t, rows, columns, D)."""
        frames, pixels, _ = self.conv1.kernel_size
        cut = clips_BCTHW.unflatten(4, (-1, pixels)).unflatten(3, (-1, pixels)).unflatten(2, (-1, frames))
        patches = cut.permute(0, 2, 4, 6, 1, 3, 5, 7).flatten(4)
        return F.linear(patches, self.conv1.weight.flatten(1), self.conv1.bias)


class ViViT(nn.Module):
    """Patches, positions, layers over all tokens, and the class token; TimeSformer differs in
    its layers."""

    def __init__(self, spec: ViViTSpec, steps: int, rows: int, columns: int) -> None:
        super().__init__()
        self.grid = (steps, rows, columns)
        self.pos_embd = embedding(steps * rows * columns + 1, spec.width)
        self.cls_token = embedding(1, spec.width)
        self.stem = TubeletStem(spec)
        self.layers = self.make_layers(spec)
        self.norm = nn.LayerNorm(spec.width, eps=NORM_EPS)

    def make_layers(self, spec: ViViTSpec) -> nn.ModuleList:
        """The layers of this kind of network."""
        return spec.layers(TransformerLayer, drop_path_rates(spec.drop_path, spec.depth))

    def forward(self, clips_BCTHW: Tensor) -> Tensor:
        """Clips (B, 3, T, H, W) to features (B, D).

        Raises:
            ValueError: if the clips have another size than the network was built for.
        """
        refuse_other_clips(self.stem, clips_BCTHW, self.grid)
        patches = self.stem(clips_BCTHW).flatten(1, 3)
        tokens = with_first(self.cls_token, patches) + self.pos_embd
        feats_BD: Tensor = self.norm(self.through_layers(tokens)[:, 0])
        return feats_BD

    def through_layers(self, tokens_BND: Tensor) -> Tensor:
        """All layers."""
        for layer in self.layers:
            tokens_BND = layer(tokens_BND)
        return tokens_BND


class TimeSformer(ViViT):
    """The same with divided attention."""

    def make_layers(self, spec: ViViTSpec) -> nn.ModuleList:
        """See the class."""
        return spec.layers(DividedLayer, drop_path_rates(spec.drop_path, spec.depth))

    def through_layers(self, tokens_BND: Tensor) -> Tensor:
        """All layers."""
        for layer in self.layers:
            tokens_BND = cast(DividedLayer, layer).forward_divided(tokens_BND, self.grid[0])
        return tokens_BND


class FactorisedViViT(nn.Module):
    """Layers over the patches of each step, and layers over the class tokens of the steps."""

    def __init__(self, spec: FactorisedSpec, steps: int, rows: int, columns: int) -> None:
        super().__init__()
        self.grid = (steps, rows, columns)
        self.pos_embd = embedding(rows * columns + 1, spec.width)
        self.temp_embd = embedding(steps + 1, spec.width)
        self.cls_token, self.cls_token_out = embedding(1, spec.width), embedding(1, spec.width)
        self.stem = TubeletStem(spec)
        rates = drop_path_rates(spec.drop_path, spec.depth + spec.temporal_depth)
        self.layers = spec.layers(TransformerLayer, rates[: spec.depth])
        self.norm = nn.LayerNorm(spec.width, eps=NORM_EPS)
        self.layers_temporal = spec.layers(TransformerLayer, rates[spec.depth :])
        self.norm_out = nn.LayerNorm(spec.width, eps=NORM_EPS)

    def forward(self, clips_BCTHW: Tensor) -> Tensor:
        """Clips (B, 3, T, H, W) of any H and W that can be cut into patches to features (B, D).

        Raises:
            ValueError: if the clips have another number of frames than the network was built for.
        """
        refuse_other_clips(self.stem, clips_BCTHW, self.grid[:1])
        patches = self.stem(clips_BCTHW)
        positions = interpolated_grid(self.pos_embd, self.grid[1:], (patches.shape[2], patches.shape[3]))
        tokens = with_first(self.cls_token, patches.flatten(0, 1).flatten(1, 2)) + positions
        for layer in self.layers:
            tokens = layer(tokens)
        steps = self.norm(tokens[:, 0]).unflatten(0, (len(clips_BCTHW), -1))  # B x T / t x D
        steps = with_first(self.cls_token_out, steps) + self.temp_embd
        for layer in self.layers_temporal:
            steps = layer(steps)
        feats_BD: Tensor = self.norm_out(steps[:, 0])
        return feats_BD


def embedding(count: int, width: int) -> nn.Parameter:
    """Learnt vectors (1, count, width), as they start."""
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(1, count, width), std=TRANSFORMER_STD))


def with_first(token: Tensor, tokens_BND: Tensor) -> Tensor:
    """The tokens behind a learnt one (1, 1, D): (B, 1 + N, D)."""
    return torch.cat([token.expand(len(tokens_BND), 1, -1), tokens_BND], dim=1)


def drop_path_rates(last: float, count: int) -> list[float]:
    """Probabilities that grow linearly from 0 to the last layer's."""
    return [last * index / max(count - 1, 1) for index in range(count)]


def refuse_other_clips(stem: TubeletStem, clips_BCTHW: Tensor, grid: tuple[int, ...]) -> None:
    """Raise ValueError unless clips can be cut into patches, so many of them along time (height
    and width)."""
    sizes, found = stem.conv1.kernel_size, tuple(clips_BCTHW.shape[2:])
    built = [count * size for count, size in zip(grid, sizes, strict=False)]
    if list(found[: len(built)]) != built or any(n % size for n, size in zip(found, sizes, strict=True)):
        wanted = " x ".join(map(str, built)) + (" (frames, pixels)" if len(built) > 1 else " frames")
        raise ValueError(
            f"this network takes clips of {wanted}, frames in multiples of {sizes[1]} pixels; got "
            f"{' x '.join(map(str, found))}; build it with create_model(..., input_size=(T, H, W))"
        )
