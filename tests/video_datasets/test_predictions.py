"""Predictions: columns, the HDF5 layout and the official JSON formats."""

from __future__ import annotations

import dataclasses
import doctest
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import runtime.errors
import video_datasets.annotations
import video_datasets.formats.csv_table
import video_datasets.formats.ek100_csv
import video_datasets.formats.ek100_labels
import video_datasets.notes
from runtime.errors import InputError
from video_datasets.formats.ek100_labels import action_id, action_name, make_label, split_label
from video_datasets.formats.ek100_submission import read_ek100_json, write_ek100_json
from video_datasets.formats.submission_json import read_detections_json, write_detections_json
from video_datasets.predictions import (
    Predictions,
    by_video,
    concatenate,
    read_predictions,
    write_predictions,
)

EK100_HEADER = {"version": "0.2", "challenge": "action_detection", "sls_pt": 2, "sls_tl": 3, "sls_td": 3}


def example(labels: tuple[str, ...] = ("jump", "läuft")) -> Predictions:
    return Predictions(
        videos=("a", "empty", "b"),
        labels=labels,
        video_index=np.array([0, 0, 2]),
        start_s=np.array([0.1, 5.0, -1.0]),
        end_s=np.array([1 / 3, 4.0, 2.0]),
        score=np.array([0.5, 0.5, 7.0]),
        label=np.array([1, 0, 1]),
    )


def assert_equal(found: Predictions, expected: Predictions) -> None:
    for field in dataclasses.fields(Predictions):
        left, right = getattr(found, field.name), getattr(expected, field.name)
        if isinstance(right, tuple):
            assert left == right
        else:
            np.testing.assert_array_equal(left, right, strict=True)


def write(folder: Path, content: Any) -> Path:
    path = folder / "predictions.json"
    path.write_text(json.dumps(content))
    return path


def test_columns_are_checked() -> None:
    with pytest.raises(InputError, match="columns of one length, found shapes"):
        dataclasses.replace(example(), score=np.zeros(2))
    with pytest.raises(InputError, match=r"video_index\[1\] is 3, but the table 'videos' has 3 entries"):
        dataclasses.replace(example(), video_index=np.array([0, 3, 0]))
    with pytest.raises(InputError, match=r"label\[0\] is -2, but the table 'labels' has 2 entries"):
        dataclasses.replace(example(), label=np.array([-2, 0, 0]))
    assert len(example()) == 3


def test_hdf5_round_trip(tmp_path: Path) -> None:
    write_predictions(tmp_path / "p.h5", example())
    assert_equal(read_predictions(tmp_path / "p.h5"), example())
    proposals = dataclasses.replace(example(), labels=(), label=np.full(3, -1))
    write_predictions(tmp_path / "p.h5", proposals)
    assert_equal(read_predictions(tmp_path / "p.h5"), proposals)
    assert [path.name for path in tmp_path.iterdir()] == ["p.h5"]


def test_hdf5_without_rows(tmp_path: Path) -> None:
    nothing = Predictions((), (), *(np.zeros(0) for _ in range(5)))
    write_predictions(tmp_path / "p.h5", nothing)
    assert_equal(read_predictions(tmp_path / "p.h5"), nothing)


def test_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    write_detections_json(tmp_path / "d.json", example())
    before = (tmp_path / "d.json").read_bytes()
    broken = dataclasses.replace(example(), score=np.array([1.0, np.nan, 2.0]))
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_detections_json(tmp_path / "d.json", broken)
    assert (tmp_path / "d.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["d.json"]


def test_hdf5_messages(tmp_path: Path) -> None:
    path = tmp_path / "p.h5"
    with pytest.raises(FileNotFoundError, match=r"p\.h5: no such file"):
        read_predictions(path)
    path.write_text("{}")
    with pytest.raises(InputError, match="expected an HDF5 file of predictions"):
        read_predictions(path)
    with h5py.File(path, "w") as file:
        file["video_index"] = [0]
    with pytest.raises(InputError, match=r"a dataset is missing .*start_s"):
        read_predictions(path)
    write_predictions(path, example())
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(InputError, match="damaged HDF5 file"):
        read_predictions(path)


def test_detections_round_trip(tmp_path: Path) -> None:
    write_detections_json(tmp_path / "d.json", example(), version="V", external_data={"used": False})
    content = json.loads((tmp_path / "d.json").read_text())
    assert content["version"] == "V"
    assert content["external_data"] == {"used": False}
    assert content["results"]["empty"] == []
    assert content["results"]["a"][0] == {"label": "läuft", "score": 0.5, "segment": [0.1, 1 / 3]}
    found = read_detections_json(tmp_path / "d.json")
    assert [found.labels[label] for label in found.label] == ["läuft", "jump", "läuft"]
    reordered = dataclasses.replace(example(), labels=("läuft", "jump"), label=np.array([0, 1, 0]))
    assert_equal(found, reordered)


def test_youtube_prefix_is_dropped_and_nothing_else(tmp_path: Path) -> None:
    renamed = dataclasses.replace(example(), videos=("v_--0edUL8zmA", "v_123456789", "v_0001"))
    write_detections_json(tmp_path / "d.json", renamed)
    assert read_detections_json(tmp_path / "d.json").videos == ("--0edUL8zmA", "v_123456789", "v_0001")


def test_proposals_have_no_label(tmp_path: Path) -> None:
    proposals = dataclasses.replace(example(), labels=(), label=np.full(3, -1))
    write_detections_json(tmp_path / "d.json", proposals)
    assert "label" not in (tmp_path / "d.json").read_text()
    assert_equal(read_detections_json(tmp_path / "d.json"), proposals)


def test_numbers_in_quotes_and_literals(tmp_path: Path) -> None:
    entries = [
        {"label": "a", "score": "0.5", "segment": ["0", "1"]},
        {"label": "a", "score": float("nan"), "segment": [0, float("inf")]},
    ]
    found = read_detections_json(write(tmp_path, {"results": {"v": entries}}))
    np.testing.assert_array_equal(found.score, [0.5, np.nan])
    np.testing.assert_array_equal(found.end_s, [1.0, np.inf])


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ([], "video 'v', entry 1: expected an object with 'score' and 'segment'"),
        (
            {"label": "a", "segment": [0, 1]},
            r"entry 1: key 'score' is missing; found keys \['label', 'segment'\]",
        ),
        ({"label": "a", "score": 1}, "entry 1: key 'segment' is missing"),
        ({"label": "a", "score": None, "segment": [0, 1]}, "entry 1: 'score' must be a number, found None"),
        ({"label": "a", "score": "high", "segment": [0, 1]}, "'score' must be a number, found 'high'"),
        ({"label": 3, "score": 1, "segment": [0, 1]}, "entry 1: 'label' must be text, found 3"),
        ({"label": "a", "score": 1, "segment": [0, 1, 2]}, r"entry 1: 'segment' must be \[start, end\]"),
    ],
)
def test_detection_messages(tmp_path: Path, entry: Any, message: str) -> None:
    good = {"label": "a", "score": 1, "segment": [0, 1]}
    with pytest.raises(InputError, match=message):
        read_detections_json(write(tmp_path, {"results": {"v": [good, entry]}}))


def test_all_errors_are_listed(tmp_path: Path) -> None:
    bad = [{"label": 3, "score": "x", "segment": [0, 1]}, {"score": float("nan"), "segment": [0, 1]}, 7]
    with pytest.raises(InputError) as caught:
        read_detections_json(write(tmp_path, {"results": {"v": bad, "w": 3}}))
    first, *lines = str(caught.value).splitlines()
    assert first.endswith("predictions.json: 5 errors:")
    assert [line.split(": ")[0].strip() for line in lines] == [
        *("video 'v', entry 0", "video 'v', entry 0", "video 'v', entry 1", "video 'v', entry 2", "video 'w'")
    ]
    with pytest.raises(
        InputError, match=r"(?s)predictions.json: 60 errors; the first 20:(\n  video[^\n]*){20}$"
    ):
        read_detections_json(write(tmp_path, {"results": {"v": bad[:1] * 30}}))


def test_both_ways_of_reading_agree(tmp_path: Path) -> None:
    """A number in quotes sends the whole file the careful way."""
    entries = [
        {"verb": n % 3, "noun": n, "action": f"{n % 2}, {n}", "score": n / 7, "segment": [n, n + 1]}
        for n in range(20)
    ]
    content = {**EK100_HEADER, "results": {"P01_01": entries[:12], "empty": [], "P02_01": entries[12:]}}
    quick = read_ek100_json(write(tmp_path, content))
    entries[5]["score"] = str(entries[5]["score"])
    assert_equal(read_ek100_json(write(tmp_path, content)), quick)
    mixed = [{"score": 1, "segment": [0, 1]}, {"label": "a", "score": 1, "segment": [0, 1]}]
    assert read_detections_json(write(tmp_path, {"results": {"v": mixed}})).label.tolist() == [-1, 0]
    assert len(read_detections_json(write(tmp_path, {"results": {"v": [], "w": []}}))) == 0


def test_result_messages(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected an object 'results'.*found keys \['database'\]"):
        read_detections_json(write(tmp_path, {"database": {}}))
    with pytest.raises(InputError, match="video 'v': expected a list of detections, found 3"):
        read_detections_json(write(tmp_path, {"results": {"v": 3}}))


def test_ek100_round_trip(tmp_path: Path) -> None:
    predictions = example(labels=("3,12", "3,12;5,6"))
    write_ek100_json(tmp_path / "s.json", predictions, sls_pt=2, sls_tl=3, sls_td=4)
    content = json.loads((tmp_path / "s.json").read_text())
    assert {key: content[key] for key in EK100_HEADER} == {**EK100_HEADER, "sls_td": 4}
    entry = {"verb": 3, "noun": 12, "action": "5,6", "score": 0.5, "segment": [0.1, 1 / 3]}
    assert content["results"]["a"][0] == entry
    found = read_ek100_json(tmp_path / "s.json")
    assert [found.labels[label] for label in found.label] == ["3,12;5,6", "3,12", "3,12;5,6"]
    unlabelled = dataclasses.replace(predictions, label=np.array([0, -1, 0]))
    with pytest.raises(InputError, match="row 1 has no label"):
        write_ek100_json(tmp_path / "s.json", unlabelled, sls_pt=2, sls_tl=3, sls_td=4)


@pytest.mark.parametrize("version", ["0.1", 0.2, None])
def test_ek100_version(tmp_path: Path, version: Any) -> None:
    with pytest.raises(InputError, match=r'expected "version": "0.2"'):
        read_ek100_json(write(tmp_path, {**EK100_HEADER, "version": version, "results": {}}))


def test_ek100_labels() -> None:
    for label, ids in (("0,0", (0, 0, 0)), ("96,299", (96, 299, 29099)), ("3,12;5,6", (3, 12, 1506))):
        assert split_label(label) == ids
    for label in ("97,0", "0,300", "3", "3,4,5", "3,x", "-1,2", "3,12;97,0", ""):
        with pytest.raises(InputError, match="expected 'verb,noun'"):
            split_label(label)
    assert make_label(1.0, 2, " 1 , 2 ") == "1,2"
    assert [action_name(action_id(verb, noun)) for verb, noun in ((0, 299), (96, 0))] == ["0,299", "96,0"]
    with pytest.raises(ValueError, match="'verb' must be a whole number from 0 to 96, found True"):
        make_label(True, 2, "1,2")


# Flaws of the header, or of values that no score depends on, do not hinder scoring.
READ_ALTHOUGH_INVALID = {
    *("no_challenge", "challenge_other", "no_sls_pt", "no_sls_tl", "no_sls_td"),
    *("sls_6", "sls_minus_1", "sls_string", "extra_nan_key"),
    *("segment_nan", "score_nan"),  # read as they are, refused by the evaluation
}
UNREADABLE_ALTHOUGH_VALID = {"score_null"}


def test_official_submission_checks(shared: Path, tmp_path: Path) -> None:
    cases = json.loads((shared / "golden/evaluation/ek100_submission_checks.json").read_text())
    assert len(cases) == 49
    for case in cases:
        path = write(tmp_path, case["submission"])
        accepted = case["official_validate"]["accepted"] and case["name"] not in UNREADABLE_ALTHOUGH_VALID
        if accepted or case["name"] in READ_ALTHOUGH_INVALID:
            read_ek100_json(path)
        else:
            with pytest.raises(InputError):
                read_ek100_json(path)


@pytest.mark.parametrize(
    "module",
    [
        video_datasets.annotations,
        video_datasets.formats.ek100_labels,
        runtime.errors,
        video_datasets.formats.csv_table,
        video_datasets.formats.ek100_csv,
        video_datasets.notes,
    ],
)
def test_doctests(module: Any) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


def test_concatenate_undoes_by_video() -> None:
    one = Predictions.of_video("a", [[0, 1], [2, 3]], [0.9, 0.8], [4, 2], labels=tuple("pqrst"))
    none = Predictions.of_video("b")
    other = Predictions.of_video("c", [[5, 6]], [0.7], [2], labels=tuple("pqrst"))
    joined = concatenate([one, none, other])
    assert joined.videos == ("a", "b", "c")
    assert joined.label_names == ("t", "r", "r")
    assert joined.segments_s.tolist() == [[0, 1], [2, 3], [5, 6]]
    parts = by_video(joined)
    assert list(parts) == ["a", "b", "c"]
    assert [len(part) for part in parts.values()] == [2, 0, 1]
    assert concatenate(list(parts.values())).label_names == joined.label_names


def test_rows_without_a_label_keep_none() -> None:
    joined = concatenate([Predictions.of_video("a", [[0, 1]], [1.0]), Predictions.of_video("b")])
    assert (joined.labels, joined.label.tolist(), joined.label_names) == ((), [-1], ("",))
    assert len(concatenate([])) == 0
