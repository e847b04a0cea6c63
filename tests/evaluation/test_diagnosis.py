"""The diagnosis against a slow plain version of its definitions (Alwassel et al., ECCV 2018) on
small random grids."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.__main__ import main
from evaluation.diagnosis import Diagnosis, diagnose, diagnosis_to_json
from evaluation.diagnosis.characteristics import bin_values, characterise, quantile_edges
from evaluation.diagnosis.false_positives import CATEGORIES, best_overlap, categorise, profile_counts, shares
from evaluation.files.protocols import PROTOCOLS
from evaluation.metrics.columns import Segments, TaskColumns
from evaluation.metrics.matches import Matches, match_columns

THRESHOLDS = np.array([0.1, 0.5, 0.75])
NUM_VIDEOS = 3
DURATIONS_S = np.array([10.0, 5.0, math.nan])

half_seconds = st.integers(0, 8).map(lambda n: n / 2)
annotation_rows = st.tuples(st.integers(0, NUM_VIDEOS - 1), st.integers(0, 2), half_seconds, half_seconds)
prediction_rows = st.tuples(
    st.integers(-1, NUM_VIDEOS - 1),
    st.integers(0, 2),
    half_seconds,
    half_seconds,
    st.integers(0, 5).map(lambda n: n / 5),
)


def ordered(row: Any) -> Any:
    """Start before end; inverted segments have their own tests."""
    video, label, a, b, *score = row
    return (video, label, min(a, b), max(a, b), *score)


def prepare(annotations: list[Any], predictions: list[Any]) -> tuple[Matches, list[Any], list[Any]]:
    """Matches, and the rows behind them in the order of the ranking; classes without annotations
    dropped."""
    annotations = [ordered(row) for row in annotations]
    classes = sorted({row[1] for row in annotations})
    annotations = [(row[0], classes.index(row[1]), *row[2:]) for row in annotations]
    found = [ordered(row) for row in predictions if row[1] in classes]
    found = [(row[0], classes.index(row[1]), *row[2:]) for row in found]
    columns = TaskColumns(
        segments([(*row, 0.0) for row in annotations]),
        segments(found),
        tuple(f"class {label}" for label in classes),
        [],
    )
    order = sorted(range(len(found)), key=lambda row: (found[row][1], -found[row][4], -row))
    return match_columns(columns, THRESHOLDS), annotations, [found[row] for row in order]


def segments(rows: list[Any]) -> Segments:
    video, label, start_s, end_s, score = np.array(rows, dtype=float).reshape(-1, 5).T
    return Segments(video.astype(int), label.astype(int), start_s, end_s, score)


def plain_tiou(a: Any, b: Any) -> float:
    if a[0] != b[0]:
        return -1.0
    common = max(0.0, min(a[3], b[3]) - max(a[2], b[2]))
    union = (a[3] - a[2]) + (b[3] - b[2]) - common
    return common / union if union else math.inf


def plain_matching(annotations: list[Any], ranked: list[Any], threshold: float) -> list[int | None]:
    """Annotation that each prediction finds, greedily by rank."""
    free = set(range(len(annotations)))
    matched: list[int | None] = []
    for prediction in ranked:
        candidates = [
            (plain_tiou(prediction, annotations[row]), row)
            for row in free
            if annotations[row][1] == prediction[1] and plain_tiou(prediction, annotations[row]) >= threshold
        ]
        matched.append(max(candidates)[1] if candidates else None)
        free -= {matched[-1]}
    return matched


def plain_category(annotations: list[Any], prediction: Any, matched: int | None, threshold: float) -> str:
    if matched is not None:
        return "true positive"
    overlaps = [(plain_tiou(prediction, row), row[1] == prediction[1]) for row in annotations]
    tiou, same = max(overlaps, default=(0.0, False))  # of equal tIoU, its own class first
    if tiou >= threshold:
        return "double detection" if same else "wrong label"
    if tiou >= 0.1:
        return "localisation" if same else "confusion"
    return "background"


def plain_ap(hits: list[bool], count: int, assumed: float | None = None) -> float:
    """Area under the envelope, point by point; `assumed`: precision as if the class had so many
    annotations."""
    points, found, wrong = [], 0, 0
    for hit in hits:
        found, wrong = found + hit, wrong + (not hit)
        right = found if assumed is None else found / count * assumed
        points.append((found / count, right / (right + wrong)))
    area, before = 0.0, 0.0
    for index, (recall, _) in enumerate(points):
        if recall > before:
            area += (recall - before) * max(precision for _, precision in points[index:])
            before = recall
    return area


def plain_mean_ap(
    annotations: list[Any], ranked: list[Any], keep: list[bool], matched: list[Any], assumed: float | None
) -> float:
    classes = {row[1] for row in annotations}
    return float(
        np.mean(
            [
                plain_ap(
                    [
                        m is not None
                        for row, m, kept in zip(ranked, matched, keep, strict=True)
                        if kept and row[1] == label
                    ],
                    sum(row[1] == label for row in annotations),
                    assumed,
                )
                for label in classes
            ]
        )
    )


cases = (st.lists(annotation_rows, min_size=1, max_size=7), st.lists(prediction_rows, max_size=25))


@settings(max_examples=150)
@given(*cases)
def test_categories_and_profile(annotations: list[Any], predictions: list[Any]) -> None:
    matches, annotations, ranked = prepare(annotations, predictions)
    category = categorise(matches, best_overlap(matches.annotations, matches.predictions))
    counts = profile_counts(matches, category)
    assert counts.shape == (3, 10, 6)
    for row, threshold in enumerate(THRESHOLDS):
        matched = plain_matching(annotations, ranked, threshold)
        expected = [
            plain_category(annotations, prediction, found, threshold)
            for prediction, found in zip(ranked, matched, strict=True)
        ]
        assert [CATEGORIES[kind] for kind in category[row]] == expected
        profile = np.zeros((10, 6), int)
        for place, (prediction, kind) in enumerate(zip(ranked, expected, strict=True)):
            rank = sum(other[1] == prediction[1] for other in ranked[:place])
            band = rank // sum(annotation[1] == prediction[1] for annotation in annotations)
            if band < 10:
                profile[band, CATEGORIES.index(kind)] += 1
        np.testing.assert_array_equal(counts[row], profile)
    total = shares(counts).sum(axis=1)
    np.testing.assert_allclose(total[~np.isnan(total)], 1.0, rtol=1e-12)
    np.testing.assert_array_equal(np.isnan(total), counts.sum(axis=(0, 2)) == 0)


@settings(max_examples=100)
@given(*cases)
def test_gains(annotations: list[Any], predictions: list[Any]) -> None:
    matches, annotations, ranked = prepare(annotations, predictions)
    found = diagnose(matches, DURATIONS_S, PROTOCOLS["hacs"].edges)
    assumed = len(annotations) / len({row[1] for row in annotations})
    places = [sum(other[1] == row[1] for other in ranked[:at]) for at, row in enumerate(ranked)]
    best = [
        place < 10 * sum(a[1] == row[1] for a in annotations)
        for place, row in zip(places, ranked, strict=True)
    ]
    for gain in found.gains:
        normalised = []
        for column, threshold in enumerate(THRESHOLDS):
            matched = plain_matching(annotations, ranked, threshold)
            others = [
                plain_category(annotations, row, m, threshold) != gain.error
                for row, m in zip(ranked, matched, strict=True)
            ]
            everything = [True] * len(ranked)
            before = plain_mean_ap(annotations, ranked, everything, matched, None)
            after = plain_mean_ap(annotations, ranked, others, matched, None)
            assert gain.mAP[column] == pytest.approx(after - before, abs=1e-12)
            assert gain.mAP[column] >= -1e-12
            both = [a and b for a, b in zip(others, best, strict=True)]
            after = plain_mean_ap(annotations, ranked, both, matched, assumed)
            normalised.append(after - plain_mean_ap(annotations, ranked, best, matched, assumed))
        assert gain.average_mAP == pytest.approx(np.mean(gain.mAP), abs=1e-12)
        assert gain.average_mAP_N == pytest.approx(np.mean(normalised), abs=1e-12)


@settings(max_examples=100)
@given(*cases)
def test_sensitivity_and_false_negatives(annotations: list[Any], predictions: list[Any]) -> None:
    matches, annotations, ranked = prepare(annotations, predictions)
    found = diagnose(matches, DURATIONS_S, PROTOCOLS["hacs"].edges)
    assumed = len(annotations) / len({row[1] for row in annotations})
    for characteristic, figures in zip(
        characterise(matches.annotations, DURATIONS_S, PROTOCOLS["hacs"].edges),
        found.characteristics,
        strict=True,
    ):
        assert sum(part.count for part in figures.bins) == np.count_nonzero(characteristic.bin >= 0)
        for number, part in enumerate(figures.bins):
            inside = {row for row, bin in enumerate(characteristic.bin) if bin == number}
            assert part.count == len(inside)
            if not inside:
                assert part.mAP_N is None
                assert part.missed is None
                continue
            members = [annotations[row] for row in sorted(inside)]
            for column, threshold in enumerate(THRESHOLDS):
                matched = plain_matching(annotations, ranked, threshold)
                keep = [m is None or m in inside for m in matched]
                expected = plain_mean_ap(members, ranked, keep, matched, assumed)
                assert part.mAP_N is not None
                assert part.missed is not None
                assert part.mAP_N[column] == pytest.approx(expected, abs=1e-12)
                precise = precisely_found(annotations, ranked, matched, assumed)
                assert part.missed[column] == pytest.approx(1 - len(precise & inside) / len(inside))


def precisely_found(
    annotations: list[Any], ranked: list[Any], matched: list[int | None], assumed: float
) -> set[int]:
    """Annotations that are found where normalised precision exceeds 5 %."""
    kept = set()
    for label in {row[1] for row in annotations}:
        count, found, wrong = sum(row[1] == label for row in annotations), 0, 0
        for row, match in zip(ranked, matched, strict=True):
            if row[1] != label:
                continue
            found, wrong = found + (match is not None), wrong + (match is None)
            right = found / count * assumed
            if match is not None and right / (right + wrong) > 0.05:
                kept.add(match)
    return kept


def test_late_finds_do_not_count() -> None:
    """One annotation among 30 guesses: found by the last, at a precision of 1 / 31."""
    annotations = [(0, 0, 0.0, 4.0)]
    guesses = [(0, 0, 5.0, 6.0, 0.9)] * 30 + [(0, 0, 0.0, 4.0, 0.1)]
    matches, _, _ = prepare(annotations, guesses)
    length = diagnose(matches, DURATIONS_S, PROTOCOLS["hacs"].edges).characteristics[1]
    assert (length.bins[0].average_missed, length.bins[0].average_missed_at_any_score) == (1.0, 0.0)


def small_diagnosis() -> Diagnosis:
    """Two classes in one video of 10 s; at 0.5 one prediction of each kind."""
    annotations = [(0, 0, 0.0, 2.0), (0, 1, 4.0, 6.0)]
    predictions = [
        (0, 0, 0.0, 2.0, 0.9),  # true positive
        (0, 0, 0.0, 2.0, 0.8),  # double detection
        (0, 0, 4.0, 6.0, 0.7),  # wrong label
        (0, 0, 0.0, 1.0, 0.1),  # true positive of none, since taken: double at 0.5
        (0, 1, 5.5, 9.5, 0.6),  # localisation: tIoU 0.5 / 5.5 is below 0.1, so background
        (0, 1, 0.0, 6.0, 0.5),  # localisation, 2 / 6 with its class; the same with class 0
        (1, 1, 4.0, 6.0, 0.4),  # background, another video
    ]
    matches, _, _ = prepare(annotations, predictions)
    return diagnose(matches, DURATIONS_S, PROTOCOLS["hacs"].edges)


def test_a_small_case_by_hand() -> None:
    found = small_diagnosis()
    at_half = np.array(found.profile.counts[1])
    expected = np.zeros((10, 6), int)
    expected[0, CATEGORIES.index("true positive")] = 1
    expected[0, CATEGORIES.index("background")] = 1
    expected[1, CATEGORIES.index("double detection")] = 1
    expected[1, CATEGORIES.index("localisation")] = 1
    expected[2, CATEGORIES.index("wrong label")] = 1
    expected[2, CATEGORIES.index("background")] = 1
    expected[3, CATEGORIES.index("double detection")] = 1
    np.testing.assert_array_equal(at_half, expected)
    assert found.profile.top[0] is not None
    assert found.profile.bands[9] is None
    assert found.profile.top[9] is not None
    assert [figures.name for figures in found.characteristics] == ["coverage", "length", "instances"]
    assert (
        json.loads(json.dumps(diagnosis_to_json(found), allow_nan=False))["gains"][0]["error"]
        == CATEGORIES[1]
    )


def test_bins() -> None:
    values = np.array([-1.0, 0.0, 0.2, 0.20001, 1.0, 1.3, math.nan])
    assert bin_values(values, (0.0, 0.2, 0.4, 1.0)).tolist() == [0, 0, 0, 1, 2, 2, -1]
    assert quantile_edges(np.ones(10)) == (1.0, 1.0)
    edges = quantile_edges(np.arange(101.0))
    assert edges == (0.0, 20.0, 40.0, 60.0, 80.0, 100.0)


def test_characteristics_by_hand() -> None:
    rows = [(0, 0, 0, 2, 0), (0, 0, 3, 9, 0), (0, 1, 0, 10, 0), (2, 0, 0, 40, 0), (2, 0, 60, 200, 0)]
    coverage, length, instances = characterise(segments(rows), DURATIONS_S, PROTOCOLS["activitynet"].edges)
    assert coverage.bin.tolist() == [0, 2, 4, 0, 3]  # the last video lasts 200 s by its last annotation
    assert coverage.note == "1 videos without a duration: their last annotated end stands in for it"
    assert length.bin.tolist() == [0, 0, 0, 1, 3]
    assert instances.bin.tolist() == [1, 1, 0, 1, 1]


def test_bins_that_do_not_suit_become_quantiles() -> None:
    rows = [(0, 0, 0, 1 + n / 10, 0) for n in range(20)]
    _, length, instances = characterise(segments(rows), np.array([100.0]), PROTOCOLS["hacs"].edges)
    assert length.note == "bins are quantiles of these annotations"
    assert length.edges == (1.0, 1.4, 1.8, 2.1, 2.5, 2.9)
    assert length.counts.min() >= 3
    assert instances.note == ""  # all the same, nothing to divide
    assert instances.counts.tolist() == [0, 0, 0, 20]
    assert characterise(segments(rows), np.array([100.0]), PROTOCOLS["ek100"].edges)[1].note == ""


def test_no_predictions_at_all() -> None:
    matches, _, _ = prepare([(0, 0, 0.0, 2.0)], [])
    found = diagnose(matches, DURATIONS_S, PROTOCOLS["hacs"].edges)
    assert found.profile.top == [None] * 10
    assert [gain.average_mAP for gain in found.gains] == [0.0] * 5
    assert found.characteristics[1].bins[0].average_missed == 1.0


def test_command_writes_the_diagnosis(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    annotation = {"label": "a", "segment": [0, 10]}
    database = {"v": {"subset": "validation", "duration": 20, "annotations": [annotation]}}
    (tmp_path / "truth.json").write_text(json.dumps({"database": database}))
    results = {"v": [{"label": "a", "score": score, "segment": [0, 8]} for score in (0.9, 0.8)]}
    (tmp_path / "found.json").write_text(json.dumps({"results": results}))
    start = ["--protocol", "hacs", "--ground-truth", str(tmp_path / "truth.json")]
    start += ["--predictions", str(tmp_path / "found.json"), "--diagnosis", str(tmp_path / "d.json")]
    assert main(start) == 0
    content = json.loads((tmp_path / "d.json").read_text())
    assert content["protocol"] == "hacs"
    task = content["tasks"]["action"]
    assert task["average_mAP"] == pytest.approx(0.7)
    double = task["profile"]["categories"].index("double detection")
    assert task["profile"]["bands"][1][double] == pytest.approx(0.7)  # tIoU 0.8: too little at 0.85 and above
    assert task["profile"]["top"][1][0] == pytest.approx(0.35)
    assert main([*start, "--task", "proposals"]) == 2
    assert "--diagnosis needs --task detection" in capsys.readouterr().err
