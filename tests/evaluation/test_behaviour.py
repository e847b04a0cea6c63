"""Numbers of people who watch behaviour: against counts by hand, an independent kappa, and the
command on files."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.__main__ import main
from evaluation.agreement import compare
from evaluation.metrics.behaviour import active_cells, budget, cell_confusion, cohens_kappa
from evaluation.metrics.observed import common, joined, on_observed_time
from runtime.errors import InputError
from video_datasets.formats.tools.labelling import AnnotatedVideo, Bout, Labelling


def labelling(*bouts: tuple[float, float, str], duration_s: float = 10.0) -> Labelling:
    return Labelling((AnnotatedVideo("a", tuple(Bout(*bout) for bout in bouts), duration_s=duration_s),))


def test_cells_bouts_and_kappa_by_hand() -> None:
    reference = labelling((0, 4, "run"), (6, 8, "sit"))
    other = labelling((1, 5, "run"), (6, 7, "run"), (7, 8, "sit"))
    found = compare(reference, other, cell_s=1.0, tolerance_s=0.5)
    run, sit = found.frames
    assert (run.label, run.reference_cells, run.other_cells, run.both_cells) == ("run", 4, 5, 3)
    assert (run.precision, run.recall, run.f1) == (3 / 5, 3 / 4, 6 / 9)
    assert (sit.precision, sit.recall) == (1.0, 0.5)
    # rows: run, sit, none of the reference
    assert found.matrix.tolist() == [[3, 0, 1], [1, 1, 0], [1, 0, 3]]
    agreed, by_chance = 7 / 10, (4 * 5 + 2 * 1 + 4 * 4) / 100
    assert found.kappa == pytest.approx((agreed - by_chance) / (1 - by_chance))
    assert found.reference[0].bouts == 1
    assert found.other[0].bouts == 2
    assert (found.other[0].total_s, found.other[0].share) == (5.0, 0.5)
    assert found.other[0].mean_s == 2.5
    assert found.other[0].std_s == pytest.approx(np.std([4, 1], ddof=1))
    assert found.other[0].latency_s == 1.0
    assert found.seconds == 10.0


def test_cells_that_only_one_has_watched_do_not_count() -> None:
    reference = labelling((0, 4, "run"))
    other = labelling((0, 6, "(watched)"), (1, 4, "run"), (5, 6, "run"))
    found = compare(reference, other, cell_s=1.0, tolerance_s=0.5)
    assert found.labels == ("run",)
    assert found.seconds == 6.0
    assert found.matrix.tolist() == [[3, 1], [1, 1]]


def test_bouts_and_budgets_are_of_the_stretches_that_both_have_watched() -> None:
    reference = labelling((0, 2, "(watched)"), (4, 10, "(watched)"), (1, 5, "run"), (9, 10, "sit"))
    other = labelling((0, 8, "(watched)"), (1, 5, "run"), (8.5, 9, "sit"))
    found = compare(reference, other, cell_s=1.0, tolerance_s=0.5)
    run, sit = found.reference  # common: 0 to 2 and 4 to 8, 6 s; run is cut to 1 - 2 and 4 - 5
    assert (run.bouts, run.total_s, run.share, run.latency_s) == (2, 2.0, 2 / 6, 1.0)
    assert (sit.bouts, sit.total_s) == (0, 0.0)
    assert found.other[0] == run
    assert found.seconds == 6.0
    assert found.event_kappa != found.event_kappa  # one start, of the same label: by chance alone


def test_latency_counts_observed_time() -> None:
    both = labelling((2, 4, "(watched)"), (6, 9, "(watched)"), (7, 8, "run"))
    (run,) = compare(both, both, cell_s=1.0, tolerance_s=0.5).reference
    assert (run.latency_s, run.share) == (3.0, 0.2)


def test_equal_labellings_agree_wholly() -> None:
    both = labelling((0, 4, "run"), (2, 8, "sit"))
    found = compare(both, both, cell_s=0.1, tolerance_s=1.0)
    assert [score.f1 for score in found.frames] == [1.0, 1.0]
    assert found.kappa == found.event_kappa == 1.0
    assert np.count_nonzero(found.matrix - np.diag(np.diag(found.matrix))) == 0


def test_overlapping_bouts_count_their_time_once() -> None:
    found = budget("run", [np.array([[0.0, 4.0], [2.0, 6.0]]), np.zeros((0, 2))], [10.0, 10.0])
    assert (found.bouts, found.total_s, found.share, found.mean_s, found.latency_s) == (2, 6.0, 0.3, 4.0, 0.0)


@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 8)), max_size=5), st.integers(0, 2**32 - 1))
def test_observed_time_is_what_is_left_of_whole_seconds(found: list[tuple[int, int]], seed: int) -> None:
    segments_s = np.array([(start, start + length) for start, length in found], dtype=float).reshape(-1, 2)
    chance = np.random.default_rng(seed)
    watched = chance.random((2, 30)) < 0.5
    one, other = ([(t, t + 1) for t in np.flatnonzero(row).tolist()] for row in watched)
    both = watched.all(axis=0)
    stretches = common(one, other)
    assert sum(end - start for start, end in stretches) == both.sum()
    on_axis = on_observed_time(segments_s, joined(stretches))
    expected = active_cells(segments_s, 30, 1.0)[both]
    assert active_cells(on_axis, int(both.sum()), 1.0).tolist() == expected.tolist()


segments = st.lists(
    st.tuples(st.integers(0, 30), st.integers(1, 10)).map(
        lambda pair: (pair[0] * 0.5, (pair[0] + pair[1]) * 0.5)
    ),
    max_size=6,
)


@given(segments)
def test_cells_are_those_whose_middle_a_segment_has(found: list[tuple[float, float]]) -> None:
    middles = (np.arange(25) + 0.5) * 0.7
    expected = [any(start_s <= middle < end_s for start_s, end_s in found) for middle in middles]
    assert active_cells(np.array(found).reshape(-1, 2), 25, 0.7).tolist() == expected


@given(st.integers(0, 2**32 - 1), st.integers(1, 4))
def test_every_cell_has_the_weight_one(seed: int, n_labels: int) -> None:
    chance = np.random.default_rng(seed)
    reference, other = chance.random((2, 40, n_labels)) < 0.4
    matrix = cell_confusion(reference, other)
    assert matrix.sum() == pytest.approx(40)
    assert np.trace(cell_confusion(reference, reference)) == pytest.approx(40)
    if n_labels == 1:
        expected = [[(reference & other).sum(), (reference & ~other).sum()], [(other & ~reference).sum(), 0]]
        expected[1][1] = (~reference & ~other).sum()
        assert matrix.tolist() == expected


@given(st.lists(st.lists(st.integers(0, 50), min_size=3, max_size=3), min_size=3, max_size=3))
def test_kappa_is_that_of_the_definition_on_drawn_pairs(rows: list[list[int]]) -> None:
    matrix = np.array(rows)
    pairs = [(i, j) for i in range(3) for j in range(3) for _ in range(matrix[i, j])]
    if not pairs:
        assert math.isnan(cohens_kappa(matrix))
        return
    agreed = sum(i == j for i, j in pairs) / len(pairs)
    first, second = zip(*pairs, strict=True)
    by_chance = sum(first.count(k) * second.count(k) for k in range(3)) / len(pairs) ** 2
    if by_chance == 1:
        assert math.isnan(cohens_kappa(matrix))
    else:
        assert cohens_kappa(matrix) == pytest.approx((agreed - by_chance) / (1 - by_chance))


def test_the_command_on_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_text("video,start_s,end_s,label\na,0,4,<run>\na,6,8,sit\n")
    (tmp_path / "b.csv").write_text(
        "video,start_s,end_s,label,score\na,1,4,<run>,0.9\na,4,8,<run>,0.1\nb,0,1,sit,0.9\n"
    )
    words = ["--protocol", "behaviour", "--ground-truth", str(tmp_path / "a.csv")]
    words += ["--predictions", str(tmp_path / "b.csv"), "--min-score", "0.5"]
    assert main([*words, "--csv", str(tmp_path / "out"), "--report", str(tmp_path / "p.html")]) == 1
    shown = capsys.readouterr()
    assert "mean F1 of cells 0.4286" in shown.out
    assert "1 videos that the other file lacks, left out: b" in shown.err
    rows = list(csv.DictReader((tmp_path / "out/frames.csv").read_text().splitlines()))
    assert [(row["label"], row["F1"]) for row in rows] == [("<run>", "0.8571"), ("sit", "0")]
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "frames.csv",
        "budgets.csv",
        "confusion.csv",
    }
    assert "&lt;run&gt;" in (tmp_path / "p.html").read_text()


def test_labellings_without_a_common_video_are_refused() -> None:
    with pytest.raises(InputError, match="expected two labellings with a video in common, found none"):
        compare(labelling(), Labelling((AnnotatedVideo("b"),)), cell_s=1.0, tolerance_s=1.0)


def test_bad_words_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.csv").write_text("video,start_s,end_s,label\na,0,4,run\n")
    words = [
        "--protocol=behaviour",
        "--ground-truth",
        str(tmp_path / "a.csv"),
        "--predictions",
        str(tmp_path / "a.csv"),
    ]
    assert main([*words, "--cell", "0"]) == 2
    assert "--cell: expected seconds above 0, found 0" in capsys.readouterr().err
