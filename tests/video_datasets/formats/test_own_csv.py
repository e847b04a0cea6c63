"""CSVs of one's own data set: other people's columns, file names, and ids that come twice."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from runtime.errors import InputError
from video_datasets.annotations import AnnotationTable
from video_datasets.dataset import load_dataset
from video_datasets.formats.own_csv import read_own_csv
from video_datasets.settings import DataConfig
from video_datasets.video.search import VIDEO_SUFFIXES


def _read(folder: Path, content: str) -> AnnotationTable:
    path = folder / "segments.csv"
    path.write_text(content)
    return read_own_csv(path)


def test_a_plain_csv_of_paths_is_all_training(tmp_path: Path) -> None:
    rows = "path,start,end,label\nrun/v_a.mp4,1,2.5,run\nrun/v_a.mp4,3,4,sit\nb.c.MP4,0,1,run\nd.webm,,,\n"
    table = _read(tmp_path, rows)
    assert table.video_ids == ("a", "b.c", "d")
    assert table.subsets == ("training",) * 3
    assert (table.start_s.tolist(), table.end_s.tolist()) == ([1, 3, 0], [2.5, 4, 1])
    assert table.labels == ("run", "sit", "run")
    assert table.video_index.tolist() == [0, 0, 1]


@pytest.mark.parametrize("suffix", [*VIDEO_SUFFIXES, ".MP4"])
def test_only_suffixes_of_videos_are_stripped(tmp_path: Path, suffix: str) -> None:
    rows = f"a.1{suffix},0,1,run,training\nb.2,0,1,run,training\nv_c,0,1,run,training\n"
    assert _read(tmp_path, "video,start_s,end_s,label,subset\n" + rows).video_ids == ("a.1", "b.2", "v_c")


def test_the_ids_are_those_of_the_files(tmp_path: Path, tiny_mini: Path) -> None:
    names = ("run/v_one.mp4", "two.final.mp4")
    source = next((tiny_mini / "videos").rglob("*.mp4"))
    for name in names:
        (tmp_path / "videos" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, tmp_path / "videos" / name)
    _read(tmp_path, "path,start,end,label\n" + "".join(f"{name},0,1,run\n" for name in names))
    dataset = load_dataset(DataConfig(root=str(tmp_path), format="csv", annotations="segments.csv"))
    found = [str(video.path) for video in dataset.videos.values()]
    assert found == [str(tmp_path / "videos" / name) for name in names]


BAD = {
    "path,start,end,label\nrun/a.mp4,0,1,run\nb.mp4,0,1,run\nsit/a.mp4,0,1,sit\n": (
        r"line 4: video 'a' is 'sit/a\.mp4' here, 'run/a\.mp4' in line 2"
    ),
    "path,start,end,label\na.mp4,0,1,run\na.mkv,0,1,run\n": r"line 3: video 'a' is 'a\.mkv' here, 'a\.mp4' in line 2",
    "path,start,end,label\na.mp4,0:61,2,run\n": "line 2: 'start' must be seconds, mm:ss or hh:mm:ss, found bad",
    "path,start,label\na.mp4,0,run\n": r"missing: end_s \(or end, end_frame\); found: path, start, label",
    "path,start,end,label,subset\na.mp4,0,1,run,\n": "line 2: 'subset' must not be empty",
    "path,start,end,label\n,0,1,run\n": "line 2: 'path' must not be empty",
}


@pytest.mark.parametrize(("content", "message"), BAD.items())
def test_what_cannot_be_read_is_named(tmp_path: Path, content: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        _read(tmp_path, content)


def test_one_path_may_be_written_in_several_ways(tmp_path: Path) -> None:
    rows = "path,start,end,label\nrun/a.mp4,0,1,run\n./run/a.mp4,1,2,run\nrun\\a.mp4,2,3,run\n"
    assert _read(tmp_path, rows).video_ids == ("a",)


def test_frames_are_declared_by_their_columns_and_rate(tmp_path: Path) -> None:
    path = tmp_path / "frames.csv"
    path.write_text("video,start_frame,end_frame,label,fps\na,50,75,run,25\na,30,60,run,29.97\n")
    table = read_own_csv(path)
    assert table.start_s.tolist() == [2.0, 30 / 29.97]
    assert table.end_s.tolist() == [3.0, 60 / 29.97]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video,start_frame,end_frame,label\na,50,75,run\n", "line 2: 'fps' must be the frames per second"),
        (
            "video,start_frame,end_frame,label,fps\na,50,75,run,0\n",
            "line 2: 'fps' must be above 0, found '0'",
        ),
        (
            "video,start_frame,end_frame,label,fps\na,x,75,run,25\n",
            "line 2: 'start_frame' must be a frame, found 'x'",
        ),
    ],
)
def test_frames_without_a_rate_are_refused(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "frames.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_own_csv(path)
