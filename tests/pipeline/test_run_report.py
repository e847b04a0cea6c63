"""The report of a run as a file: whole, incomplete, hostile; and the bound of recall against
brute force."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.player import relative_address
from pipeline.reach_section import measure_reach
from pipeline.report import main
from pipeline.stages import load_config
from video_datasets.annotations import AnnotationTable
from video_datasets.dataset import read_annotations
from video_datasets.reach import best_tiou, best_tiou_in_windows, recall_bound

SECTIONS = ["summary", "curves", "proposals", "diagnosis", "classes", "timeline"]
OF_THE_RUN = ["reach", "training", "stages", "configuration"]
WITH_DATA = ["reach", "training", "data", "stages", "configuration"]


def sections(page: str) -> list[str]:
    return re.findall(r'<section id="([^"]*)"', page)


def report_of(run: Path, *words: str) -> str:
    assert main(["--run", str(run), *words]) == 0
    return (run / "report.html").read_text(encoding="utf-8")


@pytest.fixture
def copied_run(tiny_run: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_run, tmp_path / "copied"))


def test_a_complete_run(copied_run: Path) -> None:
    page = report_of(copied_run)
    assert sections(page) == [*SECTIONS, "correct", *WITH_DATA]
    record = json.loads((copied_run / "bmn/stage.json").read_text())
    assert record["summary"] in page
    assert f"{record['peak_memory_mb']:.0f} MB" in page
    assert record["versions"]["torch"] in page
    assert "classification.source" in page.replace("<wbr>", "")
    assert re.search(r"\d+ keys that this run does not read: one_stage, pretrain</summary>", page)
    assert page.count("<polyline") > 10  # curves of the evaluation and of both trainings
    assert "media-src file:" in page
    # Relative addresses of local files are all that the page names.
    assert page.count("http") == page.count("http://www.w3.org/2000/svg") + page.count("http-equiv")
    assert "url(" not in page
    metrics = json.loads((copied_run / "metrics.json").read_text())
    assert f"{100 * metrics['average_mAP']['action']:.2f}" in page


def test_a_run_that_may_not_be_written_gets_its_report_elsewhere(copied_run: Path, tmp_path: Path) -> None:
    before = {path: path.read_bytes() for path in copied_run.rglob("*") if path.is_file()}
    out = tmp_path / "elsewhere" / "page.html"
    assert main(["--run", str(copied_run), "--out", str(out)]) == 0
    assert sections(out.read_text(encoding="utf-8")) == [*SECTIONS, "correct", *WITH_DATA]
    assert {path: path.read_bytes() for path in copied_run.rglob("*") if path.is_file()} == before


def test_data_that_have_moved_are_found_where_they_are_said_to_be(
    copied_run: Path, tiny_mini: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(tiny_mini, moved)
    config = copied_run / "config.yaml"
    config.write_text(config.read_text().replace(f"root: {tiny_mini}", f"root: {tmp_path / 'gone'}"))
    assert "No figures, since the annotations cannot be read" in report_of(copied_run)
    page = report_of(copied_run, "--data", str(moved))
    assert sections(page) == [*SECTIONS, "correct", *WITH_DATA]
    assert "moved/videos" in page  # for the player


def test_the_player_names_the_videos_of_the_subset(copied_run: Path, tiny_mini: Path, tmp_path: Path) -> None:
    page = report_of(copied_run)
    found = re.search(r'data-files="([^"]*)"', page)
    assert found
    files = json.loads(found[1].replace("&#34;", '"').replace("&amp;", "&"))
    assert len(files) == 8  # the validation videos
    for address in files.values():
        assert not address.startswith("/")
        assert (copied_run / address).resolve().is_relative_to(tiny_mini.resolve())
        assert (copied_run / address).is_file()
    empty = tmp_path / "empty"
    empty.mkdir()
    assert 'data-files="{}"' in report_of(copied_run, "--videos", str(empty))


def test_incomplete_runs(copied_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.rmtree(copied_run / "evaluation")
    shutil.rmtree(copied_run / "classification")
    page = report_of(copied_run)
    assert sections(page) == ["missing", "summary", "proposals", "timeline", *WITH_DATA]
    assert "No detections: the stage &#39;classification&#39; is not complete" in page
    for stage in ("proposals", "bmn", "features"):
        shutil.rmtree(copied_run / stage)
    page = report_of(copied_run)
    assert sections(page) == ["missing", *OF_THE_RUN]
    assert "There are no features yet" in page
    assert "not started" in page
    shutil.rmtree(copied_run / "finetune")
    assert sections(report_of(copied_run)) == ["missing", "reach", "stages", "configuration"]
    config = (copied_run / "config.yaml").read_text()
    (copied_run / "config.yaml").write_text(re.sub(r"(?m)^  root: .*$", "  root: /nowhere", config))
    assert sections(report_of(copied_run)) == ["missing", "stages", "configuration"]
    assert "note: No figures" in capsys.readouterr().err


def test_no_run_at_all(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--run", str(tmp_path)]) == 2
    assert "no config.yaml" in capsys.readouterr().err
    assert main(["--run", str(tmp_path), "--videos", str(tmp_path / "none")]) == 2
    assert "expected the folder of the videos" in capsys.readouterr().err


def test_what_stages_skipped_and_a_damaged_record(copied_run: Path) -> None:
    path = copied_run / "features/stage.json"
    record = json.loads(path.read_text())
    record["skipped"] = {"<script>alert(1)</script>": "</script> & cut"} | {
        f"v{n}": "gone" for n in range(300)
    }
    path.write_text(json.dumps(record))
    (copied_run / "bmn/stage.json").write_text("{")
    page = report_of(copied_run)
    assert "features: 301 skipped" in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    assert "<script>alert" not in page
    assert "The first 200; all of them are in features/stage.json" in page
    assert "damaged record" in page


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("runs/x/a.mp4", "a.mp4"),
        ("videos/a b#1?.mp4", "../../videos/a%20b%231%3F.mp4"),
        ("runs/x/javascript:alert(1).mp4", "javascript%3Aalert%281%29.mp4"),
        ('runs/x/"><script>.mp4', "%22%3E%3Cscript%3E.mp4"),
    ],
)
def test_addresses_of_videos(path: str, address: str) -> None:
    assert relative_address(Path(path), Path("runs/x")) == address


# --- The bound of recall
# ----------------------------------------------------------------------------------------


def plain_tiou(start: float, end: float, first: int, last: int) -> float:
    shared = max(0.0, min(end, last) - max(start, first))
    return shared / (max(end, last) - min(start, first)) if shared > 0 else 0.0


bounds = st.floats(-2, 12) | st.integers(-2, 12).map(float)


@given(bounds, bounds, st.integers(0, 9), st.none() | st.integers(0, 12))
def test_best_tiou_is_that_of_all_pairs(one: float, other: float, boundary: int, longest: int | None) -> None:
    start, end = sorted((one, other))
    if end - start < 1e-3:
        end = start + 1e-3
    pairs = [
        (i, j)
        for i in range(boundary + 1)
        for j in range(i + 1, boundary + 1)
        if longest is None or j - i <= longest
    ]
    expected = max((plain_tiou(start, end, i, j) for i, j in pairs), default=0.0)
    found = best_tiou(np.array([[start, end]]), boundary, longest)
    assert found[0] == pytest.approx(expected, abs=1e-9)


def test_windows_reach_what_one_of_them_holds() -> None:
    generator = np.random.default_rng(0)
    segments = np.sort(generator.uniform(0, 30, (200, 2)), axis=1)
    found = best_tiou_in_windows(segments, [0, 6, 12, 18], tscale=10, dscale=7, last_boundary=25)
    cells = {
        (first + i, first + j)
        for first in (0, 6, 12, 18)
        for i in range(11)
        for j in range(i + 1, 11)
        if j - i <= 7 and first + j <= 25
    }
    expected = [max(plain_tiou(start, end, i, j) for i, j in cells) for start, end in segments]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_recall_bound_counts() -> None:
    found = recall_bound(np.array([0.5, 0.7, 1.0, 0.0]), np.array([0.0, 0.5, 0.6, 1.0]))
    assert found.tolist() == [1.0, 0.75, 0.5, 0.25]


def test_reach_of_a_run_bounds_what_it_found(tiny_run: Path) -> None:
    """No proposal of the run fits an annotation better than the bound says, and videos without
    features count 0."""
    from feature_extraction import FeatureStore
    from video_datasets.predictions import read_predictions

    config = load_config(tiny_run / "config.yaml")
    truth = read_annotations(config.data)
    reach = measure_reach(config, truth, FeatureStore(tiny_run / "features"))
    grid, cells, candidates = reach.best.values()
    assert (candidates <= cells + 1e-12).all()
    assert (grid > 0).all()
    proposals = read_predictions(tiny_run / "proposals/proposals.h5")
    names = [proposals.videos[index] for index in proposals.video_index]
    for row, video in enumerate(truth.video_index):
        own = np.array([name == truth.video_ids[video] for name in names])
        start, end = truth.start_s[row], truth.end_s[row]
        shared = np.minimum(proposals.end_s[own], end) - np.maximum(proposals.start_s[own], start)
        joined = np.maximum(proposals.end_s[own], end) - np.minimum(proposals.start_s[own], start)
        assert (shared / joined).max(initial=0.0) <= candidates[row] + 1e-6
    renamed = AnnotationTable(**{**vars(truth), "video_ids": tuple(f"x{v}" for v in truth.video_ids)})
    lost = measure_reach(config, renamed, FeatureStore(tiny_run / "features"))
    assert all((best == 0).all() for best in lost.best.values())


def test_reach_in_windows(make_run: Callable[..., Path], tmp_path: Path) -> None:
    words = ("bmn.mode=windows", "bmn.tscale=20", "bmn.dscale=10", "bmn.hidden_1d=8", "bmn.hidden_2d=8")
    run = make_run(tmp_path / "ek", *words, "bmn.hidden_3d=8", heads={"action": ("a",)})
    columns: dict[str, Any] = {
        "video_ids": ("v",),
        "subsets": ("",),
        "durations_s": np.array([60.0]),
        "video_index": np.zeros(3, np.int32),
        # A cell is 16 frames of 60 fps: exact; longer than ten cells; between two boundaries.
        "start_s": np.array([4, 0, 4.5]) * 16 / 60,
        "end_s": np.array([8, 20, 5.5]) * 16 / 60,
        "labels": ("a", "a", "a"),
    }
    reach = measure_reach(load_config(run / "config.yaml"), AnnotationTable(**columns), None)
    grid, cells, _ = reach.best.values()
    assert cells == pytest.approx([1, 0.5, 0.5])
    assert grid == pytest.approx([1, 1, 1])
    assert reach.lengths == pytest.approx([4, 20, 1])
