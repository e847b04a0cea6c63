"""Loading the items of all remaining steps, ahead of the training and over the ends of epochs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset

from training.batches import Plan


def load_pieces(
    dataset: Dataset[Any], plan: Plan, first_step: int, *, workers: int, device: torch.device
) -> Iterator[Any]:
    """Yield the collated items of every piece from a step on.

    One loader serves all epochs, so its processes stay and already load the next epoch while this
    one ends.

    Args:
        dataset: map-style, keys are `ItemKey`.
        plan: the pieces of this process.
        first_step: where training goes on.
        workers: loader processes; 0: items are loaded here, when they are needed.
        device: for a GPU, batches lie in pinned memory.
    """
    keys = (list(piece.keys) for pieces in plan.steps(first_step) for piece in pieces)
    loader = DataLoader(
        dataset,
        batch_sampler=keys,
        num_workers=workers,
        pin_memory=device.type == "cuda",
        # A generator of its own: the loader would otherwise draw from, and so shift, the global
        # one.
        generator=torch.Generator().manual_seed(0),
    )
    return iter(loader)
