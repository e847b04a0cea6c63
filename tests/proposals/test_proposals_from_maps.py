"""From maps to proposals, against the original's detections and on maps with a known answer."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bmn.head import scored_candidates
from bmn.inference import VideoMaps
from bmn.settings import ProposalsConfig
from proposals.suppression import suppress_by_width
from runtime.sections import run_config

HACS = ProposalsConfig()
Maps = tuple[np.ndarray, np.ndarray, np.ndarray]


def proposals_from_maps(
    maps: Maps, duration_s: float, config: ProposalsConfig, span_s: float | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Candidates, then suppression."""
    candidates = scored_candidates(VideoMaps(*maps, duration_s, span_s or duration_s), config)
    kept = suppress_by_width(candidates, run_config(proposals=config))
    return kept.segments_s, kept.scores


def one_action(tscale: int = 20) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Maps that point at [4, 10] of 20 cells."""
    start, end = np.full(tscale, 0.1), np.full(tscale, 0.1)
    start[4], end[10] = 0.9, 0.9
    confidence_map = np.full((2, tscale, tscale), 0.01)
    confidence_map[:, 5, 4] = 0.8
    return start, end, confidence_map


def test_equals_original_detections(shared: Path) -> None:
    maps = np.load(shared / "golden/bmn/candidates.npz")
    golden = json.loads((shared / "golden/bmn/epic_detections.json").read_text())
    duration_s, labels_per_proposal = golden["video_duration"], 5
    detections = golden["results"]["cr"]["P01_11"][::labels_per_proposal]  # the best label of each proposal
    config = ProposalsConfig(
        min_score=0.0001,
        soft_nms_low_threshold=0.25,
        soft_nms_high_threshold=0.9,
        soft_nms_iou_power=2.0,
        max_proposals=int(duration_s) + 1,
    )
    segments_s, scores = proposals_from_maps(
        (maps["start"], maps["end"], maps["confidence_map"]), duration_s, config
    )
    np.testing.assert_allclose(segments_s, [row["segment"] for row in detections], atol=1e-6)
    is_same = np.isclose(segments_s[:, None], maps["proposals"][:, :2] * duration_s).all(axis=2)
    label_scores = maps["vn_score"][is_same.argmax(axis=1), 0, 2]  # probability of the best verb and noun
    np.testing.assert_allclose(scores * label_scores, [row["score"] for row in detections], rtol=1e-5)


def test_best_proposal_is_the_action_in_seconds() -> None:
    segments_s, scores = proposals_from_maps(one_action(), 60.0, HACS)
    np.testing.assert_allclose(segments_s[0], [12.0, 30.0])
    np.testing.assert_allclose(scores[0], 0.8**2.2)
    assert np.all(np.diff(scores) <= 0)


def test_selection_is_strict_and_may_leave_nothing() -> None:
    score = float(np.float64(0.8) ** 1.2 * 0.8)
    segments_s, scores = proposals_from_maps(one_action(), 60.0, ProposalsConfig(min_score=score))
    assert (segments_s.shape, scores.shape) == ((0, 2), (0,))


def test_keeps_the_best_n() -> None:
    rng = np.random.default_rng(0)
    maps = rng.random(30), rng.random(30), rng.random((2, 30, 30))
    all_segments_s, all_scores = proposals_from_maps(maps, 60.0, ProposalsConfig(max_proposals=10**6))
    segments_s, scores = proposals_from_maps(maps, 60.0, ProposalsConfig(max_proposals=5))
    np.testing.assert_array_equal(segments_s, all_segments_s[:5])
    np.testing.assert_array_equal(scores, all_scores[:5])


def test_span_of_a_grid_that_exceeds_the_video() -> None:
    segments_s, _ = proposals_from_maps(one_action(), 9.0, HACS, span_s=20.0)  # 1 s a cell
    assert [4.0, 9.0] in segments_s.tolist()  # [4, 10] clipped
    assert np.all(segments_s[:, 0] < segments_s[:, 1])
    assert segments_s.max() == 9.0


@pytest.mark.parametrize(
    "times", [{"duration_s": 0.0}, {"duration_s": float("nan")}, {"duration_s": 5.0, "span_s": -1.0}]
)
def test_refuses_bad_times(times: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="duration_s and span_s must be positive"):
        proposals_from_maps(one_action(), config=HACS, **times)
