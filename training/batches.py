"""Items of every batch, from seed and epoch alone, so that a cut-off run can go on inside an epoch.

The batch of a step is the same however many processes there are. Each takes a share of it and works
that off in pieces of at most `micro_batch` items:

    batch of 7, 2 processes, micro_batch 2      process 0: [a b] [c d]      process 1: [e f] [g]
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

ItemKey = tuple[int, int]
"""(epoch, item): all that a training item may depend on, beside the run's seed."""


@dataclass(frozen=True)
class Piece:
    """Items of a batch that go through the network together.

    Attributes:
        keys: one per item.
        start: place of the first item in the batch.
        batch_size: items of the whole batch, over all processes.
        weight: share of the batch's mean that the piece stands for. 0 for the item that a process
            works on where it has none left, so that it takes part in every exchange
            (`batch_pieces`).
    """

    keys: tuple[ItemKey, ...]
    start: int
    batch_size: int
    weight: float

    @property
    def is_whole(self) -> bool:
        """Whether this is all of the batch."""
        return len(self.keys) == self.batch_size


@dataclass(frozen=True, kw_only=True)
class Plan:
    """All pieces of one process, from the first step of training to the last.

    Attributes:
        num_items: items of the training set.
        batch_size: largest batch, over all processes.
        micro_batch: largest piece; 0: no limit.
        epochs: how often every item comes.
        seed: of the run.
        rank: of this process.
        world_size: number of processes.
    """

    num_items: int
    batch_size: int
    micro_batch: int
    epochs: int
    seed: int
    rank: int = 0
    world_size: int = 1

    @property
    def steps_per_epoch(self) -> int:
        """Batches of one epoch."""
        return steps_per_epoch(self.num_items, self.batch_size)

    @property
    def total_steps(self) -> int:
        """Batches of the whole training."""
        return self.epochs * self.steps_per_epoch

    def steps(self, first: int) -> Iterator[list[Piece]]:
        """Yield the pieces of each step from step `first` on, at least one piece a step."""
        first_epoch, done = divmod(first, self.steps_per_epoch)
        for epoch in range(first_epoch, self.epochs):
            batches = epoch_batches(self.num_items, self.batch_size, seed=self.seed, epoch=epoch)
            for batch in batches[done if epoch == first_epoch else 0 :]:
                keys = [(epoch, int(item)) for item in batch]
                yield batch_pieces(keys, self.rank, self.world_size, self.micro_batch)


def epoch_batches(num_items: int, batch_size: int, *, seed: int, epoch: int) -> list[np.ndarray]:
    """Shuffle all items of one epoch into batches of nearly equal size.

    Every item comes exactly once; the sizes differ by at most one, so no small rest upsets batch
    norm.

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


def batch_pieces(keys: list[ItemKey], rank: int, world_size: int, micro_batch: int) -> list[Piece]:
    """Return one process's pieces of a batch, nearly equal in size.

    All processes have the same number of them: synchronised batch norm waits for the others in
    every forward.

    >>> keys = [(0, item) for item in range(7)]
    >>> [[item for _, item in piece.keys] for piece in batch_pieces(keys, 1, 2, micro_batch=2)]
    [[4, 5], [6]]
    """
    start, stop = even_bounds(len(keys), world_size)[rank]
    largest_share = math.ceil(len(keys) / world_size)
    count = math.ceil(largest_share / micro_batch) if micro_batch else 1
    idle = Piece(tuple(keys[:1]), start=0, batch_size=len(keys), weight=0.0)
    return [
        Piece(tuple(keys[start + low : start + high]), start + low, len(keys), (high - low) / len(keys))
        if low < high
        else idle
        for low, high in even_bounds(stop - start, count)
    ]


def even_bounds(length: int, parts: int) -> list[tuple[int, int]]:
    """Cut 0..length into parts whose sizes differ by at most one, the larger ones first.

    >>> even_bounds(7, 3)
    [(0, 3), (3, 5), (5, 7)]
    """
    size, larger = divmod(length, parts)
    starts = [part * size + min(part, larger) for part in range(parts + 1)]
    return list(itertools.pairwise(starts))


def derived_seed(*keys: int) -> int:
    """Mix integers (seed, epoch, item, ...) into one 63-bit seed; different keys give unrelated
    seeds."""
    return int(np.random.SeedSequence(keys).generate_state(1, np.uint64)[0] >> np.uint64(1))
