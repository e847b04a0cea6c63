"""What looks odd about a data set is said before training: names, subsets, files, times that do
not fit."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from video_datasets.__main__ import describe, main
from video_datasets.dataset import Segment, Video, load_dataset
from video_datasets.notes import Length, closest_files, data_notes, one_slip_apart, subset_notes, time_notes
from video_datasets.settings import DataConfig
from video_datasets.video.search import files_of_ids

HEADER = "video,start_s,end_s,label,subset\n"


def _write(root: Path, rows: Sequence[str], files: Sequence[str] = ()) -> DataConfig:
    (root / "videos").mkdir(exist_ok=True)
    (root / "segments.csv").write_text(HEADER + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    for name in files:
        (root / "videos" / name).touch()
    return DataConfig(root=str(root), format="csv", annotations="segments.csv")


GOOD = ["a,1,2,run,training", "b,1,2,run,validation"]


def _notes(config: DataConfig) -> list[str]:
    return data_notes(load_dataset(config), config)


def test_a_data_set_in_order_has_no_notes(tmp_path: Path, tiny_mini: Path) -> None:
    assert _notes(_write(tmp_path, GOOD, ["a.mp4", "b.mp4"])) == []
    mini = DataConfig(root=str(tiny_mini), mini=True)
    assert _notes(mini) == []


@pytest.mark.parametrize("name", ["val", "valid", "Validation", "validaton"])
def test_a_misspelt_validation_subset_is_said(tmp_path: Path, name: str) -> None:
    (note,) = _notes(_write(tmp_path, ["a,1,2,run,training", f"b,1,2,run,{name}"], ["a.mp4"]))
    assert "no labelled segment is in subset 'validation'" in note
    assert f"set data.validation_subset={name}" in note


def test_a_misspelt_training_subset_is_said(tmp_path: Path) -> None:
    config = _write(tmp_path, ["a,1,2,run,train", "b,1,2,run,validation"], ["a.mp4"])
    (note,) = subset_notes(load_dataset(config, for_training=False), config)
    assert "no labelled segment is in subset 'training', so nothing can be learned" in note
    assert "set data.training_subset=train" in note


def test_a_missing_validation_subset_is_said(tmp_path: Path) -> None:
    (note,) = _notes(_write(tmp_path, ["a,1,2,run,training", "b,,,,validation"], ["a.mp4"]))
    assert "subsets with labelled videos: 'training' (1); some videos must be kept aside: own CSV has" in note


def test_names_alike_and_double_lines_are_said(tmp_path: Path) -> None:
    rows = [*GOOD, "a,5,6,Long jump,training", "a,7,8,long_jump,training", "a,1,2,run,training"]
    names, doubles = _notes(_write(tmp_path, rows, ["a.mp4", "b.mp4"]))
    assert names.startswith(
        "classes 'Long jump', 'long_jump' differ in capitals, blanks or underscores alone"
    )
    assert doubles.startswith("1 labelled segments stand there more than once")


def test_a_class_that_may_be_mistyped_is_said(tmp_path: Path) -> None:
    rows = [*GOOD, *(f"a,{start},{start + 1},wave,training" for start in range(3, 9)), "a,9,10,wvae,training"]
    (note,) = _notes(_write(tmp_path, rows, ["a.mp4", "b.mp4"]))
    assert note == "class 'wvae' (1 segment) is nearly 'wave' (6); is it mistyped?"


@given(st.text("ab1 ", max_size=6), st.text("ab1 ", max_size=6))
def test_one_slip_is_an_edit_distance_of_one(one: str, other: str) -> None:
    """Against all words that one slip makes of the first."""
    letters = "ab1 "
    places = range(len(one) + 1)
    made = {one[:i] + letter + one[i:] for i in places for letter in letters}
    made |= {one[:i] + letter + one[i + 1 :] for i in range(len(one)) for letter in letters}
    made |= {one[:i] + one[i + 1 :] for i in range(len(one))}
    made |= {one[:i] + one[i + 1] + one[i] + one[i + 2 :] for i in range(len(one) - 1)}
    found = one_slip_apart(one, other)
    assert found == one_slip_apart(other, one)
    assert not found or other in made - {one}
    if not {*"1"} & {*one, *other} and min(len(one), len(other)) >= 4:
        assert found == (other in made - {one})


@pytest.mark.parametrize(
    ("files", "found"),
    [
        ([], "has no video files"),
        (["a_color.mp4", "b_color.mp4"], "has files like 'a_color.mp4', 'b_color.mp4'"),
    ],
)
def test_nothing_on_disk_shows_how_ids_and_files_look(tmp_path: Path, files: list[str], found: str) -> None:
    (note,) = _notes(_write(tmp_path, GOOD, files))
    assert "none of the 2 annotated videos is on disk: ids look like 'a', 'b'" in note
    assert found in note


def test_a_file_for_a_folder_is_said(tmp_path: Path) -> None:
    config = _write(tmp_path, GOOD, ["a.mp4"])
    (note,) = _notes(replace(config, videos="videos/a.mp4"))
    assert "is a file, expected a folder" in note


def test_ids_and_files_match_however_they_are_spelt() -> None:
    composed, apart = (unicodedata.normalize(form, "café_01") for form in ("NFC", "NFD"))
    files = {name: [Path(f"{name}.mp4")] for name in (apart, "abc", "v_x", "x")}
    ids = (composed, "v_abc", "abc.mp4", "x", "v_x", "none")
    found = files_of_ids(files, ids)
    assert found == {
        composed: files[apart],
        "v_abc": files["abc"],
        "abc.mp4": files["abc"],
        "x": files["x"],  # an exact match is never given away
        "v_x": files["v_x"],
        "none": [],
    }


def test_spelt_otherwise_on_disk_all_the_same(tmp_path: Path) -> None:
    apart = unicodedata.normalize("NFD", "café_01")
    rows = ["v_abc,1,2,run,training", unicodedata.normalize("NFC", "café_01") + ",1,2,run,validation"]
    config = _write(tmp_path, rows, ["v_abc.mp4", f"{apart}.mp4", "._v_abc.mp4", "._trash.mp4"])
    dataset = load_dataset(config)
    assert [video.path for video in dataset.videos.values()] == [
        tmp_path / "videos" / "v_abc.mp4",
        tmp_path / "videos" / f"{apart}.mp4",
    ]
    assert dataset.problems == {}


def test_the_closest_file_of_a_missing_video_is_named(tmp_path: Path) -> None:
    assert closest_files(["lab_01", "zzz"], [Path("LAB_01.mp4"), Path("other.mp4")]) == {
        "lab_01": "LAB_01.mp4"
    }
    config = _write(tmp_path, [*GOOD, "lab_01,1,2,run,training"], ["a.mp4", "b.mp4", "LAB_01.mp4"])
    assert "not on disk: lab_01 (LAB_01.mp4?)" in describe(load_dataset(config), config)


# ---- times


def _video(name: str, *segments: tuple[float, float]) -> Video:
    return Video(
        name, "training", Path(f"{name}.mp4"), float("nan"), tuple(Segment(*s, "run") for s in segments)
    )


def test_labels_that_fit_have_no_note() -> None:
    videos = [_video(str(index), (1.5, 9.9), (0, 10.2)) for index in range(20)]
    assert time_notes(videos, {str(index): Length(10.0, 24.0) for index in range(20)}) == []
    assert time_notes(videos, {}) == []


def test_frame_numbers_are_told_from_seconds() -> None:
    videos = [_video("a", (30, 270)), _video("b", (100, 150))]
    (note,) = time_notes(videos, {"a": Length(10.0, 30.0), "b": Length(10.0, 30.0)})
    assert note.startswith(
        "times look like frame numbers, expected seconds: video 'a' lasts 10.0 s at 30 fps"
    )


@pytest.mark.parametrize(("rate", "divided_by"), [(24.0, 30.0), (23.976, 30.0), (30.0, 25.0), (25.0, 50.0)])
def test_times_of_another_frame_rate_are_said(rate: float, divided_by: float) -> None:
    """Annotators counted frames and divided by one rate, whatever each video's was."""
    videos = [_video(f"x{index}", (0.0, (10 + index) * rate / divided_by * 0.999)) for index in range(8)]
    videos += [_video(f"y{index}", (0.0, 10.0 + index)) for index in range(8)]
    lengths = {
        video.video_id: Length(10.0 + index % 8, rate if index < 8 else divided_by)
        for index, video in enumerate(videos)
    }
    notes = time_notes(videos, lengths)
    assert notes[0].startswith(f"labels of the videos of {round(rate)} fps (8 looked at) end at")
    assert f"divided by {divided_by:g} would" in notes[0]


def test_segments_past_the_end_are_said() -> None:
    videos = [_video("a", (1, 999)), _video("b", (1, 5)), _video("c", (1, 5))]
    (note,) = time_notes(videos, dict.fromkeys("abc", Length(58.6, 25.0)))
    assert note.startswith(
        "1 labelled segments reach past the end of their video (3 videos looked at): 'a' 1-999 s"
    )


def test_the_command_says_it_of_real_files(
    tmp_path: Path, tiny_mini: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = _write(tmp_path, ["a,20,230,run,training", "b,0,190,run,val"])
    for name, source in zip("ab", sorted((tiny_mini / "videos").rglob("*.mp4")), strict=False):
        shutil.copy(source, tmp_path / "videos" / f"{name}.mp4")
    (tmp_path / "run.yaml").write_text(
        f"run_dir: r\ndata: {{root: {config.root}, format: csv, annotations: segments.csv}}\n"
    )
    assert main(["--config", str(tmp_path / "run.yaml")]) == 0
    screen = capsys.readouterr().err
    assert "labelled segments: run (2)" in screen
    assert "note: no labelled segment is in subset 'validation'" in screen
    assert "note: times look like frame numbers" in screen
