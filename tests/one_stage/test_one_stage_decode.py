"""Candidates against those of the original code, and pairs of two class towers by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from one_stage import from_released
from one_stage.decode import Told, decode
from tests.golden_heads import Golden


def test_candidates_equal_those_of_the_original(golden: Golden) -> None:
    network = from_released(golden.settings, golden.weights)
    feats, valid = golden.batch
    with torch.no_grad():
        outputs = network(feats[:1], valid[:1])
    found = decode(
        [Told(outputs, network.arch.class_towers)],
        valid[0],
        min_score=0.001,
        top_candidates=2000,
        min_length=0.05,
    )
    segments_s = np.clip((found.rows * 16 + 32 / 2) / 30, 0, 60)  # stride, clip and rate of the golden data
    ours = np.lexsort((found.classes, -found.scores))
    theirs = np.lexsort((golden.arrays["det_labels"], -golden.arrays["det_scores"]))
    np.testing.assert_array_equal(found.classes[ours], golden.arrays["det_labels"][theirs])
    np.testing.assert_allclose(found.scores[ours], golden.arrays["det_scores"][theirs], rtol=1e-5)
    np.testing.assert_allclose(segments_s[ours], golden.arrays["det_segments_s"][theirs], atol=1e-4)


def test_best_of_each_level_are_kept(golden: Golden) -> None:
    network = from_released(golden.settings, golden.weights)
    feats, valid = golden.batch
    with torch.no_grad():
        outputs = network(feats[1:], valid[1:])
    found = decode(
        [Told(outputs, network.arch.class_towers)],
        valid[1],
        min_score=0.0,
        top_candidates=3,
        min_length=-1.0,
    )
    assert len(found.scores) == 3 * network.arch.levels
    best = [logits.sigmoid().max().item() for logits in outputs["logits"]]
    assert found.scores[::3].tolist() == pytest.approx(best)


def test_two_towers_give_pairs() -> None:
    logits = torch.full((1, 5, 2), -20.0)  # 2 verbs, 3 nouns at two positions
    logits[0, 1, 1], logits[0, 2 + 2, 1], logits[0, 2 + 0, 1] = 2.0, 1.0, 0.0
    outputs = {"logits": [logits], "offsets": [torch.ones(1, 2, 2)]}
    found = decode(
        [Told(outputs, (2, 3))],
        torch.tensor([True, True]),
        min_score=0.01,
        top_candidates=9,
        min_length=0.0,
    )
    assert found.classes.tolist() == [1 * 3 + 2, 1 * 3 + 0]
    probability = torch.tensor([2.0, 1.0, 0.0]).sigmoid()
    expected = (probability[0] * probability[1:]).sqrt()
    assert found.scores.tolist() == pytest.approx(expected.tolist())
    assert found.rows.tolist() == [[0.0, 2.0], [0.0, 2.0]]
