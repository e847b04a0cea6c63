"""Sentences, confusion and the opening score of the report, on cases that one can work out by
hand."""

from __future__ import annotations

import doctest

import numpy as np
import pytest

import evaluation.diagnosis.words
import evaluation.report.charts
from evaluation.diagnosis.advice import advice
from evaluation.diagnosis.confusion import confusion, most_confused
from evaluation.diagnosis.diagnose import diagnose
from evaluation.files.protocols import PROTOCOLS
from evaluation.metrics.columns import Segments, TaskColumns
from evaluation.metrics.matches import Matches, match_columns
from evaluation.report.video_choice import best_f1_score

LABELS = ("run", "sit", "jump")


def segments(*rows: tuple[float, ...]) -> Segments:
    """Rows of video, label, start, end and perhaps a score."""
    padded = [(*row, 0.0)[:5] for row in rows]
    video, label, start_s, end_s, score = np.array(padded, dtype=float).reshape(-1, 5).T
    return Segments(video.astype(int), label.astype(int), start_s, end_s, score)


@pytest.fixture
def matches() -> Matches:
    truth = segments((0, 0, 0, 10), (0, 0, 20, 30), (1, 1, 0, 10), (1, 2, 50, 60))
    found = segments(
        (0, 0, 0, 10, 0.9),  # right
        (0, 1, 20, 30, 0.8),  # sit, where run is
        (0, 0, 20, 30, 0.3),  # right, but scored below the wrong one
        (1, 1, 0, 6, 0.7),  # right at tIoU 0.6
        (1, 1, 52, 53, 0.6),  # overlaps jump too little
    )
    return match_columns(TaskColumns(truth, found, LABELS, []), np.array([0.5]))


def test_confusion_takes_the_best_of_all_classes(matches: Matches) -> None:
    counts = confusion(matches)
    assert counts.tolist() == [[1, 1, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1]]
    assert most_confused(counts, 5) == [(0, 1), (2, 3)]
    assert confusion(matches, tiou=0.7).tolist() == [[1, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 1]]


def test_opening_score(matches: Matches) -> None:
    # From 0.9: F1 2/5; 0.8: 2/6; 0.7: 4/7; 0.6: 4/8; 0.3: 6/9.
    assert best_f1_score(matches) == 0.3
    assert (
        best_f1_score(
            match_columns(TaskColumns(segments((0, 0, 0, 1)), segments(), ("a",), []), np.array([0.5]))
        )
        is None
    )


def test_sentences_name_the_dearest_error(matches: Matches) -> None:
    labels, missed, hardest = advice(diagnose(matches, np.array([60.0, 60.0]), PROTOCOLS["hacs"].edges))
    # Without the wrong label on run, AP of sit stays 1 / 2 -> 1: its first detection is in video 0.
    assert labels.startswith("Labels cost 16.7 points of average mAP;")
    assert missed.startswith("25.0 % of the annotations are found by no detection at all")
    assert hardest.startswith("Hardest are the ")


@pytest.mark.parametrize("module", [evaluation.diagnosis.words, evaluation.report.charts])
def test_doctests(module: object) -> None:
    result = doctest.testmod(module)  # type: ignore[arg-type]
    assert result.attempted > 0
    assert result.failed == 0
