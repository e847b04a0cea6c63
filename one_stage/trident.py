"""TriDet's boundaries: the expected distance over bins, from boundary maps and offset bins
together.

Axes: M chosen (video, class, position) triples; J = bins + 1 distances.

    bins = 3, point t    start map at t-3 t-2 t-1 t     distances 3 2 1 0
                         end map at   t t+1 t+2 t+3     distances 0 1 2 3

Positions outside the map count as logit 0, as in the released code.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def boundary_distances(
    offsets_BXT: Tensor,
    start_BKT: Tensor,
    end_BKT: Tensor,
    chosen: tuple[Tensor, Tensor, Tensor],
) -> Tensor:
    """Return distances to start and end for chosen points and classes of one level.

    Source: TriDet (Shi et al., CVPR 2023), Sec. 3.2, Eq. 1 to 4.

    Args:
        offsets_BXT: (B, 2 J, T), side by side: J bins for the start, J for the end.
        start_BKT: start map, logits.
        end_BKT: end map, logits.
        chosen: videos, classes, positions, each (M,).

    Returns:
        (M, 2) in strides of the level.
    """
    videos, classes, positions = chosen
    bins = offsets_BXT.shape[1] // 2 - 1
    own_M2J = offsets_BXT[videos, :, positions].unflatten(1, (2, bins + 1))
    before = F.pad(start_BKT, (bins, 0)).unfold(2, bins + 1, 1)  # B x K x T x J, a view
    behind = F.pad(end_BKT, (0, bins)).unfold(2, bins + 1, 1)
    distances = torch.arange(bins + 1, device=own_M2J.device, dtype=torch.float32)
    sides = [
        ((own_M2J[:, side] + around[videos, classes, positions]).float().softmax(-1) * far).sum(-1)
        for side, (around, far) in enumerate(((before, distances.flip(0)), (behind, distances)))
    ]
    return torch.stack(sides, dim=1)
