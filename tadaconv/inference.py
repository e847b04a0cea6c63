"""A network for inference only: every batch normalisation folded into what precedes it.

In evaluation mode a batch normalisation is a fixed scale and shift per channel. Behind a
convolution, plain or calibrated, both go into its weights and a bias. Behind the calibrated
convolution of TAda2D, the sum of the two normalised paths

    b_bn(y) + b_avgpool_bn(average of y over 3 frames)  =  side y[t - 1] + centre y[t] + side y[t +
    1] + bias

is one filter of three temporal taps per channel. ReLUs and shortcuts go into the convolution in
front of them (`tadaconv.fused`).

TAda2D then costs a few percent more than a plain per-frame ResNet treated the same way.
"""

from __future__ import annotations

import copy
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tadaconv.aggregation import Aggregation
from tadaconv.branches import Bottleneck
from tadaconv.calibration import Calibration
from tadaconv.fused import FusedConv
from tadaconv.layers import ClipConv, HasNorms
from tadaconv.network import VideoNetwork
from tadaconv.operators import TAdaConv2d, TAdaConv3d
from tadaconv.resnet import ResidualBlock, Stem

Convolution = nn.Conv3d | TAdaConv2d | TAdaConv3d


def optimize_for_inference(
    model: VideoNetwork, dtype: torch.dtype | None = None, device: torch.device | None = None
) -> VideoNetwork:
    """Copy a network into an equivalent one that is faster and can only be evaluated.

    Features agree within 1e-5 of their maximum. The copy is in evaluation mode and needs no
    gradient; its state dict has other keys than the model's, so save the model, not the copy. On a
    CPU it is fastest for inputs of one size; where the size changes, weights are put into another
    order, once.

    Args:
        model: a network of ``create_model``; left as it is.
        dtype: what the backbone computes in, for example ``torch.bfloat16``: faster where the
            processor has instructions for it (and several times slower where it has not), at errors
            of about half a percent; None: as the model. Clips and features keep the model's type.
        device: where the copy computes; None: where the model is.

    Returns:
        A network with the same ``forward``, ``forward_features`` and ``num_features``.
    """
    model = copy.deepcopy(model).to(device).eval().requires_grad_(False)
    for module in list(model.modules()):
        _fold_convolutions(module)
    for module in list(model.modules()):
        _fuse(module)
    if dtype is not None:
        outside = next(model.head.parameters()).dtype
        model.backbone.to(dtype)
        model.backbone.register_forward_pre_hook(partial(_convert_inputs, dtype=dtype))
        model.backbone.register_forward_hook(partial(_convert_output, dtype=outside))
    return model


def _convert_inputs(_: nn.Module, inputs: tuple[Tensor, ...], *, dtype: torch.dtype) -> tuple[Tensor, ...]:
    return tuple(tensor.to(dtype) for tensor in inputs)


def _convert_output(
    _: nn.Module, inputs: tuple[Tensor, ...], output: Tensor, *, dtype: torch.dtype
) -> Tensor:
    return output.to(dtype)


def _fold_convolutions(module: nn.Module) -> None:
    """Fold the normalisations that a module names into the convolutions in front of them."""
    if not isinstance(module, HasNorms):
        return
    for name, bn_name in module.norm_of.items():
        conv, bn = module.get_submodule(name), module.get_submodule(bn_name)
        assert isinstance(conv, Convolution)  # for the type checker
        assert isinstance(bn, nn.BatchNorm3d)
        setattr(module, name, _folded(conv, bn))
        setattr(module, bn_name, nn.Identity())


def _folded(conv: Convolution, bn: nn.BatchNorm3d) -> Convolution:
    """The convolution followed by the normalisation, as one convolution with a bias."""
    scale, shift = _scale_and_shift(bn)
    folded = copy.deepcopy(conv)
    # Output channels are axis 0 of a Conv3d's weight, axis 2 of a TAdaConv's.
    n_axes_behind = conv.weight.dim() - (1 if isinstance(conv, nn.Conv3d) else 3)
    folded.weight.copy_(conv.weight.double() * scale.view(-1, *[1] * n_axes_behind))
    bias = shift.to(conv.weight.dtype)
    folded.bias = nn.Parameter(bias if isinstance(conv, nn.Conv3d) else bias[None, None], requires_grad=False)
    return folded


def _scale_and_shift(bn: nn.Module) -> tuple[Tensor, Tensor]:
    """What the normalisation does in evaluation mode, per channel and in float64: x * scale +
    shift."""
    assert isinstance(bn, nn.BatchNorm3d)  # for the type checker, as are the next two
    assert bn.running_mean is not None
    assert bn.running_var is not None
    scale = bn.weight.double() / torch.sqrt(bn.running_var.double() + bn.eps)
    return scale, bn.bias.double() - bn.running_mean.double() * scale


def _uncalibrated(conv: nn.Module) -> ClipConv:
    """The convolution that a TAdaConv2d without a bias is at alpha = 1."""
    assert isinstance(conv, TAdaConv2d)  # for the type checker
    frames, pixels, _ = conv.kernel_size
    plain = ClipConv(conv.in_channels, conv.out_channels, (frames, pixels), conv.stride[1])
    plain.weight = nn.Parameter(conv.weight[0, 0].unsqueeze(2), requires_grad=False)
    return plain


def _fuse(module: nn.Module) -> None:
    """Put the fused forms in place of the stems and blocks among the children."""
    for name, child in list(module.named_children()):
        if isinstance(child, ResidualBlock) and isinstance(child.conv_branch, Bottleneck):
            setattr(module, name, _FusedBlock(child))
        elif isinstance(child, Stem):
            setattr(module, name, _FusedStem(child))


class _FusedStem(nn.Module):
    """A stem whose convolution ends in the ReLU."""

    def __init__(self, stem: Stem) -> None:
        super().__init__()
        self.a, self.pooled = FusedConv(stem.a), stem.pooled

    def forward(self, x: Tensor) -> Tensor:
        """As Stem."""
        return self.pooled(self.a(x, relu=True))


class _FusedBlock(nn.Module):
    """A residual block whose last convolution adds the shortcut.

    Overwrites its input where that is the shortcut: the output of the block before, which nobody
    else needs.
    """

    def __init__(self, block: ResidualBlock) -> None:
        super().__init__()
        branch = block.conv_branch
        assert isinstance(branch, Bottleneck)  # for the type checker
        self.short_cut = None if block.short_cut is None else _fused(block.short_cut)
        self.a, self.inner, self.c = FusedConv(branch.a), _inner(branch), FusedConv(branch.c)

    def forward(self, x: Tensor) -> Tensor:
        """As ResidualBlock."""
        shortcut = x if self.short_cut is None else self.short_cut(x)
        return self.c.add_relu_(self.inner.middle(self.a(x, relu=True)), shortcut)


def _inner(branch: Bottleneck) -> _FoldedTAda2D | _PlainMiddle | Bottleneck:
    """What computes the middle of a folded bottleneck."""
    spec = branch.branch
    if not spec.calibrated and spec.aggregation is None:
        return _PlainMiddle([_fused(branch.get_submodule(name)) for name, _ in spec.middle])
    is_tada2d = "b" in spec.calibrated and (spec.aggregation, spec.calibration) == (
        Aggregation(),
        Calibration(),
    )
    return _FoldedTAda2D(branch) if is_tada2d else branch


def _fused(conv: nn.Module) -> FusedConv:
    assert isinstance(conv, ClipConv)  # for the type checker
    return FusedConv(conv)


class _PlainMiddle(nn.Module):
    """Plain convolutions, each with its ReLU."""

    def __init__(self, convs: list[FusedConv]) -> None:
        super().__init__()
        self.convs = nn.ModuleList(convs)

    def middle(self, x: Tensor) -> Tensor:
        """As Bottleneck."""
        for conv in self.convs:
            x = conv(x, relu=True)
        return x


class _FoldedTAda2D(nn.Module):
    """The middle of the branch TADA2D, whose two normalisations and temporal average are three taps
    and a bias.

    Nobody else needs the input of the calibrated convolution, so alpha scales it in place, which
    leaves an ordinary convolution.
    """

    side: Tensor
    centre: Tensor
    bias: Tensor

    def __init__(self, branch: Bottleneck) -> None:
        super().__init__()
        self.b, self.b_rf = FusedConv(_uncalibrated(branch.get_submodule("b"))), branch.get_submodule("b_rf")
        scale, shift = _scale_and_shift(branch.get_submodule("b_bn"))
        average_scale, average_shift = _scale_and_shift(branch.b_avgpool_bn)
        for name, values in (
            ("side", average_scale / 3),
            ("centre", scale + average_scale / 3),
            ("bias", shift + average_shift),
        ):
            self.register_buffer(name, values.to(branch.c.weight.dtype).view(-1, 1, 1, 1))

    def middle(self, x: Tensor) -> Tensor:
        """As Bottleneck; overwrites its input."""
        y: Tensor = self.b(x.mul_(self.b_rf(x)))
        taps = torch.addcmul(self.bias, y, self.centre)
        taps[:, :, 1:].addcmul_(y[:, :, :-1], self.side)
        taps[:, :, :-1].addcmul_(y[:, :, 1:], self.side)
        return F.relu(taps, inplace=True)
