"""The scalable-granularity perception (SGP) block of TriDet, which takes the place of attention."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from one_stage.layers import (
    MaskedGroupNorm,
    ScaledDropPath,
    SequenceNorm,
    by_position,
    conv1d,
    halve,
    halved_mask,
    masked,
)
from one_stage.padding import Padding

GROUPS = 16


class SgpBlock(nn.Module):
    """(B, D, T) to (B, D, ceil(T / stride)): an instant branch and a window branch of depthwise
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

    def forward(self, values_BCT: Tensor, mask_B1T: Tensor) -> tuple[Tensor, Tensor]:
        """Return the values and mask of the level that the block makes."""
        if self.stride == 2:
            values_BCT, mask_B1T = self._halved(values_BCT, mask_B1T), halved_mask(mask_B1T)
        normed = self.ln(values_BCT)
        if self.padding.everywhere:
            normed = masked(normed, mask_B1T)
        values_BCT = masked(values_BCT, mask_B1T) + self.drop_path_out(self._branches(normed, mask_B1T))
        if self.padding.everywhere:
            values_BCT = masked(values_BCT, mask_B1T)
        values_BCT = values_BCT + self.drop_path_mlp(by_position(self.mlp, self.gn(values_BCT, mask_B1T)))
        return masked(values_BCT, mask_B1T) if self.padding.everywhere else values_BCT, mask_B1T

    def _halved(self, values_BCT: Tensor, mask_B1T: Tensor) -> Tensor:
        if self.padding.everywhere:
            return halve(values_BCT, mask_B1T, self.padding)
        return F.max_pool1d(values_BCT, 3, stride=2, padding=1)  # the original does not mask here

    def _branches(self, normed_BCT: Tensor, mask_B1T: Tensor) -> Tensor:
        conv = self.get_submodule
        phi = F.relu(conv("global_fc")(self._mean(normed_BCT, mask_B1T)))
        window = (conv("convw")(normed_BCT) + conv("convkw")(normed_BCT)) * conv("psi")(normed_BCT)
        branches: Tensor = conv("fc")(normed_BCT) * phi + window + normed_BCT
        return branches

    def _mean(self, normed_BCT: Tensor, mask_B1T: Tensor) -> Tensor:
        if not self.padding.everywhere:
            return normed_BCT.mean(2, keepdim=True)
        return normed_BCT.sum(2, keepdim=True) / mask_B1T.sum(2, keepdim=True).clamp(min=1)


def wide_kernel(window: int, widening: float) -> int:
    """Kernel of the large window.

    >>> wide_kernel(1, 5), wide_kernel(3, 1.5), wide_kernel(15, 1.3)
    (11, 7, 21)
    """
    kernel = round((window + 1) * widening)
    return kernel + 1 if kernel % 2 == 0 else kernel
