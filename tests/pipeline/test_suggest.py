"""Suggestions of what to label next: uncertainty by hand, order, what is labelled already, the
command."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.suggest import main
from pipeline.uncertainty import CELL_S, cell_scores, stretches_of, uncertainty, valued
from video_datasets.formats.own_csv import read_own_csv
from video_datasets.watched import WATCHED


def test_cells_have_the_best_score_of_each_class() -> None:
    segments_s = np.array([[0.0, 1.0], [0.5, 2.0], [0.5, 1.5]])
    best = cell_scores(segments_s, np.array([0.5, 0.25, 1.5]), np.array([0, 0, 1]), 5)
    assert best.tolist() == [[0.5, 0.0], [0.5, 1.0], [0.25, 1.0], [0.25, 0.0], [0.0, 0.0]]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=4))
def test_uncertainty_lies_between_0_and_1_and_forgets_the_order_of_classes(scores: list[float]) -> None:
    one, other = uncertainty(np.array([scores])), uncertainty(np.array([scores[::-1]]))
    assert one == other
    assert 0 <= one[0] <= 1


def test_stretches_cover_the_video_and_have_its_uncertainty() -> None:
    stretches = stretches_of("a", 20.0, 5.0)
    assert [(s.start_s, s.end_s) for s in stretches] == [(0, 5), (5, 10), (10, 15), (15, 20)]
    cells = np.zeros(40)
    cells[int(5 / CELL_S) : int(10 / CELL_S)] = 0.5
    assert [s.value for s in valued(stretches, cells)] == [0, 0.5, 0, 0]
    assert len(stretches_of("a", 0.2, 5.0)) == 1


@pytest.fixture
def videos(tiny_mini: Path, tmp_path: Path) -> Path:
    (tmp_path / "videos").mkdir()
    for name, video in zip("ab", sorted((tiny_mini / "videos").rglob("*.mp4")), strict=False):
        shutil.copy(video, tmp_path / "videos" / f"{name}.mp4")
    return tmp_path / "videos"


def test_random_stretches_are_drawn_evenly_and_again_alike(
    videos: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = []
    for seed in ("0", "0", "1"):
        assert main([str(videos), "--stretch", "1", "--top", "100", "--seed", seed]) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1] != shown[2]
    lines = [sorted(line[4:] for line in text.splitlines()) for text in shown]
    assert lines[0] == lines[2]  # the same stretches in another order
    assert len(lines[0]) >= 8


def test_uncertain_stretches_come_first_and_become_labels(
    videos: Path, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (videos / "bad.mp4").write_text("no video")
    words = [str(videos), "--run", str(tiny_run), "--by", "uncertainty", "--stretch", "1", "--top", "5"]
    assert main([*words, "--csv", str(tmp_path / "next.csv")]) == 1
    shown = capsys.readouterr()
    assert "bad.mp4: left out: " in shown.err
    values = [float(line.split(" s  ")[1].split()[0]) for line in shown.out.splitlines()]
    assert len(values) == 5
    assert values == sorted(values, reverse=True)
    table = read_own_csv(tmp_path / "next.csv")
    assert set(table.labels) == {WATCHED}
    assert len(table.labels) == 5
    (videos / "bad.mp4").unlink()
    assert main([*words, "--labelled", str(tmp_path / "next.csv")]) == 0  # what comes next
    assert not set(shown.out.splitlines()) & set(capsys.readouterr().out.splitlines())


def test_labelled_videos_are_left_out(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "labels.csv").write_text("video,start_s,end_s,label\na,0,1,run\nb,0,2,(watched)\n")
    assert main([str(videos), "--stretch", "1", "--labelled", str(tmp_path / "labels.csv")]) == 0
    shown = capsys.readouterr().out
    assert "a.mp4" not in shown
    assert "b.mp4" in shown
    starts = [float(line.split()[1]) for line in shown.splitlines()]
    assert min(starts) >= 1.9
    (tmp_path / "labels.csv").write_text("video,start_s,end_s,label\na,0,1,run\nb,0,1,run\n")
    assert main([str(videos), "--stretch", "1", "--labelled", str(tmp_path / "labels.csv")]) == 0
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "labels.csv has labels of all of these videos" in shown.err


@pytest.mark.parametrize(
    ("words", "message"),
    [(["--by", "uncertainty"], "expected a trained run"), (["--stretch", "0"], "expected --stretch above 0")],
)
def test_refusals(words: list[str], message: str, videos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(videos), *words]) == 2
    assert message in capsys.readouterr().err
