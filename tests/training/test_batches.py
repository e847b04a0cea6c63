"""Batches of an epoch: every item once, the same in every process, nearly equal in size."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.batches import derived_seed, epoch_batches, steps_per_epoch

COUNTS = st.integers(1, 300)
SEEDS = st.integers(0, 2**40)


@given(COUNTS, COUNTS, SEEDS, st.integers(0, 1000))
def test_every_item_comes_once_in_batches_of_nearly_one_size(
    num_items: int, batch_size: int, seed: int, epoch: int
) -> None:
    batches = epoch_batches(num_items, batch_size, seed=seed, epoch=epoch)
    assert sorted(np.concatenate(batches).tolist()) == list(range(num_items))
    sizes = [len(batch) for batch in batches]
    assert max(sizes) <= batch_size
    assert max(sizes) - min(sizes) <= 1
    assert len(batches) == steps_per_epoch(num_items, batch_size) == -(-num_items // batch_size)
    again = epoch_batches(num_items, batch_size, seed=seed, epoch=epoch)
    assert all(np.array_equal(one, other) for one, other in zip(batches, again, strict=True))


def test_epochs_and_seeds_shuffle_differently() -> None:
    orders = {
        tuple(np.concatenate(epoch_batches(50, 7, seed=seed, epoch=epoch)).tolist())
        for seed in range(3)
        for epoch in range(3)
    }
    assert len(orders) == 9
    assert tuple(range(50)) not in orders


@given(st.lists(SEEDS, min_size=1, max_size=4))
def test_a_derived_seed_fits_torch_and_depends_on_all_keys(keys: list[int]) -> None:
    seed = derived_seed(*keys)
    assert 0 <= seed < 2**63
    assert seed == derived_seed(*keys)
    assert seed != derived_seed(*keys[:-1], keys[-1] + 1)


def test_the_order_of_keys_matters() -> None:
    assert len({derived_seed(*keys) for keys in [(1, 2, 3), (1, 3, 2), (3, 2, 1), (1, 2), (12, 3)]}) == 5
