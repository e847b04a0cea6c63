"""A calibrated convolution together with its router: what is plugged in for a plain convolution."""

from __future__ import annotations

from dataclasses import dataclass

from tadaconv.operators import TAdaConv2d, TAdaConv3d
from tadaconv.router import RouteFuncMLP


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """How convolutions are calibrated; the default is TAda2D's choice.

    Source: TAda! (ICLR 2022), Table 3a (router), Table 4 (cal_dim) and Fig. 3 (share).
    """

    cal_dim: str = "cin"
    """What alpha scales: "cin", "cout", "cin_cout" or "k2"; see ``tadaconv.operators``."""
    ratio: int = 4
    """Reduction of the channels inside the router."""
    kernels: tuple[int, int] = (3, 3)
    """Temporal kernel sizes of the router."""
    nonlinear: bool = True
    """Whether the router has batch normalisation and ReLU in its middle."""
    global_context: bool = True
    """Whether the router sees the mean of the clip."""
    share: float = 1.0
    """Part of the factors that are computed; the others are 1."""


def calibrated_conv(
    in_channels: int, out_channels: int, kernel: tuple[int, int], stride: int, calibration: Calibration
) -> tuple[TAdaConv2d | TAdaConv3d, RouteFuncMLP]:
    """The calibrated form of :class:`tadaconv.layers.ClipConv` and the router that belongs to it.

    A kernel of one frame becomes a TAdaConv2d, a longer one a TAdaConv3d. As long as the router is
    untrained (alpha = 1), the convolution is the plain one.
    """
    frames, pixels = kernel
    conv = (TAdaConv2d if frames == 1 else TAdaConv3d)(
        in_channels,
        out_channels,
        kernel_size=(frames, pixels, pixels),
        stride=(1, stride, stride),
        padding=(frames // 2, pixels // 2, pixels // 2),
        bias=False,
        cal_dim=calibration.cal_dim,
    )
    router = RouteFuncMLP(
        in_channels,
        calibration.ratio,
        calibration.kernels,
        c_out=conv.num_factors,
        nonlinear=calibration.nonlinear,
        global_context=calibration.global_context,
        share=calibration.share,
    )
    return conv, router
