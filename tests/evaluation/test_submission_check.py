"""`python -m evaluation.check` and `evaluation.pack`: the official rules, stricter ones, and how
errors are told."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest

import evaluation.check
import evaluation.pack
from evaluation.check import check_content
from evaluation.files.protocols import PROTOCOLS
from video_datasets.predictions import Predictions, write_predictions

ROOT = Path(__file__).resolve().parents[2]
HEADER = {"version": "0.2", "challenge": "action_detection", "sls_pt": 2, "sls_tl": 3, "sls_td": 3}
GOOD = {"verb": 1, "noun": 2, "action": "1,2", "score": 0.5, "segment": [0.0, 2.0]}
TRUTH = (
    "video_id,start_timestamp,stop_timestamp,verb_class,noun_class\n"
    "P01_11,00:00:00.00,00:00:10.00,1,2\nP01_12,00:00:20.00,00:00:30.00,5,6\n"
)


def submission(*entries: Any, **header: Any) -> dict[str, Any]:
    return {**HEADER, **header, "results": {"P01_11": list(entries)}}


def write(folder: Path, content: Any) -> str:
    path = folder / "submission.json"
    path.write_text(json.dumps(content))
    return str(path)


def check(folder: Path, content: Any, *more: str, protocol: str = "ek100") -> int:
    return evaluation.check.main([write(folder, content), "--protocol", protocol, *more])


# The official validator lets these pass; its evaluator stops at the first, the second has no
# meaning as a score.
STRICTER = {"score_null", "score_inf"}
# Accepted officially, most likely mistakes.
SUSPICIOUS = {
    *("challenge_substring", "challenge_empty_string", "sls_fraction", "verb_float_whole", "action_spaces"),
    *("action_inconsistent", "score_string"),
}


def test_official_verdicts(shared: Path) -> None:
    cases = json.loads((shared / "golden/evaluation/ek100_submission_checks.json").read_text())
    assert len(cases) == 49
    for case in cases:
        predictions, findings = check_content(case["submission"], PROTOCOLS["ek100"].rules)
        refused = bool(findings.errors) or predictions is None or not np.isfinite(predictions.score).all()
        refused |= predictions is not None and not np.isfinite(predictions.start_s).all()
        assert refused == (not case["official_validate"]["accepted"] or case["name"] in STRICTER), case[
            "name"
        ]
        if not refused:
            assert bool(findings.warnings) == (case["name"] in SUSPICIOUS), case["name"]
        assert bool(findings.notes) == case["name"].startswith("extra_"), case["name"]


def test_a_good_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path, submission(GOOD)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("submission.json: checked by the rules of ek100")
    assert lines[1:] == ["1 predictions in 1 videos", "errors: 0", "warnings: 0", "notes: 0", "ready"]


def test_all_errors_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = submission(
        GOOD,
        {**GOOD, "verb": 97, "noun": "2", "score": None},
        {**GOOD, "action": "1,300", "segment": [1]},
        {**GOOD, "score": float("inf"), "segment": ["0", "1"]},
        3,
        {"verb": 1},
        sls_pt=6,
        challenge="action_recognition",
    )
    content["results"]["P01_12"] = "none"
    assert check(tmp_path, content) == 2
    out = capsys.readouterr().out
    for message in (
        "header: 'challenge' must be 'action_detection', found 'action_recognition'",
        "header: 'sls_pt' (supervision level of pre-training) must be a whole number from 0 to 5, found 6",
        "video 'P01_11', entry 1: 'verb' must be a whole number from 0 to 96, found 97",
        "video 'P01_11', entry 1: 'noun' must be a whole number from 0 to 299, found '2'",
        "video 'P01_11', entry 1: 'score' must be a number, found None",
        "entry 2: 'action' must have a verb from 0 to 96 and a noun from 0 to 299, found '1,300'",
        "entry 2: 'segment' must be [start, end] in seconds, found [1]",
        "entry 3: 'segment' must be two numbers without quotes, found ['0', '1']",
        "entry 3: 'score' must be finite, found inf",
        "entry 4: expected an object with 'score' and 'segment', found 3",
        "entry 5: key 'segment' is missing; found keys ['verb']",
        "entry 5: key 'noun' is missing",
        "video 'P01_12': expected a list of detections, found 'none'",
        "errors: 15\n",
        "not ready: correct the errors",
    ):
        assert message in out


def test_the_first_twenty_errors_are_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path, submission(*[{**GOOD, "verb": -1}] * 30)) == 2
    out = capsys.readouterr().out
    assert "errors: 30, the first 20\n" in out
    assert "entry 19: " in out
    assert "entry 20: " not in out
    assert check(tmp_path, submission(*[{**GOOD, "score": float("nan")}] * 30)) == 2
    out = capsys.readouterr().out
    assert "errors: 30, the first 20\n" in out
    assert "entry 19: score is nan, expected a finite number" in out


def test_warnings_and_notes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    odd = [
        {**GOOD, "action": "5,6", "note": "x"},
        {**GOOD, "segment": [5, 1], "note": "x"},
        {**GOOD, "segment": [3, 3]},
        {**GOOD, "segment": [3.0, 3], "score": 0.1},
        {**GOOD, "segment": [-1, 3]},
    ]
    assert check(tmp_path, submission(*odd, extra=1, challenge="", sls_td=True)) == 0
    out = capsys.readouterr().out
    for message in (
        "found ''; the official validator takes any part of the word",
        "(supervision level of training data) must be a whole number from 0 to 5, found True; the official",
        "1 entries: 'action' differs from 'verb,noun'; the tasks are scored apart",
        "1 of 5 predictions end before they start",
        "2 of 5 predictions have zero length",
        "1 of 5 predictions lie outside their video",
        "1 of 5 predictions repeat video, label and segment of an earlier one",
        "header: unknown keys are ignored: ['extra']",
        "2 entries: unknown key 'note' is ignored",
    ):
        assert message in out
    assert out.endswith("ready\n")


def test_units_without_ground_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(tmp_path, submission({**GOOD, "segment": [0.1, 0.9]})) == 0
    assert "times look like fractions, not seconds: no prediction ends after 1" in capsys.readouterr().out
    assert check(tmp_path, submission(*[{**GOOD, "segment": [n, 60 * n + 30]} for n in range(20)])) == 0
    assert "times look like frame numbers, not seconds: all are whole" in capsys.readouterr().out
    assert check(tmp_path, submission()) == 0
    assert "the file has no predictions at all" in capsys.readouterr().out


def test_against_the_ground_truth(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    truth = tmp_path / "truth.csv"
    truth.write_text(TRUTH)
    content = submission(GOOD, {**GOOD, "verb": 96, "action": "96,2"})
    content["results"]["P09_01"] = [GOOD]
    assert check(tmp_path, content, "--ground-truth", str(truth)) == 0
    out = capsys.readouterr().out
    assert (
        "1 predicted videos are not in the ground truth (1 predictions, all false positives): P09_01" in out
    )
    assert "1 of 2 annotated videos have no predictions: P01_12" in out
    assert "verb: 1 predictions of 1 classes without annotations are ignored: 96" in out
    assert "verb: 1 annotated classes are never predicted, their AP is 0: 5" in out
    assert [line.split() for line in out.splitlines() if line.startswith("tied")] == [
        ["tied", "scores", "2", "3", "2"]
    ]
    content["results"] = {"P09_01": [GOOD]}
    assert check(tmp_path, content, "--ground-truth", str(truth)) == 2
    assert "none of the 1 predicted videos is among the 2 of the ground truth" in capsys.readouterr().out


def test_activitynet_rules(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = {"label": "run", "score": 0.5, "segment": ["0", "10"]}
    header = {"version": "VERSION 1.3", "external_data": {}}
    assert check(tmp_path, {**header, "results": {"v": [entry]}}, protocol="activitynet") == 0
    assert "warnings: 0" in capsys.readouterr().out
    assert check(tmp_path, {"results": {"v": [entry]}}, protocol="hacs") == 0
    assert "header: external_data, version missing; scoring needs 'results' alone" in capsys.readouterr().out
    assert check(tmp_path, {"results": {"v": [{**entry, "label": 3}]}}, protocol="hacs") == 2
    assert "video 'v', entry 0: 'label' must be text, found 3" in capsys.readouterr().out


def test_columnar_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    predictions = Predictions(("v",), ("run",), *(np.array([n]) for n in (0, 0.0, 5.0, np.nan, 0)))
    write_predictions(tmp_path / "p.h5", predictions)
    assert evaluation.check.main([str(tmp_path / "p.h5"), "--protocol", "hacs"]) == 2
    assert "video 'v', entry 0: score is nan" in capsys.readouterr().out


@pytest.mark.parametrize("packed", [False, True])
def test_pack(tmp_path: Path, capsys: pytest.CaptureFixture[str], packed: bool) -> None:
    path = Path(write(tmp_path, submission(GOOD)))
    text = path.read_text()
    if packed:
        path.write_bytes(gzip.compress(text.encode()))
    assert evaluation.pack.main([str(path), "--out", str(tmp_path / "out.zip")]) == 0
    with ZipFile(tmp_path / "out.zip") as archive:
        assert archive.namelist() == ["test.json"]
        assert archive.read("test.json").decode() == text
    assert "out.zip with test.json" in capsys.readouterr().out


def test_pack_with_other_supervision_levels(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Path(write(tmp_path, submission({**GOOD, "score": 0.1 + 0.2})))
    text, out = path.read_text(), tmp_path / "out.zip"
    assert evaluation.pack.main([str(path), "--out", str(out), "--sls-pt", "0", "--sls-td", "4"]) == 0
    packed = json.loads(ZipFile(out).read("test.json"))
    assert packed == {**json.loads(text), "sls_pt": 0, "sls_td": 4}
    assert path.read_text() == text
    assert "out.zip with test.json, sls_pt 0, sls_td 4" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        evaluation.pack.main([str(path), "--out", str(tmp_path / "b.zip"), "--sls-tl", "6"])
    assert not (tmp_path / "b.zip").exists()


def test_bad_files_are_not_packed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path, submission({**GOOD, "verb": 97}))
    out = tmp_path / "out.zip"
    assert evaluation.pack.main([path, "--out", str(out)]) == 2
    assert "not packed, it has 1 errors, listed above" in capsys.readouterr().err
    columns = (np.array([n]) for n in (0, 0.0, 5.0, 1.0, 0))
    write_predictions(tmp_path / "p.h5", Predictions(("v",), ("1,2",), *columns))
    assert evaluation.pack.main([str(tmp_path / "p.h5"), "--out", str(out)]) == 2
    assert "expected the submission JSON, found HDF5" in capsys.readouterr().err
    assert evaluation.pack.main([str(tmp_path / "none.json"), "--out", str(out)]) == 2
    assert not out.exists()


@pytest.mark.parametrize("module", ["evaluation.check", "evaluation.pack"])
def test_help(module: str) -> None:
    command = [sys.executable, "-m", module, "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert f"python -m {module} submission.json" in done.stdout
