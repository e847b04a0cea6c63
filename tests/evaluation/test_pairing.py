"""Pairs of two observers' events within a window: against every possible matching."""

from __future__ import annotations

import itertools
import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from evaluation.metrics.behaviour import cohens_kappa, event_confusion
from evaluation.metrics.pairing import pair_events

quarters = st.lists(st.integers(0, 24).map(lambda n: n / 4), max_size=5)
"""Times on a grid, so that many differ by just the tolerance, and many are equal."""
tolerances = st.integers(0, 8).map(lambda n: n / 4)


def count_pairs(first: list[float], second: list[float], tolerance_s: float) -> int:
    """How many pairs there are, once they are seen to be pairs."""
    pairs = pair_events(first, second, tolerance_s)
    for found, positions in zip((first, second), zip(*pairs, strict=True), strict=False):
        assert len(set(positions)) == len(positions)
        assert [found[i] for i in positions] == sorted(found[i] for i in positions)
    assert all(abs(first[i] - second[j]) <= tolerance_s + 1e-9 for i, j in pairs)
    return len(pairs)


def most_pairs(first: list[float], second: list[float], tolerance_s: float) -> int:
    """The most of all one-to-one matchings, tried one by one."""
    short, long = sorted((first, second), key=len)
    return max(
        sum(abs(one - other) <= tolerance_s for one, other in zip(short, chosen, strict=True))
        for chosen in itertools.permutations(long, len(short))
    )


@given(quarters, quarters, tolerances)
def test_no_matching_has_more_pairs(first: list[float], second: list[float], tolerance_s: float) -> None:
    assert count_pairs(first, second, tolerance_s) == most_pairs(first, second, tolerance_s)


@given(st.integers(0, 2**32 - 1), st.integers(0, 60), st.integers(0, 60), st.floats(0.01, 5))
def test_pairs_are_as_many_as_a_solver_of_graphs_finds(
    seed: int, n_first: int, n_second: int, tolerance_s: float
) -> None:
    chance = np.random.default_rng(seed)
    first, second = chance.uniform(0, 60, n_first), chance.uniform(0, 60, n_second)
    near = np.abs(first[:, None] - second) <= tolerance_s
    partners = maximum_bipartite_matching(csr_array(near.astype(int))) if near.any() else np.array([-1])
    assert count_pairs(first.tolist(), second.tolist(), tolerance_s) == np.count_nonzero(partners >= 0)


@given(quarters, quarters, tolerances, st.floats(-100, 100))
def test_pairs_are_the_same_the_other_way_round_and_later(
    first: list[float], second: list[float], tolerance_s: float, later_s: float
) -> None:
    found = count_pairs(first, second, tolerance_s)
    assert count_pairs(second, first, tolerance_s) == found
    moved = ([time_s + later_s for time_s in times] for times in (first, second))
    assert count_pairs(*moved, tolerance_s) == found
    assert count_pairs(first, second, tolerance_s + 1) >= found
    assert count_pairs(first, first, tolerance_s) == len(first)


def test_a_greedy_choice_of_the_nearest_would_lose_a_pair() -> None:
    # 2.0 is nearest to 1.6, which 1.0 needs
    assert count_pairs([1.0, 2.0], [1.6, 2.9], 1.0) == 2
    assert count_pairs([2.0, 1.0], [2.9, 1.6], 1.0) == 2


def test_the_window_includes_its_ends_also_of_decimal_numbers() -> None:
    assert 16.1 - 15.1 > 1.0
    assert count_pairs([16.1], [15.1], 1.0) == 1
    assert count_pairs([16.1], [15.099], 1.0) == 0


# ---- labels


def test_starts_pair_within_the_window_and_by_label_first() -> None:
    reference = [(1.0, "run"), (5.0, "sit")]  # rows and columns: run, sit, no event
    assert event_confusion(reference, [(1.9, "run"), (4.2, "sit")], 1.0).tolist() == [
        [1, 0, 0],
        [0, 1, 0],
        [0, 0, 0],
    ]
    assert event_confusion(reference, [(2.1, "run"), (5.0, "sit")], 1.0).tolist() == [
        [0, 0, 1],
        [0, 1, 0],
        [1, 0, 0],
    ]
    # of two near ones, the one of the same label
    found = event_confusion(reference, [(1.0, "sit"), (1.5, "run"), (5.0, "sit")], 1.0)
    assert found.tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 0]]
    assert event_confusion([(1.0, "run")], [(1.0, "sit")], 1.0).tolist() == [[0, 1, 0], [0, 0, 0], [0, 0, 0]]
    assert math.isnan(cohens_kappa(event_confusion([], [], 1.0)))
    # 2.0 is nearest to 1.6, which 1.0 needs
    assert event_confusion([(1.0, "run"), (2.0, "run")], [(1.6, "run"), (2.9, "run")], 1.0)[0, 0] == 2


events = st.lists(st.tuples(st.integers(0, 16).map(lambda n: n / 4), st.sampled_from("ab")), max_size=5)


@given(events, events, st.integers(0, 8).map(lambda n: n / 4))
def test_no_matching_has_more_starts_of_one_label(
    first: list[tuple[float, str]], second: list[tuple[float, str]], tolerance_s: float
) -> None:
    labels = sorted({label for _, label in first + second})
    times = [[[t for t, of in both if of == label] for label in labels] for both in (first, second)]
    found = event_confusion(first, second, tolerance_s)
    most = [most_pairs(*pair, tolerance_s) for pair in zip(*times, strict=True)]
    assert np.diag(found)[:-1].tolist() == most
    assert found.sum(axis=1)[:-1].tolist() == [len(found) for found in times[0]]
    assert found.sum(axis=0)[:-1].tolist() == [len(found) for found in times[1]]
    assert found.min(initial=0) == 0
    assert found.T.tolist() == event_confusion(second, first, tolerance_s).tolist()


@given(events, events, st.integers(0, 8).map(lambda n: n / 4))
def test_no_matching_has_more_starts_of_unlike_labels(
    first: list[tuple[float, str]], second: list[tuple[float, str]], tolerance_s: float
) -> None:
    times = [[time_s for time_s, _ in both] for both in (first, second)]
    found = event_confusion([(t, "a") for t in times[0]], [(t, "b") for t in times[1]], tolerance_s)
    assert found[:-1, :-1].sum() == most_pairs(*times, tolerance_s)
