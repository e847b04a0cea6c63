"""Kinetics annotations: the official CSV files and plain lists of paths and labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.schema import DataConfig
from video_datasets.dataset import annotations_state, load_dataset
from video_datasets.kinetics_csv import read_kinetics

OFFICIAL = """label,youtube_id,time_start,time_end,split
testifying,---QUuC4vJs,84,94,{split}
"playing, say, cards",v_Wn3vOHAo,0,10,{split}
"""


def _write(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_text(content)
    return folder


def test_official_files_of_a_folder_are_read_together(tmp_path: Path) -> None:
    _write(
        tmp_path,
        train__csv=OFFICIAL.format(split="train"),
        validate__csv="label,youtube_id,time_start,time_end,split,is_cc\ntestifying,abc,5.0,15.0,validate,0\n",
        test__csv="label,youtube_id,time_start,time_end,split\n,hidden,1,11,test\n",
        readme__txt="not annotations",
    )
    table = read_kinetics(tmp_path)
    found = dict(zip(table.video_ids, table.subsets, strict=True))
    assert found == {
        "hidden_000001_000011": "testing",
        "---QUuC4vJs_000084_000094": "training",
        "Wn3vOHAo_000000_000010": "training",  # file names lose a leading "v_", so must ids
        "abc_000005_000015": "validation",
    }
    assert table.labels == ("testifying", "playing, say, cards", "testifying")
    assert [table.video_ids[index] for index in table.video_index][-1] == "abc_000005_000015"
    assert (table.start_s == 0).all()


@pytest.mark.parametrize("separator", [" ", "\t", ",", ", "])
def test_lists_of_paths_and_labels(tmp_path: Path, separator: str) -> None:
    train = [f"some dir/v {index}.mp4{separator}{index}" for index in (0, 7, 12)]
    _write(tmp_path, train__txt="\n".join(train) + "\n\n", val__txt=f"/abs/w.webm{separator}7\n")
    table = read_kinetics(tmp_path)
    assert table.video_ids == ("v 0", "v 7", "v 12", "w")
    assert table.subsets == ("training",) * 3 + ("validation",)
    assert table.labels == ("00", "07", "12", "07")  # sorted as text, they are in order of number


def test_labels_that_are_names_stay_as_they_are(tmp_path: Path) -> None:
    assert read_kinetics(_write(tmp_path, train__list="a.mp4 7\nb.mp4 run\n")).labels == ("7", "run")


@pytest.mark.parametrize("separator", [",", "\t"])
def test_labels_of_several_words_stay_whole(tmp_path: Path, separator: str) -> None:
    lines = [
        f"riding a bike/a.mp4{separator}riding a bike",
        f"v1.0 x/b.MP4{separator}fixing a bike",
        "frames/c 4",
    ]
    table = read_kinetics(_write(tmp_path, train__csv="\n".join(lines)) / "train.csv")
    assert table.video_ids == ("a", "b", "c")
    assert table.labels == ("riding a bike", "fixing a bike", "4")


def test_the_column_of_labels_may_be_missing_where_they_are_kept_back(tmp_path: Path) -> None:
    unlabelled = "youtube_id,time_start,time_end,split\nhidden,1,11,test\n"
    _write(tmp_path, train__csv=OFFICIAL.format(split="train"), test__csv=unlabelled)
    table = read_kinetics(tmp_path)
    assert (table.video_ids[0], table.subsets[0]) == ("hidden_000001_000011", "testing")
    assert table.labels == ("testifying", "playing, say, cards")
    (tmp_path / "train.csv").write_text(unlabelled)
    with pytest.raises(ValueError, match=r"train\.csv: .*missing: label"):
        read_kinetics(tmp_path)


def test_one_file_with_a_split_column_will_do(tmp_path: Path) -> None:
    rows = "label,youtube_id,time_start,time_end,split\nrun,a,0,10,train\nrun,b,0,10,val\n"
    table = read_kinetics(_write(tmp_path, kinetics__csv=rows) / "kinetics.csv")
    assert table.subsets == ("training", "validation")


BAD = {
    "train.csv": [
        ("label,youtube_id,time_start\nrun,a,0\n", "missing: time_end"),
        ("label,youtube_id,time_start,time_end\nrun,a,x,10\n", r"train.csv: line 2: .*found 'x' and '10'"),
        (
            "label,youtube_id,time_start,time_end,split\nrun,a,0,10,dev\n",
            r"line 2: the part 'dev' is none of train",
        ),
        ("only_a_path.mp4\n", r"train.csv: line 1: expected `path label` or `path,label`"),
        ("", "empty"),
    ],
    "other.csv": [("a.mp4 0\n", "the part 'other' is none of")],
}


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [(name, content, message) for name, cases in BAD.items() for content, message in cases],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, name: str, content: str, message: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(ValueError, match=message):
        read_kinetics(tmp_path / name)


def test_a_video_in_two_parts_and_a_folder_without_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"expected train\.csv and val\.csv"):
        read_kinetics(tmp_path)
    _write(tmp_path, train__txt="x/a.mp4 0\n", val__txt="b.mp4 0\ny/a.mp4 0\n")
    message = r"val\.txt: line 2: video 'a' is in subset 'validation' here, 'training' before"
    with pytest.raises(ValueError, match=message):
        read_kinetics(tmp_path)


def test_the_folder_is_a_data_set_and_its_files_are_in_the_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    _write(tmp_path / "lists", train__txt="a.mp4 1\nb.mp4 0\n", val__txt="c.mp4 1\n")
    config = DataConfig(root=str(tmp_path), format="kinetics", annotations="lists")
    dataset = load_dataset(config)
    assert dataset.heads == {"action": ("0", "1")}
    assert dataset.problems == {}
    assert dataset.class_indices("1") == {"action": 1}
    assert annotations_state(config) == "train.txt (16 bytes), val.txt (8 bytes)"
