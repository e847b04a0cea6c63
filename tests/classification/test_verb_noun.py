"""Verb-noun fusion against the original's pairs and detections, and against a plain loop."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmn.candidates import candidate_pairs
from bmn.scoring import proposal_scores
from classification.verb_noun import fuse_verb_noun
from proposals import soft_nms


def test_equals_original(shared: Path) -> None:
    golden = np.load(shared / "golden/bmn/verb_noun_fusion.npz")
    cases = sorted({name.split("/")[0] for name in golden})
    for case in cases:
        verb, noun = golden[f"{case}/verb"], golden[f"{case}/noun"]
        found = fuse_verb_noun(verb[None], noun[None], num_actions=20)
        index, score = golden[f"{case}/index"], golden[f"{case}/score"]
        np.testing.assert_array_equal(np.stack([found.verb[0], found.noun[0]], axis=1), index)
        np.testing.assert_allclose(found.score[0], score[:, 2], rtol=1e-6)
        np.testing.assert_array_equal(verb[found.verb[0]], score[:, 0])


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=0))
    return np.asarray(powers / powers.sum(axis=0))


def test_candidates_to_detections_equal_original(shared: Path) -> None:
    maps = np.load(shared / "golden/bmn/candidates.npz")
    golden = json.loads((shared / "golden/bmn/epic_detections.json").read_text())
    duration_s = golden["video_duration"]
    candidates = candidate_pairs(maps["start"], maps["end"], maps["confidence_map"])
    scores = proposal_scores(candidates.cls_score, candidates.reg_score)
    selected = np.flatnonzero(scores > 0.0001)
    kept, decayed = soft_nms(
        candidates.segments[selected],
        scores[selected],
        alpha=0.4,
        low_threshold=0.25,
        high_threshold=0.9,
        max_proposals=int(duration_s) + 1,
    )
    rows = selected[kept]
    start, duration = candidates.start_index[rows], (candidates.end_index - candidates.start_index)[rows] - 1
    verb, noun = (
        softmax(maps[f"{task}_a"][:, duration] + maps[f"{task}_b"][:, start]).T for task in ("verb", "noun")
    )
    actions = fuse_verb_noun(verb, noun)
    ours = [
        (action, proposal, score)
        for proposal in range(len(rows))
        for action, score in zip(
            zip(actions.verb[proposal], actions.noun[proposal], strict=True),
            actions.score[proposal] * decayed[proposal],
            strict=True,
        )
    ]
    expected = golden["results"]["cr"]["P01_11"]
    assert len(ours) == len(expected)
    for ((verb_id, noun_id), proposal, score), record in zip(ours, expected, strict=True):
        assert (verb_id, noun_id) == (record["verb"], record["noun"])
        segment = candidates.segments[rows[proposal]] * duration_s
        np.testing.assert_allclose(segment, record["segment"], atol=1e-6)
        np.testing.assert_allclose(score, record["score"], rtol=1e-5)


@settings(max_examples=60)
@given(
    st.integers(1, 5),
    st.integers(1, 6),
    st.integers(1, 4),
    st.integers(1, 7),
    st.integers(1, 12),
    st.integers(0, 99),
)
def test_equals_plain_loop(
    n_verb: int, n_noun: int, num_verbs: int, num_nouns: int, num_actions: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    verb, noun = rng.integers(0, 4, (3, n_verb)) / 4, rng.integers(0, 4, (3, n_noun)) / 4
    found = fuse_verb_noun(verb, noun, num_verbs=num_verbs, num_nouns=num_nouns, num_actions=num_actions)
    for row in range(3):
        verbs = sorted(range(n_verb), key=lambda v: -verb[row, v])[:num_verbs]
        nouns = sorted(range(n_noun), key=lambda n: -noun[row, n])[:num_nouns]
        pairs = [(v, n) for v in verbs for n in nouns]
        pairs.sort(key=lambda pair: -verb[row, pair[0]] * noun[row, pair[1]])
        pairs = pairs[:num_actions]
        assert list(zip(found.verb[row], found.noun[row], strict=True)) == pairs
        assert found.score[row].tolist() == [verb[row, v] * noun[row, n] for v, n in pairs]


def test_no_proposals() -> None:
    found = fuse_verb_noun(np.zeros((0, 4)), np.zeros((0, 5)))
    assert found.score.shape == (0, 5)


@pytest.mark.parametrize(
    ("verb", "noun", "num_verbs", "message"),
    [
        (np.zeros((2, 4)), np.zeros((3, 5)), 10, r"got \(\(2, 4\), \(3, 5\)\)"),
        (np.zeros(4), np.zeros(5), 10, r"\(N, V\) and nouns \(N, M\)"),
        (np.zeros((2, 0)), np.zeros((2, 5)), 10, "V and M >= 1"),
        (np.zeros((2, 4)), np.zeros((2, 5)), 0, r"must be >= 1, got \(0, 30, 5\)"),
        (np.full((1, 4), np.nan), np.zeros((1, 5)), 10, "contain nan"),
    ],
)
def test_refuses_bad_input(verb: np.ndarray, noun: np.ndarray, num_verbs: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fuse_verb_noun(verb, noun, num_verbs=num_verbs)
