"""Position embeddings at another size: weights of one frame size or clip length serve another.

Source: the released code's loading of a ViViT for 224 pixels into one for 320 ("super-resolution" of
positions); Dosovitskiy et al. 2021, Sec. 3.2.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor


def interpolated_grid(pos_embd: Tensor, built: tuple[int, ...], size: tuple[int, int]) -> Tensor:
    """Positions (1, 1 + rows * columns, D) for another grid, bilinearly; the class token, in front,
    keeps its own.

    Args:
        pos_embd: as learnt.
        built: rows and columns that it was learnt for.
        size: rows and columns wanted.
    """
    if built == size:
        return pos_embd
    grid = pos_embd[:, 1:].unflatten(1, built).movedim(-1, 1)
    grid = F.interpolate(grid, size=size, mode="bilinear", align_corners=False)
    return torch.cat([pos_embd[:, :1], grid.flatten(2).transpose(1, 2)], dim=1)


def interpolated_steps(temp_embd: Tensor, count: int) -> Tensor:
    """Embeddings of steps in time (1, 1 + steps, D) for another number of them, linearly; the class
    token keeps its own."""
    steps = F.interpolate(temp_embd[:, 1:].transpose(1, 2), size=count, mode="linear", align_corners=False)
    return torch.cat([temp_embd[:, :1], steps.transpose(1, 2)], dim=1)


def fit_positions(
    state: Mapping[str, Tensor], expected: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Bring the positions of a factorised ViViT to the size of a network: steps in time, and square
    grids of patches.

    Where one table holds both (ViViT, TimeSformer), its grid is not known, and it stays as it is.

    Args:
        state: of a file.
        expected: of the network.

    Returns:
        The state, and the names of what was interpolated.
    """
    if not any(key.endswith("temp_embd") for key in expected):
        return dict(state), ()
    fitted = {key: _fitted(key, tensor, expected.get(key)) for key, tensor in state.items()}
    return fitted, tuple(key for key, tensor in fitted.items() if tensor is not state[key])


def _fitted(key: str, found: Tensor, expected: Tensor | None) -> Tensor:
    if expected is None or found.dim() != 3 or found.shape[::2] != expected.shape[::2]:
        return found
    before, wanted = found.shape[1] - 1, expected.shape[1] - 1
    if before == wanted or min(before, wanted) < 1:
        return found
    if key.endswith("temp_embd"):
        return interpolated_steps(found, wanted)
    sides = math.isqrt(before), math.isqrt(wanted)
    if key.endswith("pos_embd") and [side * side for side in sides] == [before, wanted]:
        return interpolated_grid(found, (sides[0], sides[0]), (sides[1], sides[1]))
    return found
