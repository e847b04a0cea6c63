"""What the sanity report counts, against plain loops and by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evaluation.files.evaluate import evaluate_tables
from evaluation.files.protocols import PROTOCOLS
from evaluation.files.sanity import FileReport, count_duplicates, examples, file_notes, report_file
from evaluation.files.units import unit_suspicion_alone
from video_datasets.annotations import AnnotationTable
from video_datasets.predictions import Predictions

VIDEOS = ("u", "v", "w", "x")
LABELS = ("a", "b", "c")


def table(duration_s: float = 100.0) -> AnnotationTable:
    """One annotation in each of u, v and w; x is not annotated, not known."""
    return AnnotationTable(
        video_ids=VIDEOS[:3],
        subsets=("validation",) * 3,
        durations_s=np.full(3, duration_s),
        video_index=np.arange(3),
        start_s=np.array([0.0, 10.0, 20.0]),
        end_s=np.array([10.0, 20.0, 90.0]),
        labels=("a", "a", "b"),
    )


def predictions(*rows: tuple[int, int, float, float]) -> Predictions:
    columns = list(zip(*rows, strict=True)) if rows else [()] * 4
    video, label, start, end = (np.array(column) for column in columns)
    return Predictions(VIDEOS, LABELS, video, start, end, np.linspace(0, 1, len(rows)), label)


numbers = st.sampled_from([0.0, -0.0, 0.5, 1.0, 1.5])
row = st.tuples(st.integers(0, 3), st.integers(0, 2), numbers, numbers)


@settings(max_examples=60, deadline=None)
@given(st.lists(row, max_size=40))
def test_duplicates_equal_a_plain_count(rows: list[Any]) -> None:
    assert count_duplicates(predictions(*rows)) == len(rows) - len(set(rows))


def test_duplicates_of_absurd_size() -> None:
    huge = (0, 0, -1e308, 1e308)
    assert count_duplicates(predictions(huge, huge, (0, 1, -1e308, 1e308))) == 1


def test_counts_by_hand() -> None:
    found = predictions(
        (0, 0, 0.0, 10.0),
        (0, 0, 0.0, 10.0),  # again
        (0, 1, 5.0, 2.0),  # inverted
        (1, 0, 3.0, 3.0),  # no length
        (1, 0, -0.5, 3.0),  # before the video
        (1, 0, 90.0, 100.05),  # within the tolerance
        (1, 0, 90.0, 100.2),  # after the video
        (3, 2, 0.0, 500.0),  # of an unknown video, whose duration nobody knows
    )
    assert report_file(table(), found) == FileReport(
        predictions=8,
        annotated_videos=3,
        missing_videos=("w",),
        unknown_videos=("x",),
        in_unknown_videos=1,
        inverted=1,
        zero_length=1,
        outside_duration=2,
        known_durations=3,
        duplicates=1,
        suspicion="",
    )
    evaluated = evaluate_tables(table(), found, PROTOCOLS["hacs"])
    classes = evaluated.classes["action"]
    assert (classes.never_predicted, classes.unknown, classes.ignored_predictions) == ((), ("c",), 1)
    assert len(evaluated.notes) == 7  # two on videos, four on segments, one on class c


@pytest.mark.parametrize(
    ("scale", "duration_s", "message"),
    [
        (1.0, 100.0, ""),
        (1.0, np.nan, ""),  # measured by the last annotation then
        (0.01, 100.0, "times look like fractions, not seconds: no prediction ends after 1, but the videos"),
        (0.01, np.nan, "times look like fractions"),
        (30.0, 100.0, "times look like frame numbers, not seconds: predictions end at 24.0 times the length"),
        (30.0, np.nan, "times look like frame numbers"),
    ],
)
def test_units(scale: float, duration_s: float, message: str) -> None:
    rows = [(video, 0, 0.0, scale * 80.0) for video in range(4)]
    report = report_file(table(duration_s), predictions(*rows))
    assert report.suspicion.startswith(message)
    assert bool(report.suspicion) == bool(message)
    assert (report.suspicion in file_notes(report)) == bool(message)


def test_units_of_short_videos_and_of_nothing() -> None:
    assert report_file(table(1.0), predictions((0, 0, 0.0, 1.0))).suspicion == ""
    assert report_file(table(), predictions((3, 0, 0.0, 1.0))).suspicion == ""
    assert unit_suspicion_alone(predictions()) == ""
    assert unit_suspicion_alone(predictions(*[(0, 0, 0.5, n) for n in range(30)])) == ""


def test_examples_are_printable() -> None:
    assert examples(["a\nb", "\ud800", "ä", "d"]) == "a\\nb, \\ud800, ä, ..."
