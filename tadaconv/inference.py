"""A network for inference only: every batch normalisation folded into what precedes it.

In evaluation mode a batch normalisation is a fixed scale and shift per channel. Behind a plain convolution
both go into its weights and a bias. Behind the calibrated convolution of TAda2D, the sum of the two
normalised paths

    b_bn(y) + b_avgpool_bn(average of y over 3 frames)  =  side y[t - 1] + centre y[t] + side y[t + 1] + bias

is one filter of three temporal taps per channel.

TAda2D then costs a few percent more than a plain per-frame ResNet treated the same way.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tadaconv.branches import TAdaBranch
from tadaconv.layers import FrameConv
from tadaconv.resnet import ResidualBlock, ResNet


def optimize_for_inference(model: ResNet) -> ResNet:
    """Copy a network into an equivalent one that is faster and can only be evaluated.

    Features agree within 1e-5 of their maximum. The copy is in evaluation mode and needs no gradient; its
    state dict has other keys than the model's, so save the model, not the copy.

    Args:
        model: a network of ``create_model``; left as it is.

    Returns:
        A network with the same ``forward``, ``forward_features`` and ``num_features``.
    """
    model = copy.deepcopy(model).eval().requires_grad_(False)
    for module in list(model.modules()):
        if isinstance(module, ResidualBlock) and isinstance(module.conv_branch, TAdaBranch):
            module.conv_branch = _FoldedTAdaBranch(module.conv_branch)
    for module in list(model.modules()):
        _fold_convolutions(module)
    return model


def _fold_convolutions(module: nn.Module) -> None:
    """Fold every child ``<name>_bn`` into the plain convolution ``<name>`` beside it."""
    for name, conv in list(module.named_children()):
        bn = getattr(module, f"{name}_bn", None)
        if isinstance(conv, FrameConv) and isinstance(bn, nn.BatchNorm3d):
            setattr(module, name, _folded(conv, bn))
            setattr(module, f"{name}_bn", nn.Identity())


def _folded(conv: FrameConv, bn: nn.BatchNorm3d) -> FrameConv:
    """The convolution followed by the normalisation, as one convolution with a bias."""
    scale, shift = _scale_and_shift(bn)
    folded = copy.deepcopy(conv)
    folded.weight.copy_(conv.weight.double() * scale.view(-1, 1, 1, 1, 1))
    folded.bias = nn.Parameter(shift.to(conv.weight.dtype), requires_grad=False)
    return folded


def _scale_and_shift(bn: nn.BatchNorm3d) -> tuple[Tensor, Tensor]:
    """What the normalisation does in evaluation mode, per channel and in float64: x * scale + shift."""
    assert bn.running_mean is not None  # for the type checker: our networks track statistics
    assert bn.running_var is not None
    scale = bn.weight.double() / torch.sqrt(bn.running_var.double() + bn.eps)
    return scale, bn.bias.double() - bn.running_mean.double() * scale


class _FoldedTAdaBranch(nn.Module):
    """A TAdaBranch whose two normalisations and temporal average are three taps and a bias."""

    side: Tensor
    centre: Tensor
    bias: Tensor

    def __init__(self, branch: TAdaBranch) -> None:
        super().__init__()
        self.a, self.a_bn = branch.a, branch.a_bn
        self.b, self.b_rf = branch.b, branch.b_rf
        self.c, self.c_bn = branch.c, branch.c_bn
        scale, shift = _scale_and_shift(branch.b_bn)
        average_scale, average_shift = _scale_and_shift(branch.b_avgpool_bn)
        for name, values in (
            ("side", average_scale / 3),
            ("centre", scale + average_scale / 3),
            ("bias", shift + average_shift),
        ):
            self.register_buffer(name, values.to(branch.b.weight.dtype).view(-1, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, T, H, W) to (B, out_channels, T, H', W')."""
        x = F.relu(self.a_bn(self.a(x)), inplace=True)
        x = self.b(x, self.b_rf(x))
        taps = torch.addcmul(self.bias, x, self.centre)
        taps[:, :, 1:].addcmul_(x[:, :, :-1], self.side)
        taps[:, :, :-1].addcmul_(x[:, :, 1:], self.side)
        return self.c_bn(self.c(F.relu(taps, inplace=True)))
