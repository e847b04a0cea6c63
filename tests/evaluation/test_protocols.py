"""Protocols as entries of one table: thresholds, a new one in one line, formats told by content."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation import evaluate_detections, evaluate_proposals
from evaluation.__main__ import main
from evaluation.files.evaluate import drop_other_subsets
from evaluation.files.protocols import PROTOCOLS, Protocol, protocol_named
from evaluation.metrics.thresholds import parse_tious, tiou_range
from evaluation.run import run_protocol
from evaluation.settings import EvaluationConfig
from evaluation.stage import work
from runtime.config import load_config
from runtime.errors import InputError
from runtime.sections import run_config
from runtime.stage import StageRun
from video_datasets.annotations import AnnotationTable
from video_datasets.formats.submission_json import read_detections_json
from video_datasets.predictions import Predictions, write_predictions
from video_datasets.settings import DataConfig

Writer = Callable[..., dict[str, Path]]
CSV_TRUTH = "video,start_s,end_s,label\nkitchen.mp4,0,10,cut\nkitchen.mp4,20,30,stir\n"
CSV_FOUND = (
    "video,start_s,end_s,label,score\nkitchen,0,8,cut,0.9\nkitchen,20,30,stir,0.8\nkitchen,50,60,cut,0.1\n"
)


def test_thresholds_equal_the_official_ones_in_every_bit() -> None:
    # ActivityNet eval_detection.py and ActionFormer's evaluator for THUMOS14 take numpy's linspace.
    official = {
        "0.5:0.05:0.95": np.linspace(0.5, 0.95, 10),
        "0.3:0.1:0.7": np.linspace(0.3, 0.7, 5),
        "0.1:0.1:0.5": np.linspace(0.1, 0.5, 5),
        "0.5:0.05:1": np.linspace(0.5, 1.0, 11),
    }
    for words, expected in official.items():
        assert parse_tious(words) == tuple(expected.tolist())
    assert PROTOCOLS["thumos"].tiou_thresholds == tuple(np.linspace(0.3, 0.7, 5).tolist())


@given(st.integers(1, 99), st.integers(1, 40), st.integers(0, 20))
def test_ranges_have_both_ends(first: int, step: int, steps: int) -> None:
    last = first + step * steps
    if last <= 100:
        found = tiou_range(first / 100, step / 100, last / 100)
        assert len(found) == steps + 1
        assert found[0] == first / 100
        assert found[-1] == last / 100
        assert np.allclose(np.diff(found), step / 100)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("0.3:0.7", "expected A:STEP:B such as 0.3:0.1:0.7"),  # no step
        ("half", "expected A:STEP:B"),  # no number
        ("0.3:0.15:0.7", "does not end at 0.7; the step must divide the range"),
        ("0:0.1:0.5", "0 < A <= B <= 1"),
        ("0.7:0.1:0.3", "0 < A <= B <= 1"),
        ("0.3:nan:0.7", "STEP > 0"),
    ],
)
def test_other_words_are_refused(words: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        parse_tious(words)


def test_thumos_from_python() -> None:
    truth = {"video_id": ["a"], "label": ["run"], "start_s": [0], "end_s": [10]}
    found = {"video_id": ["a"], "label": ["run"], "start_s": [0], "end_s": [5], "score": [0.9]}
    assert evaluate_detections(truth, found, protocol="thumos").mAP.tolist() == [1, 1, 1, 0, 0]
    recall = evaluate_proposals(truth, found, protocol="thumos")
    assert recall.tiou_thresholds[-1] == 1.0
    with pytest.raises(InputError, match=r"protocol 'thumbs' is unknown.*closest: thumos"):
        protocol_named("thumbs")


def test_thumos_command_takes_the_files_subset_names(tmp_path: Path, write_hacs: Writer) -> None:
    files = write_hacs(tmp_path)
    content = json.loads(files["truth"].read_text())
    for video in content["database"].values():
        video["subset"] = "Test"
    content["database"]["other"] = {"subset": "Validation", "annotations": []}
    files["truth"].write_text(json.dumps(content))
    words = ["--ground-truth", str(files["truth"]), "--predictions", str(files["found"])]
    out = tmp_path / "m.json"
    assert main(["--protocol", "thumos", *words, "--json", str(out)]) == 0
    thumos = json.loads(out.read_text())
    assert thumos["tiou_thresholds"] == np.linspace(0.3, 0.7, 5).tolist()
    assert (
        main(["--protocol", "hacs", "--tiou", "0.3:0.1:0.7", "--subset", "test", *words, "--json", str(out)])
        == 0
    )
    assert json.loads(out.read_text())["mAP"] == thumos["mAP"]


def run_folder(folder: Path, found: Path) -> None:
    for name in ("evaluation", "classification", "proposals"):
        (folder / name).mkdir(parents=True)
    shutil.copy(found, folder / "classification/detections.json")
    found_rows = read_detections_json(found)
    write_predictions(
        folder / "proposals/proposals.h5",
        replace(found_rows, labels=(), label=np.full(len(found_rows), -1)),
    )


def test_a_new_protocol_is_one_line(
    tmp_path: Path, write_hacs: Writer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        PROTOCOLS,
        "toy",
        Protocol(name="toy", class_names={"any": lambda label: "thing"}, tiou_thresholds=(0.25, 0.75)),
    )
    files = write_hacs(tmp_path)
    words = ["--ground-truth", str(files["truth"]), "--predictions", str(files["found"])]
    outputs = {name: tmp_path / f"out.{name}" for name in ("json", "report", "diagnosis")}
    options = [word for name, path in outputs.items() for word in (f"--{name}", str(path))]
    assert main(["--protocol", "toy", *words, *options]) == 0
    of_command = json.loads(outputs["json"].read_text())
    assert of_command["protocol"] == "toy"
    assert of_command["tiou_thresholds"] == [0.25, 0.75]
    assert list(of_command["per_class"]["any"]) == ["thing"]

    run_folder(tmp_path / "run", files["found"])
    data = DataConfig(root=str(tmp_path), annotations=files["truth"].name)
    config = run_config(
        run_dir=str(tmp_path / "run"), data=data, evaluation=EvaluationConfig(protocol="toy", timelines=0)
    )
    work(StageRun(config, tmp_path / "run/evaluation"))
    of_run = json.loads((tmp_path / "run/metrics.json").read_text())
    assert of_run["mAP"] == of_command["mAP"]
    assert "protocol toy" in (tmp_path / "run/evaluation/report.html").read_text(encoding="utf-8")


def test_thresholds_of_a_run(tmp_path: Path, write_hacs: Writer) -> None:
    files = write_hacs(tmp_path)
    run_folder(tmp_path / "run", files["found"])
    data = DataConfig(root=str(tmp_path), annotations=files["truth"].name)
    evaluation = EvaluationConfig(tiou="0.3:0.1:0.7", timelines=0)
    work(
        StageRun(
            run_config(run_dir=str(tmp_path / "run"), data=data, evaluation=evaluation),
            tmp_path / "run/evaluation",
        )
    )
    metrics = json.loads((tmp_path / "run/metrics.json").read_text())
    assert metrics["tiou_thresholds"] == np.linspace(0.3, 0.7, 5).tolist()
    assert len(metrics["AR"]["recall"]) == 10  # AR@AN keeps the protocol's


def test_ones_own_csv_is_a_ground_truth_and_predictions(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth, found = tmp_path / "segments", tmp_path / "found.txt"  # told by content, not by name
    truth.write_text(CSV_TRUTH)
    found.write_text(CSV_FOUND)
    out = tmp_path / "m.json"
    words = ["--protocol", "activitynet", "--ground-truth", str(truth), "--predictions", str(found)]
    assert main([*words, "--json", str(out), "--report", str(tmp_path / "page.html")]) == 0
    assert f"wrote {tmp_path / 'page.html'}" in capsys.readouterr().err
    assert json.loads(out.read_text())["average_mAP"]["action"] == pytest.approx(
        (0.7 + 1) / 2
    )  # 0.5 to 0.8, and all
    found.write_text(CSV_FOUND.replace(",0.8\n", ",high\n").replace("50,60", "x,60"))
    assert main(words) == 2
    error = capsys.readouterr().err
    assert "line 3: 'score' must be a number, found 'high'" in error
    assert "line 4: 'start_s' must be" in error


def test_formats_that_do_not_fit_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = tmp_path / "segments.csv"
    truth.write_text(CSV_TRUTH)
    (tmp_path / "found.csv").write_text(CSV_FOUND)
    words = ["--ground-truth", str(truth), "--predictions", str(tmp_path / "found.csv")]
    assert main(["--protocol", "ek100", *words]) == 2
    assert "but protocol ek100 scores EPIC_100_*.csv (verb, noun, action)" in capsys.readouterr().err
    write_predictions(tmp_path / "p.h5", Predictions((), (), *(np.zeros(0) for _ in range(5))))
    assert main(["--protocol", "hacs", "--ground-truth", str(tmp_path / "p.h5"), *words[2:]]) == 2
    assert "expected annotations as ground truth, found HDF5" in capsys.readouterr().err


def test_a_packed_submission_is_read(tmp_path: Path, write_hacs: Writer) -> None:
    files = write_hacs(tmp_path)
    with ZipFile(tmp_path / "packed.zip", "w") as archive:
        archive.write(files["found"], "test.json")
    outputs = []
    for found in (files["found"], tmp_path / "packed.zip"):
        out = tmp_path / "m.json"
        words = ["--ground-truth", str(files["truth"]), "--predictions", str(found), "--json", str(out)]
        assert main(["--protocol", "hacs", *words]) == 0
        outputs.append(out.read_bytes())
    assert outputs[0] == outputs[1]


@pytest.mark.parametrize("option", ["json", "report", "per-class", "diagnosis"])
def test_inputs_are_never_overwritten(
    tmp_path: Path, write_hacs: Writer, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    files = write_hacs(tmp_path)
    before = files["found"].read_bytes()
    (tmp_path / "link").symlink_to(files["found"])
    words = ["--ground-truth", str(files["truth"]), "--predictions", str(files["found"])]
    assert main(["--protocol", "hacs", *words, f"--{option}", str(tmp_path / "link")]) == 2
    assert "is an input of this command and would be overwritten" in capsys.readouterr().err
    assert files["found"].read_bytes() == before


def table(videos: dict[str, str]) -> AnnotationTable:
    size = len(videos)
    return AnnotationTable(
        tuple(videos),
        tuple(videos.values()),
        np.ones(size),
        np.arange(size),
        np.zeros(size),
        np.ones(size),
        ("a",) * size,
    )


@pytest.mark.parametrize(
    ("protocol", "subsets", "kept"),
    [
        ("hacs", ("validation", "testing"), {"v", "unnamed"}),  # a) another subset goes, the unnamed stays
        ("hacs", ("", ""), {"v", "t"}),  # b) no subsets: what the file does not name is of others
        ("ek100", ("validation", "testing"), {"v"}),  # a) and b)
        ("ek100", ("", ""), {"v", "t"}),
    ],
)
def test_one_rule_for_proposals_of_other_subsets(
    protocol: str, subsets: tuple[str, str], kept: set[str]
) -> None:
    annotations = table(dict(zip("vt", subsets, strict=True)))
    found = Predictions(
        ("v", "t", "unnamed"), (), np.arange(3), np.zeros(3), np.ones(3), np.ones(3), np.full(3, -1)
    )
    left, notes = drop_other_subsets(annotations, found, PROTOCOLS[protocol], "validation")
    assert set(left.videos) == kept
    assert len(notes) == 1
    assert f"proposals: {3 - len(kept)} of 3" in notes[0]


def test_entries_differ_in_name_alone_where_benchmarks_share_their_rules() -> None:
    hacs, activitynet = PROTOCOLS["hacs"], PROTOCOLS["activitynet"]
    assert replace(hacs, name="", format=activitynet.format) == replace(activitynet, name="")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("evaluation.protocol=hacks", "protocol 'hacks' is unknown.*closest: hacs"),
        ("evaluation.tiou=0.3:0.7", "expected A:STEP:B"),
    ],
)
def test_a_run_with_wrong_words_does_not_start(words: str, message: str) -> None:
    import pipeline.stages  # noqa: F401 (settings of all packages)

    with pytest.raises(InputError, match=message):
        load_config(Path(__file__).parents[2] / "configs/hacs_mini.yaml", [words])


@pytest.mark.parametrize(
    ("data_format", "words", "expected"),
    [
        ("hacs", (), "hacs"),
        ("activitynet", (), "activitynet"),
        ("ek100", (), "ek100"),
        ("csv", (), "hacs"),
        ("boris", (), "hacs"),
        ("activitynet", ("evaluation.protocol=thumos",), "thumos"),
    ],
)
def test_the_protocol_follows_the_format_unless_it_is_named(
    data_format: str, words: tuple[str, ...], expected: str
) -> None:
    from pipeline.stages import STAGES

    file = Path(__file__).parents[2] / "configs/own.yaml"
    config = load_config(file, [f"data.format={data_format}", *words])
    assert run_protocol(config).name == expected
    # A run that named it before is the same run: what counts is the protocol itself.
    named = load_config(file, [f"data.format={data_format}", f"evaluation.protocol={expected}"])
    stage = STAGES["evaluation"]
    assert stage.settings(stage.settled(config)) == stage.settings(stage.settled(named))
