"""`python -m evaluation` on small hand-made files: figures, files, warnings, refusals, exit
codes."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.__main__ import main
from evaluation.files.evaluate import evaluate_tables
from evaluation.files.protocols import PROTOCOLS
from evaluation.metrics.average_recall import TOP_K
from runtime.errors import InputError
from video_datasets.formats.activitynet import read_activitynet_json
from video_datasets.formats.submission_json import read_detections_json
from video_datasets.predictions import Predictions, write_predictions

ROOT = Path(__file__).resolve().parents[2]


def annotation(label: str, *segment: Any) -> dict[str, Any]:
    return {"label": label, "segment": list(segment)}


def detection(label: str, score: Any, *segment: Any) -> dict[str, Any]:
    return {"label": label, "score": score, "segment": list(segment)}


DATABASE = {
    "v": {
        "subset": "validation",
        "duration": "60",
        "annotations": [annotation("a", 0, 10), annotation("a", 20, 30)],
    },
    "w": {"subset": "validation", "annotations": [annotation("b", 0, 5)]},
    "t": {"subset": "training", "annotations": [annotation("c", 0, 5)]},
}
# Class a: hit (tIoU 0.8), miss (video t is of another subset), hit (tIoU 0.5); class b: tIoU 1.
RESULTS = {
    "v": [detection("a", 0.9, 0, 8), detection("a", 0.7, 20, 25)],
    "t": [detection("a", 0.8, 0, 5), detection("c", 0.5, 0, 5)],
    "w": [detection("b", 0.3, 0, 5)],
}
EK100_HEADER = "video_id,start_timestamp,stop_timestamp,verb_class,noun_class\n"
EK100_TRUTH = "P01_01,00:00:00.00,00:00:10.00,3,12\nP02_01,00:00:20.00,00:00:30.00,5,12\n"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    write(tmp_path / "truth.json", {"database": DATABASE})
    write(tmp_path / "found.json", {"results": RESULTS})
    (tmp_path / "truth.csv").write_text(EK100_HEADER + EK100_TRUTH)
    return tmp_path


def write(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


def hacs(files: Path, *more: str, predictions: str = "found.json") -> int:
    paths = ["--ground-truth", str(files / "truth.json"), "--predictions", str(files / predictions)]
    return main(["--protocol", "hacs", *paths, *more])


def ek100_submission(*entries: tuple[str, int, int, str, float, float, float]) -> dict[str, Any]:
    results: dict[str, list[Any]] = {}
    for video, verb, noun, action, score, start, end in entries:
        entry = {"verb": verb, "noun": noun, "action": action, "score": score, "segment": [start, end]}
        results.setdefault(video, []).append(entry)
    return {
        "version": "0.2",
        "challenge": "action_detection",
        "sls_pt": 2,
        "sls_tl": 3,
        "sls_td": 3,
        "results": results,
    }


def test_detection_figures(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert hacs(files, "--json", str(files / "m.json"), "--per-class", str(files / "classes.csv")) == 0
    screen = capsys.readouterr()
    content = json.loads((files / "m.json").read_text())
    # a: 1/2 * 1 + 1/2 * 2/3 at 0.5; 1/2 from 0.55 to 0.8; 0 above.
    ap = [5 / 6] + [1 / 2] * 6 + [0] * 3
    assert list(content) == [
        *("protocol", "protocol_version", "task", "tiou_thresholds", "mAP", "average_mAP", "recall"),
        *("per_class", "sanity"),
    ]
    assert (content["protocol"], content["task"]) == ("hacs", "detection")
    assert content["protocol_version"] == "ActivityNet eval_detection.py 82304fa; ties: later in file first"
    assert content["tiou_thresholds"] == np.linspace(0.5, 0.95, 10).tolist()
    np.testing.assert_allclose(content["per_class"]["action"]["a"]["ap"], ap, rtol=1e-15)
    assert content["per_class"]["action"]["a"]["count"] == 2
    assert content["per_class"]["action"]["b"] == {"ap": [1.0] * 10, "recall": [1.0] * 10, "count": 1}
    # Annotations found: those of class a by 2, 1 and 0 predictions, and the one of class b.
    np.testing.assert_allclose(content["recall"]["action"], [1] + [2 / 3] * 6 + [1 / 3] * 3, rtol=1e-15)
    assert content["per_class"]["action"]["a"]["recall"] == [1.0] + [0.5] * 6 + [0.0] * 3
    np.testing.assert_allclose(content["mAP"]["action"], (np.array(ap) + 1) / 2, rtol=1e-15)
    assert content["average_mAP"]["action"] == pytest.approx((sum(ap) / 10 + 1) / 2, rel=1e-15)
    title, figures, data = screen.out.split("\n\n")
    assert title == f"hacs ({content['protocol_version']})"
    header, row, recall_header, recall = (line.split() for line in figures.splitlines())
    ticks = [f"{t:.2f}" for t in np.linspace(0.5, 0.95, 10)]
    assert header == ["mAP", "(%)", "at", "tIoU", *ticks, "average", "classes"]
    assert row == ["action", "91.67", *["75.00"] * 6, *["50.00"] * 3, "69.17", "2"]
    assert recall_header == ["recall", "(%)", "at", "tIoU", *ticks, "average", "annotations"]
    assert recall == ["action", "100.00", *["66.67"] * 6, *["33.33"] * 3, "60.00", "3"]
    assert ["unknown", "videos", "1"] in [line.split() for line in data.splitlines()]
    with (files / "classes.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["label"], row["annotations"], row["predictions"]) for row in rows] == [
        ("a", "2", "3"),
        ("b", "1", "1"),
    ]
    assert float(rows[0]["ap@0.50"]) == content["per_class"]["action"]["a"]["ap"][0]
    assert float(rows[0]["recall@0.55"]) == 0.5
    assert (rows[0]["protocol"], rows[0]["protocol_version"]) == ("hacs", content["protocol_version"])
    assert float(rows[0]["average"]) == pytest.approx(sum(ap) / 10)
    assert screen.err.splitlines()[:2] == [
        "warning: 1 predicted videos are not in the ground truth (2 predictions, all false positives): t",
        "warning: action: 1 predictions of 1 classes without annotations are ignored: c",
    ]


def test_other_subset(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert hacs(files, "--subset", "training") == 0
    assert capsys.readouterr().out.splitlines()[3].split()[-2:] == ["100.00", "1"]


def test_proposals(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert hacs(files, "--task", "proposals", "--json", str(files / "m.json")) == 0
    content = json.loads((files / "m.json").read_text())
    assert set(content["AR"]) == {"an", "recall", "average", "auc"}
    assert content["AR"]["an"] == list(range(1, 101))
    assert content["AR"]["recall"][0][-1] == 1.0
    assert content["AR"]["average"][-1] == pytest.approx((1 + 6 * 2 / 3 + 3 / 3) / 10)
    assert content["protocol_version"] == "ActivityNet eval_proposal.py 82304fa; ties: later in file first"
    assert content["top_k_recall"]["k"] == [1, 5, 10, 50, 100]
    # The best proposal of v hits the first annotation up to 0.8, that of w its only one.
    assert content["top_k_recall"]["recall"][0] == [2 / 3, 1, 1, 1, 1]
    assert content["top_k_recall"]["average"][0] == pytest.approx((7 * 2 / 3 + 3 * 1 / 3) / 10)
    title, official, top_k, _ = capsys.readouterr().out.split("\n\n")
    assert title == f"hacs ({content['protocol_version']})"
    header, first, *_, average = (line.split() for line in official.splitlines())
    assert header[-6:] == ["AR@1", "AR@5", "AR@10", "AR@50", "AR@100", "AUC"]
    assert first == ["tIoU", "0.50", *(f"{100 * content['AR']['recall'][0][n - 1]:.2f}" for n in TOP_K)]
    assert average[-2:] == ["60.00", f"{100 * content['AR']['auc']:.2f}"]
    assert top_k.splitlines()[1].split()[1] == f"{100 * content['top_k_recall']['average'][0]:.2f}"


def test_columnar_file_gives_the_same(files: Path) -> None:
    assert hacs(files, "--json", str(files / "json.json")) == 0
    write_predictions(files / "found.h5", read_detections_json(files / "found.json"))
    assert hacs(files, "--json", str(files / "h5.json"), predictions="found.h5") == 0
    assert (files / "h5.json").read_text() == (files / "json.json").read_text()


def test_ties_and_missing_videos_are_said(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(files / "found.json", {"results": {"v": [detection("a", 0.5, 0, 10), detection("a", 0.5, 40, 50)]}})
    assert hacs(files) == 0
    warnings = capsys.readouterr().err
    assert "warning: 1 of 2 annotated videos have no predictions: w\n" in warnings
    assert (
        "warning: action: 2 of 2 scores are tied within their class; ties rank later in the file first"
        in warnings
    )
    assert hacs(files, "--task", "proposals") == 0
    assert "proposals: 2 of 2 scores are tied within their video" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("results", "message"),
    [
        (
            {"v": [detection("a", 1, 0, 1), detection("a", float("nan"), 0, 1)]},
            "video 'v', entry 1: score is nan",
        ),
        ({"w": [], "v": [detection("a", float("inf"), 0, 1)]}, "video 'v', entry 0: score is inf"),
        ({"v": [detection("a", 1, float("nan"), 1)]}, "video 'v', entry 0: start_s is nan"),
        ({"v": [detection("a", 1, 0, float("-inf"))]}, "video 'v', entry 0: end_s is -inf"),
        (
            {"v_v": [detection("a", 1, 0, 1)]},
            "none of the 1 predicted videos is among the 2 of the ground truth",
        ),
        ({}, "the file has no predictions at all"),
        ({"v": [], "w": []}, "the file has no predictions at all"),
        ({"v": [{"score": 1, "segment": [0, 1]}]}, "1 of 1 have no label, first of video 'v', entry 0"),
    ],
)
def test_bad_predictions_are_refused(
    files: Path, capsys: pytest.CaptureFixture[str], results: Any, message: str
) -> None:
    write(files / "found.json", {"results": results})
    assert hacs(files, "--json", str(files / "m.json")) == 2
    screen = capsys.readouterr()
    assert screen.err.startswith("error: predictions: ")
    assert message in screen.err
    assert screen.out == ""
    assert not (files / "m.json").exists()


def test_bad_ground_truth_is_refused(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert hacs(files, "--subset", "test") == 2
    assert "no video has subset 'test'; found: training, validation" in capsys.readouterr().err
    write(files / "truth.json", {"database": {"v": {"subset": "validation", "annotations": []}}})
    assert hacs(files) == 2
    assert "no annotations in subset 'validation'" in capsys.readouterr().err
    broken = {"v": {"subset": "validation", "annotations": [annotation("a", 0, float("nan"))]}}
    write(files / "truth.json", {"database": broken})
    assert hacs(files) == 2
    assert "ground truth: video 'v', entry 0: end_s is nan" in capsys.readouterr().err
    (files / "truth.json").unlink()
    assert hacs(files) == 2
    assert "truth.json: no such file" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give --predictions"),
        (["--predictions", "p", "--verb-predictions", "p"], "belong to --protocol ek100-separate"),
        (
            ["--predictions", "p", "--per-class", "c.csv", "--task", "proposals"],
            "--per-class needs --task detection",
        ),
        (["--predictions", "p", "--tail-verbs", "t.csv"], "are for detections of EK100"),
    ],
)
def test_options_that_do_not_go_together(
    capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    assert main(["--protocol", "hacs", "--ground-truth", "g", *options]) == 2
    assert message in capsys.readouterr().err


def test_separate_options(capsys: pytest.CaptureFixture[str]) -> None:
    start = ["--protocol", "ek100-separate", "--ground-truth", "g", "--verb-predictions", "p"]
    assert main([*start, "--predictions", "p"]) == 2
    assert "give --predictions (or," in capsys.readouterr().err
    assert main([*start, "--task", "proposals"]) == 2
    assert "--task proposals scores one file" in capsys.readouterr().err


def test_ek100_scores_the_action_that_is_claimed(files: Path) -> None:
    submission = ek100_submission(
        ("P01_01", 3, 12, "5,12", 0.9, 0, 10),  # verb and noun right, action wrong
        ("P02_01", 5, 12, "5,12", 0.8, 20, 30),
    )
    write(files / "found.json", submission)
    paths = ["--ground-truth", str(files / "truth.csv"), "--predictions", str(files / "found.json")]
    assert main(["--protocol", "ek100", *paths, "--json", str(files / "m.json")]) == 0
    content = json.loads((files / "m.json").read_text())
    assert content["average_mAP"] == {"verb": 1.0, "noun": 1.0, "action": 0.25}
    assert set(content["per_class"]["action"]) == {"3,12", "5,12"}
    assert content["per_class"]["verb"]["3"]["count"] == 1


def test_ek100_separate_files(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(files / "verbs.json", ek100_submission(("P01_01", 3, 0, "3,0", 0.9, 0, 10)))
    write(files / "nouns.json", ek100_submission(("P02_01", 0, 12, "0,12", 0.9, 20, 30)))
    start = ["--protocol", "ek100-separate", "--ground-truth", str(files / "truth.csv")]
    both = ["--verb-predictions", str(files / "verbs.json"), "--noun-predictions", str(files / "nouns.json")]
    assert main([*start, *both]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[3:5]] == ["verb", "noun"]
    assert [line.split()[-2] for line in lines[3:5]] == ["50.00", "50.00"]
    assert main([*start, *both[:2]]) == 0
    assert main([*start, "--predictions", str(files / "verbs.json")]) == 0


def test_ek100_splits(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(
        files / "found.json",
        ek100_submission(("P01_01", 3, 12, "3,12", 0.9, 0, 10), ("P02_01", 9, 9, "9,9", 1, 0, 1)),
    )
    lists = {
        "tail-verbs": "verb\n5\n",
        "tail-nouns": "noun\n7\n",
        "unseen-participants": "participant_id\nP01\n",
    }
    options = ["--json", str(files / "m.json"), "--predictions", str(files / "found.json")]
    for name, text in lists.items():
        (files / name).write_text(text)
        options += [f"--{name}", str(files / name)]
    start = ["--protocol", "ek100", "--ground-truth", str(files / "truth.csv"), *options]
    assert main(start) == 2  # noun 7 is not annotated
    assert "none of the tail classes has annotations" in capsys.readouterr().err
    (files / "tail-nouns").write_text("noun\n12\n")
    assert main(start) == 0
    splits = json.loads((files / "m.json").read_text())["splits"]
    assert splits["tail classes"]["average_mAP"] == {"verb": 0.0, "noun": 0.5, "action": 0.5}
    assert splits["unseen participants"]["average_mAP"] == {"verb": 1.0, "noun": 1.0, "action": 1.0}
    assert "mAP (%) at tIoU, unseen participants" in capsys.readouterr().out
    (files / "tail-verbs").write_text("id\n5\n")
    assert main(start) == 2
    assert "expected a CSV with values in column 'verb', found columns: id" in capsys.readouterr().err
    (files / "tail-verbs").write_text("verb\n5\n")
    (files / "unseen-participants").write_text("participant_id\nP77\n")
    assert main(start) == 2
    assert "no annotated video is of the unseen participants P77" in capsys.readouterr().err


def test_tables_api(files: Path) -> None:
    annotations = read_activitynet_json(files / "truth.json")
    predictions = read_detections_json(files / "found.json")
    with pytest.raises(
        InputError, match="task 'segmentation' is unknown; expected one of detection, proposals"
    ):
        evaluate_tables(annotations, predictions, PROTOCOLS["hacs"], task="segmentation")
    with pytest.raises(
        InputError, match="protocol hacs: expected predictions for action, found them for verb"
    ):
        evaluate_tables(annotations, {"verb": predictions}, PROTOCOLS["hacs"])
    with pytest.raises(InputError, match="proposals are scored from one file"):
        evaluate_tables(annotations, {"action": predictions}, PROTOCOLS["hacs"], task="proposals")
    with pytest.raises(InputError, match="label 'a': expected 'verb,noun'"):
        evaluate_tables(annotations, predictions, PROTOCOLS["ek100"])
    one = Predictions(("w",), ("b",), *(np.array([n]) for n in (0, 0.0, 5.0, 1.0, 0)))
    assert evaluate_tables(annotations, one, PROTOCOLS["activitynet"]).detection["action"].average_mAP == 0.5


@pytest.mark.parametrize("words", [["--config", "none.yaml", "seed=1"], ["--config=none.yaml"]])
def test_stage_is_called_with_a_config(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(words) == 2
    assert "configuration file not found: none.yaml" in capsys.readouterr().err


def run_module(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_help_has_examples() -> None:
    done = run_module("-m", "evaluation", "--help")
    assert done.returncode == 0
    in_one_line = " ".join(done.stdout.replace("\\\n", " ").split())  # long commands are broken
    assert "python -m evaluation --protocol ek100 --ground-truth EPIC_100_validation.csv" in in_one_line
    assert "exit codes: 0 done" in done.stdout


def test_bad_arguments_exit_with_2(files: Path) -> None:
    done = run_module("-m", "evaluation", "--protocol", "coco", "--ground-truth", "g")
    assert done.returncode == 2
    assert "invalid choice: 'coco'" in done.stderr


def test_neither_torch_nor_pandas_is_imported(files: Path) -> None:
    code = (
        "import sys; from evaluation.__main__ import main;"
        f"code = main(['--protocol', 'hacs', '--ground-truth', {str(files / 'truth.json')!r},"
        f" '--predictions', {str(files / 'found.json')!r}]);"
        "sys.exit(code or 10 * bool({'torch', 'pandas', 'h5py', 'multiprocessing.pool'} & set(sys.modules)))"
    )
    done = run_module("-c", code)
    assert done.returncode == 0, done.stderr


def test_a_home_that_no_shell_has_replaced_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "truth.csv").write_text("video,start_s,end_s,label,subset\na,1,2,x,validation\n")
    (tmp_path / "found.csv").write_text("video,start_s,end_s,label,score\na,1,2,x,0.5\n")
    words = ["--protocol", "hacs", "--ground-truth=~/truth.csv", "--predictions=~/found.csv"]
    assert main([*words, "--json=~/figures.json"]) == 0
    assert (tmp_path / "figures.json").is_file()
