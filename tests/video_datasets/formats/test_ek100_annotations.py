"""EPIC-KITCHENS-100 as a data set: several files become one, with subsets, durations and two
heads."""

from __future__ import annotations

import csv
import gzip
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.errors import InputError
from video_datasets.__main__ import main
from video_datasets.dataset import (
    Segment,
    annotation_file,
    annotations_state,
    load_dataset,
    read_annotations,
)
from video_datasets.formats.ek100 import read_video_info
from video_datasets.formats.ek100_csv import read_ek100_csv
from video_datasets.settings import DataConfig

CONFIG_FILE = Path(__file__).parents[3] / "configs" / "ek100.yaml"
ACTIONS = (
    "narration_id,participant_id,video_id,narration_timestamp,start_timestamp,stop_timestamp,start_frame,"
    "stop_frame,narration,verb,verb_class,noun,noun_class,all_nouns,all_noun_classes"
)
TRAINING = (
    "P01_01_0,P01,P01_01,00:00:00.560,00:00:01.00,00:00:02.50,999,9999,take plate,take,0,plate,2,['plate'],[2]",
    "P01_01_1,P01,P01_01,00:00:03.560,00:01:03.00,00:01:04.25,1,2,open tap,open,3,tap,0,\"['tap', 'x']\",\"[0, 5]\"",
    "P01_101_0,P01,P01_101,00:00:00.560,00:00:00.00,00:00:01.00,1,50,wash cup,wash,2,cup,13,['cup'],[13]",
)
VALIDATION = (
    "P02_01_0,P02,P02_01,00:00:00.560,00:00:09.00,00:00:10.02,1,2,lift pan,lift,96,pan,299,['pan'],[299]",
    "P02_01_1,P02,P02_01,00:00:00.560,00:00:05.00,00:00:05.00,1,2,lift pan,lift,96,pan,299,['pan'],[299]",
)
TEST = ("P03_101_0,P03,P03_101,00:00:02.851,00:00:02.86,00:00:03.87,143,193",)
INFO = (
    "P01_01,70.0,59.9400599400599,1920x1080",
    "P01_101,30.5,50.0,1920x1080",
    "P02_01,10.010000000000002,29.97002997002997,1280x720",
    "P03_101,30.5,50.0,1920x1080",
    "P04_01,12.0,90.0,1920x1440",
)


def write_csv(path: Path, header: str, lines: Sequence[str]) -> None:
    path.write_text("\n".join([header, *lines]) + "\n")


def write_classes(path: Path, count: int) -> None:
    rows = [f"{k},name {k},\"['a', 'b']\",kind" for k in range(count)]
    write_csv(path, "id,key,instances,category", rows)


@pytest.fixture
def config(tmp_path: Path) -> DataConfig:
    write_csv(tmp_path / "EPIC_100_train.csv", ACTIONS, TRAINING)
    write_csv(tmp_path / "EPIC_100_validation.csv", ACTIONS, VALIDATION)
    write_csv(tmp_path / "EPIC_100_test_timestamps.csv", ",".join(ACTIONS.split(",")[:8]), TEST)
    write_csv(tmp_path / "EPIC_100_video_info.csv", "video_id,duration,fps,resolution", INFO)
    write_classes(tmp_path / "EPIC_100_verb_classes.csv", 97)
    write_classes(tmp_path / "EPIC_100_noun_classes.csv", 300)
    for name in ("P01_01", "P01_101", "P03_101"):
        path = tmp_path / "EPIC-KITCHENS" / name[:3] / "videos" / f"{name}.MP4"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return DataConfig(root=str(tmp_path), format="ek100", videos=".")


def test_subsets_durations_and_files(config: DataConfig, tmp_path: Path) -> None:
    videos = load_dataset(config).videos
    assert {v.video_id: (v.subset, v.duration_s) for v in videos.values()} == {
        "P01_01": ("training", 70.0),
        "P01_101": ("training", 30.5),
        "P02_01": ("validation", 10.010000000000002),
        "P03_101": ("testing", 30.5),
    }
    assert videos["P01_101"].path == tmp_path / "EPIC-KITCHENS" / "P01" / "videos" / "P01_101.MP4"
    assert videos["P02_01"].path is None


def test_times_come_from_timestamps_whatever_the_frame_numbers_say(config: DataConfig) -> None:
    videos = load_dataset(config).videos
    assert videos["P01_01"].segments == (Segment(1.0, 2.5, "0,2"), Segment(63.0, 64.25, "3,0"))
    assert videos["P01_101"].segments == (Segment(0.0, 1.0, "2,13"),)


def test_a_segment_that_ends_a_frame_after_its_video_is_clipped_and_listed(config: DataConfig) -> None:
    dataset = load_dataset(config)
    assert dataset.videos["P02_01"].segments == (Segment(9.0, 10.010000000000002, "96,299"),)
    assert dataset.problems == {
        "P02_01, segment 9-10.02 s": "reaches over the end of the video (10.01 s), clipped",
        "P02_01, segment 5-5 s": "has no length, dropped",
    }


def test_test_videos_have_no_segments(config: DataConfig) -> None:
    assert load_dataset(config).videos["P03_101"].segments == ()


def test_heads_are_all_verbs_and_nouns_whatever_training_shows(config: DataConfig) -> None:
    dataset = load_dataset(config)
    assert dataset.labels == ("0,2", "2,13", "3,0")
    assert {head: len(names) for head, names in dataset.heads.items()} == {"verb": 97, "noun": 300}
    assert (dataset.heads["verb"][96], dataset.heads["noun"][13]) == ("name 96", "name 13")
    assert dataset.class_indices("96,299") == {"verb": 96, "noun": 299}


def test_evaluation_gets_the_rows_of_the_validation_file_as_they_stand(
    config: DataConfig, tmp_path: Path
) -> None:
    table, raw = read_annotations(config), read_ek100_csv(tmp_path / "EPIC_100_validation.csv")
    assert (table.labels, table.video_ids, table.subsets) == (raw.labels, ("P02_01",), ("validation",))
    assert table.end_s.tolist() == raw.end_s.tolist() == [10.02, 5.0]
    assert [label.split(",")[0] for label in table.labels] == ["96", "96"]
    assert annotation_file(config) == tmp_path / "EPIC_100_validation.csv"


def test_gzipped_files_are_taken_where_the_plain_ones_are_missing(config: DataConfig, tmp_path: Path) -> None:
    before = load_dataset(config)
    for path in tmp_path.glob("*.csv"):
        path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
        path.unlink()
    assert load_dataset(config) == before
    assert annotation_file(config).name == "EPIC_100_validation.csv.gz"


def test_the_fingerprint_names_every_annotation_file(config: DataConfig, tmp_path: Path) -> None:
    (tmp_path / "EPIC_100_test_timestamps.csv").unlink()
    state = annotations_state(config)
    for name in ("train", "validation", "video_info"):
        size = (tmp_path / f"EPIC_100_{name}.csv").stat().st_size
        assert f"EPIC_100_{name}.csv ({size} bytes, sha256 " in state
    assert "EPIC_100_test_timestamps.csv (missing)" in state


def test_without_training_file_there_is_much_to_see_but_nothing_to_train_on(
    config: DataConfig, tmp_path: Path
) -> None:
    (tmp_path / "EPIC_100_train.csv").unlink()
    dataset = load_dataset(config, for_training=False)
    assert set(dataset.videos) == {"P02_01", "P03_101"}
    assert dataset.problems["EPIC_100_train.csv"] == "no such file, so there are no training videos"
    message = r"no usable labelled segment in subset 'training'.*EPIC_100_train\.csv: no such file"
    with pytest.raises(InputError, match=message):
        load_dataset(config)
    (tmp_path / "EPIC_100_validation.csv").unlink()
    with pytest.raises(FileNotFoundError, match=r"train\.csv and .*validation\.csv: no such files"):
        load_dataset(config)


def test_the_test_file_may_be_missing(config: DataConfig, tmp_path: Path) -> None:
    (tmp_path / "EPIC_100_test_timestamps.csv").unlink()
    dataset = load_dataset(config)
    assert set(dataset.videos) == {"P01_01", "P01_101", "P02_01"}
    assert not any("test" in where for where in dataset.problems)


def test_a_video_without_info_is_listed_and_keeps_its_segments(config: DataConfig, tmp_path: Path) -> None:
    write_csv(tmp_path / "EPIC_100_video_info.csv", "video_id,duration,fps,resolution", INFO[1:])
    dataset = load_dataset(config)
    assert dataset.problems["P01_01"] == "not in EPIC_100_video_info.csv, so its duration is unknown"
    assert len(dataset.videos["P01_01"].segments) == 2


@pytest.mark.parametrize(
    ("name", "header", "lines", "message"),
    [
        ("train", ACTIONS, [VALIDATION[0]], r"a video may be in one of them only.* first is 'P02_01'"),
        ("train", ACTIONS, [TRAINING[0].replace(",0,plate", ",97,plate")],
         r"train\.csv: line 2: video 'P01_01': 'verb_class' must be .* 0 to 96, found '97'"),
        ("validation", ACTIONS, [VALIDATION[0].replace(",299,", ",300,")],
         r"validation\.csv: line 2: video 'P02_01': 'noun_class' must be .* 0 to 299, found '300'"),
        *((name, ACTIONS, [VALIDATION[0].replace("P02_01", "../x")], rf"{name}\.csv: unsafe video id")
          for name in ("train", "validation", "test_timestamps")),
        ("video_info", "video_id,duration", ["P01_01,3"], "missing: fps, resolution; found: video_id, duration"),
        ("video_info", "video_id,duration,fps,resolution", ["P01_01,long,60,1x1"],
         r"video_info\.csv: line 2: 'duration' must be a positive number, found 'long'"),
        *(("video_info", "video_id,duration,fps,resolution", [f"P01_01,{value},60,1x1"],
           rf"video_info\.csv: line 2: 'duration' must be a positive number, found '{value}'")
          for value in ("-3", "0", "nan", "inf")),
        ("video_info", "video_id,duration,fps,resolution", ["P01_01,3,0,1x1"],
         "line 2: 'fps' must be a positive number, found '0'"),
        ("video_info", "video_id,duration,fps,resolution", ["P01_01,3,60,1x1", "P01_01,4,60,1x1"],
         r"video_info\.csv: line 3: video 'P01_01' is there twice with other values"),
        ("video_info", "video_id,duration,fps,resolution", ["P01_01,3,60"], "line 2: 3 cells under a header of 4"),
        ("test_timestamps", "id,time", ["a,b"], r"test_timestamps\.csv: expected the columns video_id"),
        ("verb_classes", "id,key", ["0,take"], "expected the classes 0 to 96, found 1 classes, 0 to 0"),
        ("noun_classes", "id,key", [f"{k},n" for k in range(305)],
         r"expected the classes 0 to 299, found 305 classes, 0 to 304.*not EPIC_100_noun_classes_v2\.csv"),
        ("noun_classes", "id,key", [f"{k % 299},n" for k in range(300)], r"'id' 0 is there twice"),
        ("noun_classes", "id,key", ["one,n"], "line 2: 'id' must be a whole number, found 'one'"),
    ],
)  # fmt: skip
def test_what_stops(
    config: DataConfig, tmp_path: Path, name: str, header: str, lines: list[str], message: str
) -> None:
    write_csv(tmp_path / f"EPIC_100_{name}.csv", header, lines)
    with pytest.raises(InputError, match=message):
        load_dataset(config)


def test_the_same_line_twice_is_harmless(config: DataConfig, tmp_path: Path) -> None:
    before = load_dataset(config)
    write_csv(tmp_path / "EPIC_100_video_info.csv", "video_id,duration,fps,resolution", [*INFO, INFO[0]])
    assert load_dataset(config) == before


@pytest.mark.parametrize("name", ["video_info", "verb_classes", "noun_classes"])
def test_a_missing_file_stops_by_name(config: DataConfig, tmp_path: Path, name: str) -> None:
    (tmp_path / f"EPIC_100_{name}.csv").unlink()
    with pytest.raises(FileNotFoundError, match=f"EPIC_100_{name}.csv: no such file"):
        load_dataset(config)


def test_the_command_names_missing_videos_and_clipped_segments(
    config: DataConfig, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "EPIC-KITCHENS" / "P01" / "videos" / "P01_01.MP4").unlink()
    assert main(["--config", str(CONFIG_FILE), f"data.root={tmp_path}"]) == 0
    assert capsys.readouterr().err.splitlines() == [
        f"data: {tmp_path}: 4 videos, 97 verbs, 300 nouns",
        "  testing: 1 videos, 1 on disk, 0 labelled segments",
        "  training: 2 videos, 1 on disk, 3 labelled segments",
        "    not on disk: P01_01",
        "  validation: 1 videos, 0 on disk, 1 labelled segments",
        "  extension videos (PXX_1YY): 2",
        "  hours: 0.04",
        "  frame rates: 50 (2), 59.94 (1), 29.97 (1)",
        "  resolutions: 1920x1080 (3), 1280x720 (1)",
        "  videos in EPIC_100_video_info.csv without annotations: 1",
        "  P02_01, segment 9-10.02 s: reaches over the end of the video (10.01 s), clipped",
        "  P02_01, segment 5-5 s: has no length, dropped",
    ]


def test_the_command_reports_on_the_real_files(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = shared / "data" / "ek100"
    assert main(["--config", str(CONFIG_FILE), f"data.root={root}"]) == 0
    screen = capsys.readouterr().err
    for line in (
        "205 videos, 97 verbs, 300 nouns",
        "testing: 67 videos, 0 on disk, 0 labelled segments",
        "validation: 138 videos, 0 on disk, 9668 labelled segments",
        "extension videos (PXX_1YY): 67",
        "frame rates: 59.94 (133), 50 (67), 29.97 (3), 47.952 (1), 90 (1)",
        "resolutions: 1920x1080 (204), 1280x720 (1)",
        "videos in EPIC_100_video_info.csv without annotations: 495",
        "EPIC_100_train.csv: no such file, so there are no training videos",
        "P29_05, segment 1820.75-1821.75 s: reaches over the end of the video (1821.74 s), clipped",
    ):
        assert line in screen
    assert screen.count("clipped") == 1


def test_all_real_videos_have_durations(shared: Path) -> None:
    infos = read_video_info(shared / "data" / "ek100" / "EPIC_100_video_info.csv.gz")
    assert len(infos) == 700
    assert sum(info.duration_s for info in infos.values()) / 3600 == pytest.approx(100.03, abs=0.005)
    assert sum(abs(info.fps - 59.94) < 0.01 for info in infos.values()) == 423


def test_real_annotations_as_training_and_validation(shared: Path, tmp_path: Path) -> None:
    """The training file is not at hand: participants below P20 of the validation file stand in
    for it."""
    for path in (shared / "data" / "ek100").glob("*.csv.gz"):
        shutil.copy(path, tmp_path)
    original = tmp_path / "EPIC_100_validation.csv.gz"
    rows = list(csv.reader(gzip.decompress(original.read_bytes()).decode().splitlines()))
    original.unlink()
    for name, low, high in (("train", "P00", "P20"), ("validation", "P20", "P99")):
        with (tmp_path / f"EPIC_100_{name}.csv").open("w", newline="") as file:
            csv.writer(file).writerows([rows[0], *(row for row in rows[1:] if low <= row[1] < high)])
    dataset = load_dataset(DataConfig(root=str(tmp_path), format="ek100", videos="."))
    segments = [(v.subset, s) for v in dataset.videos.values() for s in v.segments]
    assert len(segments) == 9668
    assert {subset for subset, _ in segments} == {"training", "validation"}
    expected = {f"{row[10]},{row[12]}" for row in rows[1:] if row[1] < "P20"}
    assert set(dataset.labels) == expected
    assert min(s.end_s - s.start_s for _, s in segments) > 0.2


def test_the_files_may_lie_in_a_folder_of_their_own(config: DataConfig, tmp_path: Path) -> None:
    before = load_dataset(config)
    clone = tmp_path / "epic-kitchens-100-annotations"
    clone.mkdir()
    for path in tmp_path.glob("*.csv"):
        path.rename(clone / path.name)
    after = load_dataset(replace(config, annotations=clone.name))
    assert (after.videos, after.heads) == (before.videos, before.heads)
    assert annotation_file(replace(config, annotations=clone.name)).parent == clone
