"""Batches of an epoch: every item once, the same in every process, nearly equal in size."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from training.batches import Plan, batch_pieces, derived_seed, epoch_batches, steps_per_epoch

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


@given(st.integers(1, 40), st.integers(1, 8), st.integers(0, 9))
def test_the_pieces_of_all_processes_are_the_batch(size: int, world_size: int, micro_batch: int) -> None:
    keys = [(3, 100 + item) for item in range(size)]
    shares = [batch_pieces(keys, rank, world_size, micro_batch) for rank in range(world_size)]
    pieces = [piece for share in shares for piece in share if piece.weight]
    assert [key for piece in pieces for key in piece.keys] == keys
    assert all(keys[piece.start] == piece.keys[0] for piece in pieces)
    assert all(piece.weight == len(piece.keys) / size and piece.batch_size == size for piece in pieces)
    assert all(len(piece.keys) <= (micro_batch or size) for piece in pieces)
    counts = [sum(len(piece.keys) for piece in share if piece.weight) for share in shares]
    assert max(counts) - min(counts) <= 1
    assert len({len(share) for share in shares}) == 1  # or synchronised batch norm would wait for ever
    for share, count in zip(shares, counts, strict=True):
        assert share  # a process without a share works on one item that counts nothing
        if not count:
            assert [(piece.keys, piece.start, piece.weight) for piece in share] == [((keys[0],), 0, 0.0)]


@given(st.integers(1, 30), st.integers(1, 12), st.integers(1, 4), st.data())
def test_a_plan_gives_every_process_its_part_of_every_step_from_any_step_on(
    num_items: int, batch_size: int, world_size: int, data: st.DataObject
) -> None:
    plans = [
        Plan(
            num_items=num_items,
            batch_size=batch_size,
            micro_batch=2,
            epochs=3,
            seed=5,
            rank=rank,
            world_size=world_size,
        )
        for rank in range(world_size)
    ]
    expected = [
        [(epoch, int(item)) for item in batch]
        for epoch in range(3)
        for batch in epoch_batches(num_items, batch_size, seed=5, epoch=epoch)
    ]
    assert plans[0].total_steps == len(expected)
    first = data.draw(st.integers(0, len(expected)))
    steps = list(zip(*(plan.steps(first) for plan in plans), strict=True))
    found = [
        [key for share in step for piece in share if piece.weight for key in piece.keys] for step in steps
    ]
    assert found == expected[first:]
