"""TAdaConv v2: the bias is calibrated too; and the form that brings its own router and aggregation.

    y[t] = (alpha[t] W) * x[t] + beta[t] bias

Source: Temporally-Adaptive Models (Huang et al., arXiv 2308.05787).
Axes: B clips, C channels, T frames, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from tadaconv.frames import temporal_average
from tadaconv.operators import TAdaConv
from tadaconv.router_v2 import RouteFuncTransformer


class TAdaConv2dV2(TAdaConv):
    """A :class:`tadaconv.TAdaConv2d` whose bias has factors of its own; the arguments are the same.

    >>> import torch
    >>> router = RouteFuncTransformer(c_in=64, ratio=2, kernels=[3, 3], head_dim=16)
    >>> conv = TAdaConv2dV2(64, 64, kernel_size=[1, 7, 7], padding=[0, 3, 3], groups=64, cal_dim="cout")
    >>> x = torch.randn(2, 64, 8, 14, 14)
    >>> conv(x, router(x)).shape
    torch.Size([2, 64, 8, 14, 14])
    """

    kernel_has_time = False

    def forward(self, x: Tensor, alpha: tuple[Tensor, Tensor]) -> Tensor:  # type: ignore[override]
        """Convolve every frame with its own calibrated kernel and bias.

        Args:
            x: clips, (B, Ci, T, H, W).
            alpha: factors of the weight, (B, ``num_factors``, T, 1, 1), and of the bias, (B, Co, T,
                1, 1).

        Returns:
            Tensor (B, Co, T, H', W'), in ``channels_last_3d`` memory format.

        Raises:
            ValueError: if the factors of the weight have another shape.
        """
        weight_factors, bias_factors = alpha
        y = self._calibrated(x, weight_factors, None)
        return y if self.bias is None else y + bias_factors * self.bias.view(-1, 1, 1, 1)


class SelfCalibratedConv2d(TAdaConv2dV2):
    """A depthwise TAdaConv2dV2 with its router inside (``rf_func``) and aggregation behind it.

        out = bn_a(y) + bn_b(average of y over 3 frames)

    bn_b starts at zero. The factors do not start at one: the block of TAdaFormer that holds this
    layer starts at zero as a whole.

    Args:
        channels: C.
        kernel: spatial size, odd; padded by half of it.
        ratio: see RouteFuncTransformer.
        router_kernels: see RouteFuncTransformer.
        head_dim: see RouteFuncTransformer.
    """

    def __init__(
        self, channels: int, kernel: int, *, ratio: int, router_kernels: Sequence[int], head_dim: int
    ) -> None:
        super().__init__(
            channels,
            channels,
            kernel_size=(1, kernel, kernel),
            padding=(0, kernel // 2, kernel // 2),
            groups=channels,
            cal_dim="cout",
        )
        self.rf_func = RouteFuncTransformer(channels, ratio, router_kernels, head_dim, start_at_one=False)
        self.bn_a = nn.BatchNorm3d(channels)
        self.bn_b = nn.BatchNorm3d(channels)
        nn.init.zeros_(self.bn_b.weight)

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """(B, C, T, H, W) to the same shape."""
        y = super().forward(x, self.rf_func(x))
        aggregated: Tensor = self.bn_a(y) + self.bn_b(temporal_average(y))
        return aggregated
