"""Which items form which batch: a function of seed and epoch alone, so that a cut-off run can go on inside an epoch."""

from __future__ import annotations

import math

import numpy as np


def epoch_batches(num_items: int, batch_size: int, *, seed: int, epoch: int) -> list[np.ndarray]:
    """Shuffle all items of one epoch into batches of nearly equal size.

    Every item comes exactly once; the sizes differ by at most one, so no small rest upsets batch norm.

    Args:
        num_items: items of the training set, at least 1.
        batch_size: largest batch.

    Returns:
        Integer arrays of item indices, ceil(num_items / batch_size) of them.
    """
    order = np.random.default_rng([seed, epoch]).permutation(num_items)
    return np.array_split(order, steps_per_epoch(num_items, batch_size))


def steps_per_epoch(num_items: int, batch_size: int) -> int:
    """Return the number of batches of one epoch."""
    return math.ceil(num_items / batch_size)


def derived_seed(*keys: int) -> int:
    """Mix integers (seed, epoch, item, ...) into one 63-bit seed; different keys give unrelated seeds."""
    return int(np.random.SeedSequence(keys).generate_state(1, np.uint64)[0] >> np.uint64(1))
