"""The raw annotation readers: rows exactly as in the file, and a message for each way it can be
wrong."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from runtime.errors import InputError
from video_datasets.formats.activitynet import read_activitynet_json
from video_datasets.formats.ek100_csv import read_ek100_csv, timestamp_seconds

EK100_HEADER = "narration_id,video_id,start_timestamp,stop_timestamp,verb_class,noun_class\n"


def write_json(folder: Path, content: Any) -> Path:
    path = folder / "annotations.json"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def video(**changes: Any) -> dict[str, Any]:
    entry = {"subset": "validation", "duration": "92.166667", "annotations": []}
    return {key: value for key, value in {**entry, **changes}.items() if value is not ...}


def test_activitynet_rows_stay_as_they_are(tmp_path: Path) -> None:
    annotations = [
        {"label": "b", "segment": [5.4, 11.6]},
        {"label": "a", "segment": ["9", "3"]},  # inverted, in quotes
        {"label": "a", "segment": [3, 3]},  # zero length
        {"label": "b", "segment": [5.4, 11.6]},  # duplicate
    ]
    database = {
        "empty": video(annotations=[]),
        "full": video(annotations=annotations, subset="training", duration=...),
        "hidden": video(annotations=..., subset="testing"),
    }
    table = read_activitynet_json(write_json(tmp_path, {"database": database}))
    assert table.video_ids == ("empty", "full", "hidden")
    assert table.subsets == ("validation", "training", "testing")
    np.testing.assert_array_equal(table.durations_s, [92.166667, np.nan, 92.166667])
    np.testing.assert_array_equal(table.video_index, [1, 1, 1, 1])
    np.testing.assert_array_equal(table.start_s, [5.4, 9, 3, 5.4])
    np.testing.assert_array_equal(table.end_s, [11.6, 3, 3, 11.6])
    assert table.labels == ("b", "a", "a", "b")
    assert (table.start_s.dtype.name, table.video_index.dtype.name) == ("float64", "int32")


def test_empty_database(tmp_path: Path) -> None:
    table = read_activitynet_json(write_json(tmp_path, {"database": {}}))
    assert (table.video_ids, table.labels, table.start_s.shape) == ((), (), (0,))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ([], r"video 'v1': expected an object with 'subset'"),
        (
            video(subset=...),
            r"video 'v1': key 'subset' is missing .*found keys \['annotations', 'duration'\]",
        ),
        (video(annotations=...), r"video 'v1': key 'annotations' is missing"),
        (video(duration="long"), r"video 'v1': 'duration' must be a number of seconds, found 'long'"),
        (video(duration=None), r"'duration' must be a number of seconds, found None"),
        (video(duration=10**400), r"'duration' must be a number of seconds, found 1000"),
        (
            video(annotations=[{"label": "a", "segment": [0, 10**400]}]),
            r"'segment' must be .* found \[0, 100",
        ),
        (video(annotations=[3]), r"video 'v1', annotation 0: expected an object with 'label'"),
        (video(annotations=[{"segment": [0, 1]}]), r"annotation 0: key 'label' is missing"),
        (video(annotations=[{"label": 3, "segment": [0, 1]}]), r"key 'label' is missing or not text"),
        (video(annotations=[{"label": "a"}]), r"video 'v1', annotation 0: key 'segment' is missing"),
        (video(annotations=[{"label": "a", "segment": [1]}]), r"'segment' must be \[start, end\].*\[1\]"),
        (video(annotations=[{"label": "a", "segment": "12"}]), r"'segment' must be .* found '12'"),
        (video(annotations=[{"label": "a", "segment": [0, None]}]), r"'segment' must be .*None"),
    ],
)
def test_activitynet_messages(tmp_path: Path, entry: Any, message: str) -> None:
    with pytest.raises(InputError, match=message):
        read_activitynet_json(write_json(tmp_path, {"database": {"v1": entry}}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b" \n<!DOCTYPE html><html>", "HTML or XML page"),
        (b'{"database": {"v1": {"subset": "validation"', "the file seems cut off"),
        (b'{"database": {"v1": "abc', "not valid JSON|the file seems cut off"),
        (b"{'database': 3}     and more text", "not valid JSON: .* line 1 column 2"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"a": ' + b"1" * 5000 + b"}", "not valid data: Exceeds the limit"),
        (b"[1, 2]", "expected a JSON object at the top, found list"),
        (b'{"results": {}}', "expected an object with key 'database'.*prediction file"),
        (b"\xff\xfe\x00", "expected UTF-8 text"),
        (gzip.compress(b'{"database": {}}' * 9)[:-12], "damaged gzip file"),
    ],
)
def test_files_that_are_no_annotations(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "annotations.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        read_activitynet_json(path)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"nothing\.json: no such file"):
        read_activitynet_json(tmp_path / "nothing.json")


def test_gzip_is_told_by_content(tmp_path: Path) -> None:
    path = tmp_path / "packed.json"
    path.write_bytes(gzip.compress(json.dumps({"database": {"v1": video()}}).encode()))
    assert read_activitynet_json(path).video_ids == ("v1",)


def test_ek100_rows_stay_as_they_are(tmp_path: Path) -> None:
    path = tmp_path / "ek100.csv"
    path.write_text(
        EK100_HEADER
        + "P01_11_0,P01_11,00:00:01.02,00:00:02.66,3,12\n"
        + "P02_01_0,P02_01,01:02:03.50,01:02:03.50,0,0\n"
        + "P01_11_1,P01_11,00:00:01.02,00:00:02.66,3,12\n"
    )
    table = read_ek100_csv(path)
    assert table.video_ids == ("P01_11", "P02_01")
    assert table.subsets == ("", "")
    assert np.isnan(table.durations_s).all()
    np.testing.assert_array_equal(table.video_index, [0, 1, 0])
    np.testing.assert_array_equal(table.start_s, [1.02, 3723.5, 1.02])
    np.testing.assert_array_equal(table.end_s, [2.66, 3723.5, 2.66])
    assert table.labels == ("3,12", "0,0", "3,12")


def test_ek100_header_alone(tmp_path: Path) -> None:
    path = tmp_path / "ek100.csv"
    path.write_text(EK100_HEADER)
    table = read_ek100_csv(path)
    assert (table.video_ids, table.labels, len(table.start_s)) == ((), (), 0)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("video_id,start_timestamp,stop_timestamp\n", r"missing: verb_class, noun_class.*test_timestamps"),
        (EK100_HEADER + "P01_11_0,P01_11,00:00:01", r"line 2: 3 cells under a header of 6"),
        (EK100_HEADER + "n,,00:00:01.0,00:00:02.0,3,4", r"line 2: .*no video_id"),
        (EK100_HEADER + "n,P01_11,1.02,00:00:02.0,3,4", r"line 2: video 'P01_11': bad timestamp '1.02'"),
        (
            EK100_HEADER + "n,P01_11,00:00:xx,00:00:02.0,3,4",
            r"line 2: video 'P01_11': bad timestamp '00:00:xx'",
        ),
        (EK100_HEADER + "n,P01_11,00:00:01.0,00:00:02.0,take,4", r"'take'; expected times hh:mm:ss.xx"),
        (EK100_HEADER + "n,P01_11,00:00:-1.0,00:00:02.0,3,4", r"line 2: .*bad timestamp '00:00:-1.0'"),
        (EK100_HEADER + "n,P01_11,00:00:01.0,00:75:03.37,3,4", r"line 2: .*bad timestamp '00:75:03.37'"),
        (
            EK100_HEADER + "n,P01_11,00:00:01.0,00:00:02.0,-1,4",
            r"line 2: .*'verb_class' .* 0 to 96, found '-1'",
        ),
        (EK100_HEADER + "n,P01_11,00:00:01.0,00:00:02.0,0.0,4", r"line 2: .*'verb_class' .* found '0.0'"),
        ("<html>", "HTML or XML page"),
    ],
)
def test_ek100_messages(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "ek100.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        read_ek100_csv(path)


def test_timestamps() -> None:
    assert timestamp_seconds("00:00:00.560") == 0.56
    assert timestamp_seconds("10:00:59.99") == 36059.99
    with pytest.raises(ValueError, match="bad timestamp '5'"):
        timestamp_seconds("5")


def test_original_files(shared: Path) -> None:
    table = read_ek100_csv(shared / "data/ek100/EPIC_100_validation.csv.gz")
    cut = read_ek100_csv(shared / "golden/evaluation/ek100_val_gt.csv.gz")
    assert (len(table.labels), len(table.video_ids)) == (9668, 138)
    assert sorted(zip(table.start_s, table.end_s, table.labels, strict=True)) == sorted(
        zip(cut.start_s, cut.end_s, cut.labels, strict=True)
    )
    activitynet = read_activitynet_json(shared / "data/activitynet_v1-3_validation_variant.json.gz")
    assert len(activitynet.video_ids) == 4728
    assert activitynet.subsets.count("training") == 40


def test_a_video_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "twice.json"
    entry = '{"subset": "training", "annotations": []}'
    path.write_text(f'{{"database": {{"a": {entry}, "b": {entry}, "a": {entry}}}}}')
    with pytest.raises(InputError, match="'a' is there twice; remove one of them"):
        read_activitynet_json(path)
