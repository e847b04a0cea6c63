"""Kinetics annotations: the official CSV files and plain lists of paths and labels."""

from __future__ import annotations

from pathlib import Path

import pytest

from runtime.errors import InputError
from runtime.fingerprint import size_state
from video_datasets.dataset import annotations_state, load_dataset
from video_datasets.formats.kinetics import read_kinetics
from video_datasets.settings import DataConfig

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
        (
            "label,youtube_id,time_start,time_end\nrun,a,x,10\n",
            r"train.csv: line 2: 'time_start' must be seconds, found 'x'",
        ),
        (
            "label,youtube_id,time_start,time_end,split\nrun,a,0,10,dev\n",
            r"line 2: the part 'dev' is none of train",
        ),
        ("only_a_path.mp4\n", r"train.csv: line 1: expected `path label` or `path,label`"),
        ("path,label\na.mp4,0\n", r"train.csv: line 1: .*header.*found 'path,label'"),
        ("\nvideo_id label\na 0\nb 1\n", r"train.csv: line 2: .*header.*found 'video_id label'"),
        ("a.mp4 0\na.b/c.mp4 300 5\n", r"line 2: expected `path label`.*one label.*found 'a.b/c.mp4 300 5'"),
        ("a.mp4,300,5\n", r"line 1: expected `path label`.*one label"),
        ("a.mp4 0.5 12.5 5\n", r"line 1: expected `path label`.*one label"),
        ("frames/a 300 5\n", r"line 1: expected `path label`.*one label"),
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


@pytest.mark.parametrize("other", ["train/sit/a.mp4 1", "train/run/a.mp4 1", "train/sit/a.mp4 0"])
def test_two_files_of_one_name_are_refused(tmp_path: Path, other: str) -> None:
    _write(tmp_path, train__txt=f"train/run/a.mp4 0\nb.mp4 1\n{other}\n")
    message = r"train\.txt: line 3: video 'a' .*, but .*train\.txt: line 1: "
    with pytest.raises(InputError, match=message) as raised:
        read_kinetics(tmp_path)
    assert all(line in str(raised.value) for line in (other.split()[0], "train/run/a.mp4"))


def test_the_same_row_with_two_labels_is_refused(tmp_path: Path) -> None:
    rows = "label,youtube_id,time_start,time_end\nrun,a,0,10\nrun,a,10,20\nsit,a,0,10\n"
    _write(tmp_path, train__csv=rows)
    with pytest.raises(InputError, match=r"line 4: video 'a_000000_000010' .*'sit'.*line 2: .*'run'"):
        read_kinetics(tmp_path)


def test_a_line_that_comes_again_counts_once(tmp_path: Path) -> None:
    table = read_kinetics(_write(tmp_path, train__txt="x/a.mp4 0\nb.mp4 1\n./x/a.mp4 0\n"))
    assert table.video_ids == ("a", "b")
    assert table.labels == ("0", "1")
    assert table.video_index.tolist() == [0, 1]


@pytest.mark.parametrize(
    "content",
    [
        "abseiling/0347ZoDXyP0_000095_000105.mp4 0\n/data/k400/zumba/v_--_x.mp4 399\n",
        "frames/a 4\nframes/b run\n",  # folders of frames, ids
        "a 4\nb 12\n",
        "a.mp4 3 point shot\nb.mp4 7 up\n",
    ],
)
def test_lists_without_a_header_lose_no_line(tmp_path: Path, content: str) -> None:
    assert len(read_kinetics(_write(tmp_path, train__txt=content)).labels) == 2


def test_the_folder_is_a_data_set_and_its_files_are_in_the_fingerprint(tmp_path: Path) -> None:
    (tmp_path / "lists").mkdir()
    _write(tmp_path / "lists", train__txt="a.mp4 1\nb.mp4 0\n", val__txt="c.mp4 1\n")
    config = DataConfig(root=str(tmp_path), format="kinetics", annotations="lists")
    dataset = load_dataset(config)
    assert dataset.heads == {"action": ("0", "1")}
    assert dataset.problems == {}
    assert dataset.class_indices("1") == {"action": 1}
    assert size_state(annotations_state(config)) == "train.txt (16 bytes), val.txt (8 bytes)"
