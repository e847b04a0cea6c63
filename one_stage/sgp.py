"""The scalable-granularity perception (SGP) block of TriDet, which takes the place of attention."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from one_stage.layers import (
    MaskedGroupNorm,
    ScaledDropPath,
    SequenceNorm,
    by_piece,
    conv1d,
    halve,
    halved_mask,
    masked,
    maximum_of_three,
)
from one_stage.padding import Padding
from one_stage.products import Preparation, masked_in_place

GROUPS = 16


class SgpBlock(nn.Module):
    """(B, T, D) to (B, ceil(T / stride), D): an instant branch and a window branch of depthwise
    convolutions.

    Source: TriDet (Shi et al., CVPR 2023), Sec. 3.3; arithmetic and names of the released code.

    Args:
        channels: D, a multiple of 16.
        stride: 1 or 2.
        window: w, odd kernel of the small window.
        widening: the large window's kernel is (w + 1) * widening, rounded, made odd.
        mlp_channels: hidden channels of the MLP.
        drop_path: probability of leaving a branch out; None: the branches are not scaled either.
        init_std: of the depthwise weights at the start.
        padding: see there. As released, mean and group norm depend on the padded length.
    """

    def __init__(
        self,
        channels: int,
        *,
        stride: int,
        window: int,
        widening: float,
        mlp_channels: int,
        drop_path: float | None,
        init_std: float,
        padding: Padding,
    ) -> None:
        super().__init__()
        self.stride, self.padding = stride, padding
        self.ln = SequenceNorm(channels)
        self.gn = MaskedGroupNorm(channels, padding, GROUPS)
        kernels = {"psi": window, "fc": 1, "convw": window, "convkw": wide_kernel(window, widening)}
        for name, kernel in {**kernels, "global_fc": 1}.items():
            conv = conv1d(channels, channels, kernel, depthwise=True)
            nn.init.normal_(conv.weight, 0.0, init_std)
            self.add_module(name, conv)
        self.mlp = nn.Sequential(
            conv1d(channels, mlp_channels, 1), nn.GELU(), conv1d(mlp_channels, channels, 1)
        )
        scaled = drop_path is not None
        self.drop_path_out = ScaledDropPath(channels, drop_path or 0.0) if scaled else nn.Identity()
        self.drop_path_mlp = ScaledDropPath(channels, drop_path or 0.0) if scaled else nn.Identity()

    def forward(self, values_BTC: Tensor, mask_BT1: Tensor) -> tuple[Tensor, Tensor]:
        """Return the values and mask of the level that the block makes."""
        if self.stride == 2:
            values_BTC, mask_BT1 = self._halved(values_BTC, mask_BT1), halved_mask(mask_BT1)
        normed = self.ln(values_BTC)
        if self.padding.everywhere:
            normed = masked_in_place(normed, mask_BT1)
        values_BTC = masked(values_BTC, mask_BT1) + self.drop_path_out(self._branches(normed, mask_BT1))
        if self.padding.everywhere:
            values_BTC = masked(values_BTC, mask_BT1)
        values_BTC = values_BTC + self.drop_path_mlp(by_piece(self._mlp, self.gn(values_BTC, mask_BT1)))
        return masked(values_BTC, mask_BT1) if self.padding.everywhere else values_BTC, mask_BT1

    def _halved(self, values_BTC: Tensor, mask_BT1: Tensor) -> Tensor:
        if self.padding.everywhere:
            return halve(values_BTC, mask_BT1, self.padding)
        return maximum_of_three(values_BTC)  # the original does not mask here

    def _mlp(self, normed_BTC: Tensor, rows: slice) -> Tensor:
        widen, gelu, narrow = self.mlp
        narrowed: Tensor = narrow(widen(normed_BTC), Preparation(gelu))
        return narrowed

    def _branches(self, normed_BTC: Tensor, mask_BT1: Tensor) -> Tensor:
        conv = self.get_submodule
        phi = F.relu(conv("global_fc")(self._mean(normed_BTC, mask_BT1)))
        window = (conv("convw")(normed_BTC) + conv("convkw")(normed_BTC)) * conv("psi")(normed_BTC)
        branches: Tensor = conv("fc")(normed_BTC) * phi + window + normed_BTC
        return branches

    def _mean(self, normed_BTC: Tensor, mask_BT1: Tensor) -> Tensor:
        if not self.padding.everywhere:
            return normed_BTC.mean(1, keepdim=True)
        return normed_BTC.sum(1, keepdim=True) / mask_BT1.sum(1, keepdim=True).clamp(min=1)


def wide_kernel(window: int, widening: float) -> int:
    """Kernel of the large window.

    >>> wide_kernel(1, 5), wide_kernel(3, 1.5), wide_kernel(15, 1.3)
    (11, 7, 21)
    """
    kernel = round((window + 1) * widening)
    return kernel + 1 if kernel % 2 == 0 else kernel
