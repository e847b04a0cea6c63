"""Top-k accuracy of views, verbs, nouns and actions, against plain definitions."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from classification.finetune.accuracy import (
    accuracy_table,
    class_accuracy_csv,
    cross_entropy,
    rank_all,
    ranks_of,
    softmax,
)


@given(st.integers(1, 5), st.integers(1, 6), st.integers(0, 10**6))
def test_ranks_are_places_in_a_stable_sort(items: int, classes: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    scores = generator.integers(0, 3, (items, classes)) / 2  # many ties
    right = generator.integers(0, classes, items)
    order = np.argsort(-scores, axis=1, kind="stable")
    expected = [int(np.flatnonzero(row == index)[0]) for row, index in zip(order, right, strict=True)]
    assert ranks_of(scores, right).tolist() == expected


def _random() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, list[str]]]:
    """Logits of 40 items in 3 views that lean towards the right classes, these, and names: 4
    verbs, 6 nouns."""
    generator = np.random.default_rng(0)
    logits, classes, names = {}, {}, {}
    for head, count in (("verb", 4), ("noun", 6)):
        classes[head] = generator.integers(0, count, 40)
        logits[head] = generator.normal(size=(40, 3, count), scale=2).astype(np.float32)
        logits[head][np.arange(40), :, classes[head]] += 1
        names[head] = [f"{head[0]}{index}" for index in range(count)]
    return logits, classes, names


def test_one_head_is_ranked_by_the_mean_probability_of_its_views() -> None:
    # One sure view for class 1, two weak ones for class 0: mean probabilities decide, not mean
    # logits or votes.
    logits = {"action": np.log(np.array([[[0.02, 0.98], [0.6, 0.4], [0.6, 0.4]]], dtype=np.float32))}
    (ranking,) = rank_all(logits, {"action": np.array([1])}, {"action": ["a", "b"]})
    assert ranking.top(1) == 1.0
    assert ranking.per_class() == [("b", 1, 1, 1)]


def test_the_challenge_counts_an_action_where_verb_and_noun_are_right() -> None:
    logits, classes, names = _random()
    verb, noun, action, by_view = rank_all(logits, classes, names)
    assert [ranking.task for ranking in (verb, noun, action, by_view)] == [
        "verb",
        "noun",
        "action",
        "action, by view",
    ]
    both = (verb.ranks == 0) & (noun.ranks == 0)
    assert 0 < both.sum() < len(both)
    np.testing.assert_array_equal(action.ranks == 0, both)


def test_actions_equal_their_plain_definitions() -> None:
    logits, classes, names = _random()
    _, _, action, by_view = rank_all(logits, classes, names)
    verbs = torch.from_numpy(logits["verb"]).double().softmax(-1)
    nouns = torch.from_numpy(logits["noun"]).double().softmax(-1)
    right = classes["verb"] * 6 + classes["noun"]
    products: dict[str, list[torch.Tensor]] = {"averaged": [], "by view": []}
    for item in range(40):
        products["averaged"].append(torch.outer(verbs[item].mean(0), nouns[item].mean(0)).flatten())
        views = [torch.outer(verbs[item, view], nouns[item, view]).flatten() for view in range(3)]
        products["by view"].append(torch.stack(views).mean(0))
    for ranking, scores in ((action, products["averaged"]), (by_view, products["by view"])):
        expected = [int((row > row[index]).sum()) for row, index in zip(scores, right, strict=True)]
        assert ranking.ranks.tolist() == expected
    assert action.ranks.tolist() != by_view.ranks.tolist()


def test_cross_entropy_is_that_of_torch() -> None:
    logits, classes, _ = _random()
    expected = sum(
        torch.nn.functional.cross_entropy(
            torch.from_numpy(values).double().flatten(0, 1),
            torch.from_numpy(classes[head]).repeat_interleave(3),
            reduction="none",
        ).view(40, 3)
        for head, values in logits.items()
    )
    np.testing.assert_allclose(cross_entropy(logits, classes), expected.mean(1).numpy(), rtol=1e-6)


def test_softmax_survives_large_logits() -> None:
    np.testing.assert_allclose(softmax(np.array([1000.0, 1000.0, -1000.0])), [0.5, 0.5, 0.0])


def test_tables_show_percent_and_every_class(recwarn: pytest.WarningsRecorder) -> None:
    logits = {"action": np.eye(3, dtype=np.float32)[[0, 0, 1, 0]][:, None]}
    names = {"action": ['say "hi", wave', "b", "never shown"]}
    rankings = rank_all(logits, {"action": np.array([0, 0, 1, 1])}, names)
    assert accuracy_table(rankings).splitlines()[1].split() == ["action", "75.00", "100.00", "75.00"]
    rows = list(csv.DictReader(class_accuracy_csv(rankings).splitlines()))
    assert [(row["label"], row["count"], float(row["top1"])) for row in rows] == [
        ('say "hi", wave', "2", 1.0),
        ("b", "2", 0.5),
    ]
    assert not recwarn.list
