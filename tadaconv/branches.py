"""The residual branches: what happens inside a bottleneck block, between its input and the
shortcut's addition.

    a (1x1, or kt x 1 x 1) --> one or two convolutions in the middle, the first with the stride -->
    c (1x1)

each with its batch normalisation, and a ReLU behind all but the last. The parameters have the
released names: a, a_bn, b, b_bn, c, c_bn; a calibrated convolution b has its router b_rf beside it.
A new kind of block is one more Branch, an entry of data.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch.nn.functional as F
from torch import Tensor, nn

from tadaconv.aggregation import POOLS, Aggregation
from tadaconv.calibration import Calibration, calibrated_conv
from tadaconv.layers import ClipConv


@dataclass(frozen=True, kw_only=True)
class Branch:
    """What distinguishes one bottleneck from another; the default is that of a per-frame ResNet
    (R2D)."""

    a_frames: int = 1
    """Temporal kernel of ``a``."""
    middle: tuple[tuple[str, tuple[int, int]], ...] = (("b", (1, 3)),)
    """Name and kernel (frames, pixels) of each convolution between ``a`` and ``c``."""
    calibrated: tuple[str, ...] = ()
    """Those of them that are TAdaConvs."""
    calibration: Calibration = field(default_factory=Calibration)
    """How they are calibrated."""
    aggregation: Aggregation | None = None
    """How frames are aggregated behind ``b``; None: not at all."""
    depthwise: bool = False
    """Whether the convolutions of the middle keep to their own channel."""

    def build(
        self, in_channels: int, width: int, out_channels: int, stride: int, stride_frames: int = 1
    ) -> nn.Module:
        """The residual branch of a block of this width."""
        return Bottleneck(self, in_channels, width, out_channels, stride, stride_frames)


R2D = Branch()
R3D = Branch(middle=(("b", (3, 3)),))
R2P1D = Branch(middle=(("b1", (1, 3)), ("b2", (3, 1))))
SLOW_LATE = Branch(a_frames=3)  # SlowFast: the last two stages of the slow path, the whole fast path
CSN = Branch(middle=(("b", (3, 3)),), depthwise=True)  # interaction-reduced (Tran et al., ICCV 2019)
TADA2D = Branch(calibrated=("b",), aggregation=Aggregation())


def calibrate(branch: Branch, *names: str) -> Branch:
    """The branch with TAdaConvs in place of these convolutions of its middle; none named: of the
    spatial one.

    That is all the paper's plug-in comparison changes (TAda!, Table 2); there is no aggregation.

    >>> calibrate(R2P1D).calibrated, calibrate(R2P1D, "b1", "b2").calibrated
    (('b1',), ('b1', 'b2'))
    """
    return replace(branch, calibrated=names or (branch.middle[0][0],))


class Bottleneck(nn.Module):
    """The residual branch that a :class:`Branch` describes; the strides are those of the middle's
    first convolution.

    With the branch TADA2D (TAda!, Sec. 4, Eq. 7), neighbouring frames are aggregated behind ``b``:

        x = relu(b_bn(y) + b_avgpool_bn(average of y over 3 frames)),   y = TAdaConv2d(x, router(x))

    Until they are trained, the router gives alpha = 1 and b_avgpool_bn gives 0: it starts as the
    branch R2D.
    """

    def __init__(
        self,
        branch: Branch,
        in_channels: int,
        width: int,
        out_channels: int,
        stride: int,
        stride_frames: int = 1,
    ) -> None:
        super().__init__()
        self.branch = branch
        self.a = ClipConv(in_channels, width, (branch.a_frames, 1))
        self.a_bn = nn.BatchNorm3d(width)
        for index, (name, kernel) in enumerate(branch.middle):
            strides = (stride, stride_frames) if index == 0 else (1, 1)
            self._add_convolution(name, width, kernel, *strides)
        self.c = ClipConv(width, out_channels)
        self.c_bn = nn.BatchNorm3d(out_channels)
        between = [name for name, _ in branch.middle if name != "b" or branch.aggregation is None]
        self.norm_of = {name: f"{name}_bn" for name in ("a", *between, "c")}

    def _add_convolution(
        self, name: str, width: int, kernel: tuple[int, int], stride: int, stride_frames: int
    ) -> None:
        if name in self.branch.calibrated:
            calibrated, router = calibrated_conv(width, width, kernel, stride, self.branch.calibration)
            self.add_module(name, calibrated)
            self.add_module(f"{name}_rf", router)
        else:
            groups = width if self.branch.depthwise else 1
            conv = ClipConv(width, width, kernel, stride, stride_frames=stride_frames, groups=groups)
            self.add_module(name, conv)
        self.add_module(f"{name}_bn", nn.BatchNorm3d(width))
        aggregation = self.branch.aggregation
        if name == "b" and aggregation is not None and aggregation.separate_bn:
            self.b_avgpool_bn = nn.BatchNorm3d(width)
            nn.init.zeros_(self.b_avgpool_bn.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(B, in_channels, T, H, W) to (B, out_channels, T, H', W')."""
        x = self.middle(F.relu(self.a_bn(self.a(x)), inplace=True))
        y: Tensor = self.c_bn(self.c(x))
        return y

    def middle(self, x: Tensor) -> Tensor:
        """Between ``a`` and ``c``: (B, width, T, H, W) to (B, width, T, H', W')."""
        for name, _ in self.branch.middle:
            x = F.relu(self.normalise(name, self.convolve(name, x)), inplace=True)
        return x

    def convolve(self, name: str, x: Tensor) -> Tensor:
        """Apply one convolution of the middle, with its own router where it is calibrated."""
        conv = self.get_submodule(name)
        y: Tensor = (
            conv(x, self.get_submodule(f"{name}_rf")(x)) if name in self.branch.calibrated else conv(x)
        )
        return y

    def normalise(self, name: str, y: Tensor) -> Tensor:
        """Batch normalisation behind one convolution of the middle; behind ``b``, aggregation as
        well."""
        bn, aggregation = self.get_submodule(f"{name}_bn"), self.branch.aggregation
        if aggregation is None or name != "b":
            z: Tensor = bn(y)
            return z
        pooled = POOLS[aggregation.pool](y)
        if aggregation.separate_bn:
            return bn(y) + self.b_avgpool_bn(pooled)
        return bn(y + pooled if aggregation.shortcut else pooled)
