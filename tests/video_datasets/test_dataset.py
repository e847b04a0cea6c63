"""The data set as training sees it: cleaning, ids, labels, and the files on disk."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InputError
from runtime.fingerprint import content_state
from video_datasets.__main__ import main
from video_datasets.dataset import (
    Segment,
    dataset_inputs,
    load_dataset,
    segment_problem,
)
from video_datasets.settings import DataConfig
from video_datasets.video.search import index_video_files

Segments = list[tuple[Any, Any]]


def _entry(subset: str, segments: Segments, duration: Any = 10.0, label: str = "run") -> dict[str, Any]:
    annotations = [{"label": label, "segment": list(segment)} for segment in segments]
    return {"subset": subset, "duration": duration, "annotations": annotations}


def _write(root: Path, database: dict[str, Any]) -> DataConfig:
    root.mkdir(exist_ok=True)
    (root / "labels.json").write_text(json.dumps({"database": database}))
    return DataConfig(root=str(root), annotations="labels.json")


INF, NAN = float("inf"), float("nan")


@pytest.mark.parametrize(
    ("segment", "kept", "problem"),
    [
        ((1, 2), (1, 2), ""),
        ((0, 10), (0, 10), ""),  # touches both ends
        ((5, 12), (5, 10), r"reaches over the end of the video \(10 s\), clipped"),
        ((-1, 3), (0, 3), "starts before the video, clipped"),
        ((-1, 12), (0, 10), "starts before the video, clipped"),  # both
        ((3, 3), None, "has no length, dropped"),
        ((4, 3), None, "ends before it starts, dropped"),
        ((10, 12), None, r"lies outside the video \(0-10 s\), dropped"),  # touches the end from outside
        ((-3, 0), None, "lies outside the video"),
        ((NAN, 3), None, "not finite, dropped"),
        ((3, NAN), None, "not finite, dropped"),
        ((3, INF), None, "not finite, dropped"),  # clipping would make it finite
        ((-INF, 3), None, "not finite, dropped"),
    ],
)
def test_a_segment_is_kept_clipped_or_dropped_and_listed(
    tmp_path: Path, segment: tuple[float, float], kept: tuple[float, float] | None, problem: str
) -> None:
    config = _write(tmp_path, {"a": _entry("training", [segment]), "b": _entry("training", [(1, 2)])})
    dataset = load_dataset(config)
    assert dataset.videos["a"].segments == (() if kept is None else (Segment(*kept, "run"),))
    if problem:
        assert list(dataset.problems) == [f"a, segment {segment[0]:g}-{segment[1]:g} s"]
        assert re.match(problem, next(iter(dataset.problems.values())))
    else:
        assert dataset.problems == {}


TIMES = st.one_of(st.floats(), st.floats(-5, 15))


@given(TIMES, TIMES, st.sampled_from([10.0, NAN, 0.0]))
def test_nothing_is_changed_in_silence(start_s: float, end_s: float, duration_s: float) -> None:
    problem = segment_problem(start_s, end_s, duration_s)
    limit_s = duration_s if duration_s > 0 else INF
    assert (problem == "") == (0 <= start_s < end_s <= limit_s and end_s < INF)


def test_without_a_duration_only_the_front_is_clipped(tmp_path: Path) -> None:
    database = {"a": {**_entry("training", [(5, 1e6), (-1, 2)]), "duration": "nan"}}
    dataset = load_dataset(_write(tmp_path, database))
    assert [(s.start_s, s.end_s) for s in dataset.videos["a"].segments] == [(5, 1e6), (0, 2)]


@pytest.mark.parametrize("video_id", ["../x", "a/b", "/etc/x", "", ".hidden", "a\nb", "a\\b"])
def test_an_unsafe_id_stops(tmp_path: Path, video_id: str) -> None:
    config = _write(tmp_path, {"a": _entry("training", [(1, 2)]), video_id: _entry("testing", [])})
    with pytest.raises(InputError, match=r"labels\.json: unsafe video id"):
        load_dataset(config)


def test_an_empty_training_subset_stops_and_says_what_there_is(tmp_path: Path) -> None:
    config = _write(tmp_path, {"a": _entry("validation", [(1, 2)]), "b": _entry("train", [(1, 2)])})
    message = r"no usable labelled segment in subset 'training'; subsets found: \['train', 'validation'\]"
    with pytest.raises(InputError, match=message):
        load_dataset(config)


def test_a_training_subset_that_cleaning_empties_stops(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no usable labelled segment"):
        load_dataset(_write(tmp_path, {"a": _entry("training", [(3, 3)])}))


def test_a_label_that_training_never_shows_stops(tmp_path: Path) -> None:
    database = {
        "a": _entry("training", [(1, 2)], label="Playing drums"),
        "b": _entry("training", [(1, 2)], label="Archery"),
        "v": _entry("validation", [(1, 2)], label="Playing drum"),
    }
    message = (
        r"video 'v' of subset 'validation': label 'Playing drum' is not among the 2 classes of the training "
        r"subset; closest known: Playing drums"
    )
    with pytest.raises(InputError, match=message):
        load_dataset(_write(tmp_path, database))


def test_labels_are_those_of_training_sorted(tmp_path: Path) -> None:
    database = {
        "a": _entry("training", [(1, 2)], label="b"),
        "b": _entry("training", [(1, 2)], label="B"),
        "c": _entry("training", [(1, 2)], label="a"),
        "d": _entry("testing", [(1, 2)], label="z"),
    }
    assert load_dataset(_write(tmp_path, database)).labels == ("B", "a", "b")


def test_missing_annotations_are_named(tmp_path: Path) -> None:
    config = DataConfig(root=str(tmp_path), annotations="labels.json")
    with pytest.raises(FileNotFoundError, match=r"labels\.json: no such file"):
        load_dataset(config)
    mini = DataConfig(root=str(tmp_path), annotations="labels.json", mini=True)
    with pytest.raises(InputError, match="not rendered yet; first call `python -m video_datasets`"):
        load_dataset(mini)


def test_a_video_without_file_stays_in_the_data_set(tmp_path: Path) -> None:
    config = _write(tmp_path, {name: _entry("training", [(1, 2)]) for name in ("there", "absent")})
    (tmp_path / "videos" / "run").mkdir(parents=True)
    (tmp_path / "videos" / "run" / "v_there.mp4").touch()
    videos = load_dataset(config).videos
    assert videos["there"].path == tmp_path / "videos" / "run" / "v_there.mp4"
    assert videos["absent"].path is None


def test_subsets_are_in_file_order(tmp_path: Path) -> None:
    database = {name: _entry("training" if name in "zb" else "validation", [(1, 2)]) for name in "zab"}
    dataset = load_dataset(_write(tmp_path, database))
    assert [video.video_id for video in dataset.subset("training")] == ["z", "b"]


def test_files_are_found_at_any_depth_by_id(tmp_path: Path) -> None:
    names = ["v_-abc.mp4", "deep/er/x.y.MKV", "plain.webm", "notes.txt", "v_half.mp4.part", "v_v_3.avi"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "dangling.mp4").symlink_to(tmp_path / "nowhere")
    found = index_video_files(tmp_path)
    expected = {"-abc": names[0], "x.y": names[1], "plain": names[2], "v_3": names[5]}
    assert found == {video_id: tmp_path / name for video_id, name in expected.items()}
    assert index_video_files(tmp_path / "absent") == {}


def test_copies_of_a_video_may_lie_about_but_two_videos_of_one_name_are_listed(tmp_path: Path) -> None:
    entries = {"copied": _entry("training", [(1, 2)]), "twice": _entry("training", [(1, 2)])}
    config = _write(tmp_path, entries)
    for name, size in {"run/v_copied": 5, "sit/v_copied": 5, "run/v_twice": 5, "sit/v_twice": 6}.items():
        path = tmp_path / config.videos / f"{name}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
    dataset = load_dataset(config)
    assert dataset.videos["twice"].path == tmp_path / config.videos / "run/v_twice.mp4"
    assert dataset.problems.keys() == {"twice"}
    assert "sit/v_twice.mp4" in dataset.problems["twice"]


def test_files_are_found_through_links_that_may_lead_in_circles(tmp_path: Path) -> None:
    root, disk = tmp_path / "root", tmp_path / "disk"
    (root / "here").mkdir(parents=True)
    (disk / "P01" / "videos").mkdir(parents=True)
    (disk / "P01" / "videos" / "P01_01.MP4").touch()
    (disk / "P01" / "back").symlink_to(root, target_is_directory=True)
    (root / "here" / "itself").symlink_to(root / "here", target_is_directory=True)
    (root / "linked").symlink_to(disk, target_is_directory=True)
    (root / "linked.mp4").symlink_to(disk / "P01" / "videos" / "P01_01.MP4")
    found = index_video_files(root)
    expected = {"P01_01": root / "linked" / "P01" / "videos" / "P01_01.MP4", "linked": root / "linked.mp4"}
    assert found == expected


def test_heads_of_a_data_set_of_one_label_a_segment(tmp_path: Path) -> None:
    database = {"a": _entry("training", [(1, 2)], label="b"), "b": _entry("training", [(1, 2)], label="a")}
    dataset = load_dataset(_write(tmp_path, database))
    assert dataset.heads == {"action": ("a", "b")}
    assert (dataset.class_indices("a"), dataset.class_indices("b")) == ({"action": 0}, {"action": 1})
    with pytest.raises(InputError, match="label 'c' is not among the 2 classes"):
        dataset.class_indices("c")


def test_the_fingerprint_notices_another_file(tmp_path: Path) -> None:
    config = _write(tmp_path, {"a": _entry("training", [(1, 2)])})
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_bytes(b"1")
    before = dataset_inputs(config)
    assert before["annotations"] == content_state(tmp_path / "labels.json")
    (tmp_path / "videos" / "a.mp4").write_bytes(b"22")
    assert dataset_inputs(config)["videos"] != before["videos"]


def test_the_fingerprint_notices_an_edit_that_keeps_the_size(tmp_path: Path) -> None:
    config = _write(tmp_path, {"a": _entry("training", [(1, 2)])})
    before = dataset_inputs(config)
    _write(tmp_path, {"a": _entry("training", [(1, 3)])})
    assert dataset_inputs(config)["annotations"] != before["annotations"]


def test_the_command_shows_counts_and_problems(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write(tmp_path, {"a": _entry("training", [(1, 2), (3, 3)]), "b": _entry("validation", [(1, 2)])})
    (tmp_path / "run.yaml").write_text(f"run_dir: r\ndata: {{root: {tmp_path}, annotations: labels.json}}\n")
    assert main(["--config", str(tmp_path / "run.yaml")]) == 0
    screen = capsys.readouterr().err
    assert "2 videos, 1 classes" in screen
    assert "training: 1 videos, 0 on disk, 1 labelled segments" in screen
    assert "a, segment 3-3 s: has no length, dropped" in screen
    assert main(["--config", str(tmp_path / "run.yaml"), "data.annotations=absent.json"]) == 2
