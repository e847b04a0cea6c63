"""Temporally-adaptive convolutions (TAdaConv): one kernel per frame, at the price of an ordinary
convolution.

The kernel of frame t is one kernel W calibrated by a factor per channel. Convolution is linear, so
those kernels never have to be formed. With * for convolution over pixels, i for input and o for
output channels:

    cal_dim "cin"   y[t, o] = sum_i (alpha[t, i] W[o, i]) * x[t, i] = sum_i W[o, i] * (alpha[t, i] x[t, i])
    cal_dim "cout"  y[t, o] = sum_i (alpha[t, o] W[o, i]) * x[t, i] = alpha[t, o] sum_i W[o, i] *
    x[t, i]

So "cin" scales the input, "cout" scales the output, and one channels-last ``conv2d`` runs over all
frames of all clips. The released code forms B * T kernels and runs a convolution with B * T groups
instead: the same results and gradients, several times slower.

Two more kinds of the paper's Table 4, of which no code is public:

    cal_dim "cin_cout"  both of the above, alpha[t, i] beta[t, o] W[o, i]: the rank-1 calibration of
    all
                        Ci x Co pairs, still without per-frame kernels
    cal_dim "k2"        alpha[t, p] W[o, i, p] for each position p of the kernel: neither input nor output
                        alone can be scaled, so this one does form a kernel per frame (and is slow)

A kernel that spans kt frames (``TAdaConv3d``) is calibrated as a whole by the alpha of the frame in
its middle. A frame then takes part in kt windows, each with its own alpha, so the windows are
gathered as kt * Ci channels first; the rest is the same.

Source: TAda! (ICLR 2022), Sec. 3.  Axes: B clips, Ci and Co channels in and out, T frames, H x W
pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tadaconv.frames import fold_frames, gather_windows, unfold_frames

CAL_DIMS = ("cin", "cout", "cin_cout", "k2")


class TAdaConv(nn.Module):
    """What the operators share: all but the shape of the kernel."""

    kernel_has_time: bool

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | Sequence[int],
        stride: int | Sequence[int] = 1,
        padding: int | Sequence[int] = 0,
        dilation: int | Sequence[int] = 1,
        groups: int = 1,
        bias: bool = True,
        cal_dim: str = "cin",
    ) -> None:
        super().__init__()
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _triple("kernel_size", kernel_size)
        self.stride = _triple("stride", stride)
        self.padding = _triple("padding", padding)
        self.dilation = _triple("dilation", dilation)
        self.groups = groups
        self.cal_dim = cal_dim
        self._check_arguments()

        kernel = self.kernel_size if self.kernel_has_time else self.kernel_size[1:]
        self.weight = nn.Parameter(torch.empty(1, 1, out_channels, in_channels // groups, *kernel))
        bound = 1 / math.sqrt(self.weight.numel())
        nn.init.uniform_(self.weight, -bound, bound)
        self.bias = nn.Parameter(torch.empty(1, 1, out_channels).uniform_(-bound, bound)) if bias else None

    def _check_arguments(self) -> None:
        name = type(self).__name__
        if self.cal_dim not in CAL_DIMS:
            raise ValueError(f"{name}: cal_dim must be one of {', '.join(CAL_DIMS)}, got {self.cal_dim!r}")
        if self.in_channels % self.groups or self.out_channels % self.groups:
            raise ValueError(
                f"{name}: groups = {self.groups} must divide in_channels = {self.in_channels} "
                f"and out_channels = {self.out_channels}"
            )
        if self.stride[0] != 1 or self.dilation[0] != 1:
            raise ValueError(
                f"{name}: along time, stride and dilation must be 1 (every frame has its own kernel), "
                f"got stride = {self.stride} and dilation = {self.dilation}"
            )
        kernel_t, padding_t = self.kernel_size[0], self.padding[0]
        if not self.kernel_has_time and (kernel_t, padding_t) != (1, 0):
            raise ValueError(
                f"{name}: along time, the kernel must be 1 and the padding 0, "
                f"got kernel_size = {self.kernel_size} and padding = {self.padding}; "
                "TAdaConv3d takes kernels that span several frames"
            )
        if kernel_t % 2 == 0 or padding_t != kernel_t // 2:
            raise ValueError(
                f"{name}: along time, the kernel must be odd and the padding half of it (T is kept), "
                f"got kernel_size = {self.kernel_size} and padding = {self.padding}"
            )

    @property
    def num_factors(self) -> int:
        """Length of alpha along its second axis: what a router for this convolution has to emit."""
        return {
            "cin": self.in_channels,
            "cout": self.out_channels,
            "cin_cout": self.in_channels + self.out_channels,
            "k2": math.prod(self.kernel_size),
        }[self.cal_dim]

    def forward(self, x: Tensor, alpha: Tensor) -> Tensor:
        """Convolve every frame with its own calibrated kernel.

        Args:
            x: clips, (B, Ci, T, H, W).
            alpha: factors, (B, ``num_factors``, T, 1, 1): Ci of them for cal_dim "cin", Co for
                "cout", Ci and then Co for "cin_cout", one per position of the kernel for "k2".

        Returns:
            Tensor (B, Co, T, H', W'), in ``channels_last_3d`` memory format.

        Raises:
            ValueError: if alpha has another shape.
        """
        return self._calibrated(x, alpha, self.bias)

    def _calibrated(self, x: Tensor, alpha: Tensor, bias: Tensor | None) -> Tensor:
        self._check_alpha(x, alpha)
        kernel_t = self.kernel_size[0]
        windows = gather_windows(x, kernel_t)  # B x (Ci * kt) x T x H x W
        if self.cal_dim == "k2":
            return self._convolve_frame_by_frame(windows, alpha, bias)
        alpha_in, alpha_out = self._split(alpha)
        if alpha_in is not None:
            windows = windows * (alpha_in if kernel_t == 1 else alpha_in.repeat_interleave(kernel_t, dim=1))
        if alpha_out is None:
            return self._convolve(windows, bias)
        y = self._convolve(windows, None) * alpha_out
        return y if bias is None else y + bias.view(-1, 1, 1, 1)

    def _split(self, alpha: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """The factors of the input channels and those of the output channels."""
        if self.cal_dim == "cin_cout":
            return alpha[:, : self.in_channels], alpha[:, self.in_channels :]
        return (alpha, None) if self.cal_dim == "cin" else (None, alpha)

    def _check_alpha(self, x: Tensor, alpha: Tensor) -> None:
        """Refuse an alpha that would broadcast to anything but the factors of each frame."""
        expected = (x.shape[0], self.num_factors, x.shape[2], 1, 1)
        if alpha.shape != expected:
            what = {
                "cin": "input channel",
                "cout": "output channel",
                "cin_cout": "input channel, then one per output channel,",
                "k2": "position of the kernel",
            }[self.cal_dim]
            raise ValueError(
                f"{type(self).__name__}: for input {tuple(x.shape)} and cal_dim = {self.cal_dim!r}, "
                f"alpha must have shape {expected} (one factor per {what} and frame), "
                f"got {tuple(alpha.shape)}"
            )

    def _convolve(self, windows: Tensor, bias: Tensor | None) -> Tensor:
        """The plain convolution, on all frames at once."""
        # Co x (Ci / groups * kt) x kh x kw
        kernel = self.weight.view(self.out_channels, -1, *self.kernel_size[1:])
        images = F.conv2d(
            fold_frames(windows),
            kernel,
            None if bias is None else bias.flatten(),
            self.stride[1:],
            self.padding[1:],
            self.dilation[1:],
            self.groups,
        )
        return unfold_frames(images, n_clips=windows.shape[0])

    def _convolve_frame_by_frame(self, windows: Tensor, alpha: Tensor, bias: Tensor | None) -> Tensor:
        """One kernel per frame, all of them in one convolution with B * T times the groups."""
        frames = windows.transpose(1, 2).flatten(0, 1)  # (B * T) x (Ci * kt) x H x W
        factors = alpha.flatten(2).transpose(1, 2).reshape(-1, 1, 1, *self.kernel_size)
        kernel = self.weight.view(1, self.out_channels, -1, *self.kernel_size)
        images = F.conv2d(
            frames.flatten(0, 1)[None],
            (kernel * factors).flatten(2, 3).flatten(0, 1),  # (B * T * Co) x (Ci / groups * kt) x kh x kw
            None if bias is None else bias.flatten().repeat(len(frames)),
            self.stride[1:],
            self.padding[1:],
            self.dilation[1:],
            self.groups * len(frames),
        )
        images = images.view(len(frames), self.out_channels, *images.shape[2:])
        return unfold_frames(images.contiguous(memory_format=torch.channels_last), windows.shape[0])

    def extra_repr(self) -> str:
        """The arguments, for printing."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding}, groups={self.groups}, cal_dim={self.cal_dim}"
        )


class TAdaConv2d(TAdaConv):
    """Temporally-adaptive convolution: the spatial kernel of each frame is calibrated by that
    frame's alpha.

    Takes the place of a (1, kh, kw) ``Conv3d``; with alpha = 1 it is that convolution.

    Args:
        in_channels: Ci.
        out_channels: Co.
        kernel_size: (1, kh, kw).
        stride: one int or three, 1 along time.
        padding: one int or three, 0 along time.
        dilation: one int or three, 1 along time.
        groups: groups of channels, as in ``torch.nn.Conv3d`` (the released code fails for "cin"
            with groups).
        bias: whether to add a bias, which alpha never scales.
        cal_dim: what alpha scales, "cin" (Ci factors), "cout" (Co), "cin_cout" (Ci + Co) or "k2"
            (kh * kw).

    Parameters are ``weight`` (1, 1, Co, Ci / groups, kh, kw) and ``bias`` (1, 1, Co), drawn as in
    the released code: uniform within 1 / sqrt(number of weights), whose fan counts Co as well. That
    is far less than usual and suits layers about to receive trained weights; networks of
    ``create_model`` draw theirs anew (``tadaconv.initialisation``).

    Raises:
        ValueError: if an argument along time, groups or cal_dim has another value than those above.

    >>> from tadaconv import RouteFuncMLP
    >>> router = RouteFuncMLP(c_in=64, ratio=4, kernels=[3, 3])
    >>> conv = TAdaConv2d(64, 64, kernel_size=[1, 3, 3], padding=[0, 1, 1], bias=False, cal_dim="cin")
    >>> x = torch.randn(2, 64, 8, 14, 14)
    >>> conv(x, router(x)).shape
    torch.Size([2, 64, 8, 14, 14])
    """

    kernel_has_time = False


class TAdaConv3d(TAdaConv):
    """Temporally-adaptive convolution with a kernel of kt frames, calibrated by its middle frame.

    Takes the place of a (kt, kh, kw) ``Conv3d``; with alpha = 1 it is that convolution.

    Args:
        in_channels: Ci.
        out_channels: Co.
        kernel_size: one int or (kt, kh, kw), kt odd.
        stride: one int or three, 1 along time.
        padding: one int or three, kt // 2 along time. (The released code pads by kt // 2 frames
            whatever is given here; this class refuses any other value.)
        dilation: one int or three, 1 along time.
        groups: as in :class:`TAdaConv2d`.
        bias: as in :class:`TAdaConv2d`.
        cal_dim: as in :class:`TAdaConv2d`.

    Parameters are ``weight`` (1, 1, Co, Ci / groups, kt, kh, kw) and ``bias`` (1, 1, Co), drawn as
    in TAdaConv2d.

    Raises:
        ValueError: if an argument along time, groups or cal_dim has another value than those above.

    >>> conv = TAdaConv3d(16, 32, kernel_size=[3, 1, 1], padding=[1, 0, 0])
    >>> conv(torch.randn(2, 16, 8, 14, 14), torch.ones(2, 16, 8, 1, 1)).shape
    torch.Size([2, 32, 8, 14, 14])
    """

    kernel_has_time = True


def _triple(name: str, value: int | Sequence[int]) -> tuple[int, int, int]:
    """(time, height, width) from one int for all three or from the three of them."""
    if isinstance(value, int):
        return value, value, value
    if len(value) != 3:
        raise ValueError(f"{name} must be one int or three (time, height, width), got {value}")
    return value[0], value[1], value[2]
