"""Files of the tools' own public test suites: what the tool exports is what we read of its
project."""

from __future__ import annotations

from pathlib import Path

import pytest

from video_datasets.formats.tools.boris import read_boris
from video_datasets.formats.tools.boris_export import read_boris_export
from video_datasets.formats.tools.elan import read_elan
from video_datasets.formats.tools.labelling import Labelling, LabelReading
from video_datasets.formats.tools.table import tool_of


@pytest.fixture
def files(shared: Path) -> Path:
    folder = shared / "cases" / "annotation_tools"
    if not folder.is_dir():
        pytest.skip("no real files of labelling tools")
    return folder


def rows(labelling: Labelling, video_id: str) -> set[tuple]:
    (video,) = (video for video in labelling.videos if video.video_id == video_id)
    return {(round(bout.start_s, 3), round(bout.end_s, 3), bout.label, bout.subject) for bout in video.bouts}


@pytest.mark.parametrize("suffix", ["csv", "tsv"])
def test_an_export_of_boris_is_what_its_project_says(files: Path, suffix: str) -> None:
    project = read_boris(files / "test.boris", LabelReading())
    export = read_boris_export(files / f"test_export_events_tabular.{suffix}", LabelReading())
    exported = rows(export, "video_test_25fps_360s")
    assert len(exported) == 4
    assert exported <= rows(project, "video_test_25fps_360s")


def test_files_one_after_the_other_are_divided_by_their_lengths(files: Path) -> None:
    """The export of observation #2 counts on over both files; the project's lengths tell where
    the second starts."""
    lines = (files / "test_export_aggregated_events_test_full_1.tsv").read_text().splitlines()
    header = lines[0].split("\t")
    bouts = [dict(zip(header, line.split("\t"), strict=False)) for line in lines[1:]]
    project = read_boris(files / "test.boris", LabelReading())
    checked = 0
    for bout in bouts:
        if bout["Behavior type"] != "STATE":
            continue
        first_s = 0.0 if bout["Media file"] == "video_test_25fps_180s.mp4" else 179.96
        subject = bout["Subject"].replace("No focal subject", "")
        start_s, end_s = (round(float(bout[name]) - first_s, 3) for name in ("Start (s)", "Stop (s)"))
        found = rows(project, bout["Media file"].removesuffix(".mp4"))
        assert (start_s, end_s, bout["Behavior"], subject) in found
        checked += 1
    assert checked >= 5


def test_a_real_file_of_elan(files: Path) -> None:
    path = files / "sample_2.8.eaf.gz"
    assert tool_of(path).name == "elan"
    (video,) = read_elan(path, LabelReading()).videos
    assert video.video_id == "r03_v20_s5"
    assert len(video.bouts) == 8778  # its lastUsedAnnotationId
    assert all(bout.start_s <= bout.end_s for bout in video.bouts)
