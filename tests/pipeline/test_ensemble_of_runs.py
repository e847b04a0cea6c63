"""`python -m classification.ensemble` on runs and files."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from classification.ensemble.__main__ import main
from evaluation.__main__ import main as evaluate
from video_datasets.predictions import read_predictions


@pytest.mark.parametrize("average", ["classes", "detections"])
def test_a_run_with_itself_has_its_own_figures(
    average: str, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, figures = tmp_path / "both.h5", tmp_path / "figures.json"
    words = [str(tiny_run), str(tiny_run), "--average", average, "--out", str(out), "--json", str(figures)]
    assert main(words) == 0, capsys.readouterr().err
    found = json.loads(figures.read_text())["figures"]
    own = json.loads((tiny_run / "metrics.json").read_text())
    assert found["A"]["mAP"] == found["B"]["mAP"] == own["mAP"]
    if average == "classes":  # fusion cuts equal scores of one class in another order
        assert found["ensemble"]["mAP"] == own["mAP"]
    assert len(read_predictions(out))
    assert "A  weight 0.500" in capsys.readouterr().out


def test_classes_are_the_mean_of_both_runs(tiny_run: Path, tmp_path: Path) -> None:
    """Weighted 3 to 1, against the probabilities of each run taken alone."""
    from classification.ensemble.classes import mean_labeller, open_label_video, run_config
    from video_datasets.dataset import load_dataset

    other = tmp_path / "other"
    shutil.copytree(tiny_run, other)
    config = other / "config.yaml"
    config.write_text(config.read_text().replace("top_proposals: 3", "top_proposals: 1"))
    dataset = load_dataset(run_config(tiny_run).data, for_training=False)
    members = [open_label_video(run, dataset) for run in (tiny_run, other)]
    assert [member.config.top_proposals for member in members] == [3, 1]
    proposals = read_predictions(tiny_run / "proposals/proposals.h5")
    video_id = proposals.videos[0]
    segments = proposals.segments_s[proposals.video_index == 0]
    told = [member.source(video_id, segments)["action"] for member in members]
    mean = mean_labeller(members, np.array([0.75, 0.25])).source(video_id, segments)["action"]
    np.testing.assert_allclose(mean, 0.75 * told[0] + 0.25 * told[1])


def test_files_need_a_ground_truth_and_give_what_evaluation_takes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = tmp_path / "truth.csv"
    truth.write_text("video,start_s,end_s,label,subset\nv,0,10,run,validation\nv,20,30,sit,validation\n")
    for name, rows in {"a": "v,0,10,run,0.9\nv,21,30,sit,0.2\n", "b": "v,0,9,run,0.5\n"}.items():
        (tmp_path / f"{name}.csv").write_text(f"video,start_s,end_s,label,score\n{rows}")
    files = [str(tmp_path / f"{name}.csv") for name in "ab"]
    assert main([*files, "--average", "detections"]) == 2
    assert "give --ground-truth" in capsys.readouterr().err
    out = tmp_path / "both.h5"
    words = ["--average", "detections", "--protocol", "hacs", "--ground-truth", str(truth), "--out", str(out)]
    assert main([*files, *words]) == 0, capsys.readouterr().err
    assert read_predictions(out).score.tolist() == pytest.approx([0.7, 0.1])
    assert evaluate(["--protocol", "hacs", "--ground-truth", str(truth), "--predictions", str(out)]) == 0


@pytest.mark.parametrize(
    ("asked", "findings"),
    [
        (["--protocol", "thumos"], 1),  # 0.3 to 0.7: one from 0.5
        (["--protocol", "hacs"], 2),  # 0.5 to 0.95: one from 0.725
        (["--protocol", "hacs", "--tiou", "0.3:0.1:0.7"], 1),
        (["--protocol", "thumos", "--min-tiou", "0.7"], 2),
    ],
)
def test_what_is_one_finding_follows_from_what_is_scored(
    asked: list[str], findings: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    truth = tmp_path / "truth.csv"
    truth.write_text("video,start_s,end_s,label,subset\nv,0,10,run,validation\n")
    for name, end in {"a": 10, "b": 6}.items():  # they overlap by 0.6
        (tmp_path / f"{name}.csv").write_text(f"video,start_s,end_s,label,score\nv,0,{end},run,0.8\n")
    out = tmp_path / "both.h5"
    words = [*(str(tmp_path / f"{name}.csv") for name in "ab"), "--average", "detections"]
    words += ["--ground-truth", str(truth), "--subset", "validation", "--out", str(out)]
    assert main([*words, *asked]) == 0, capsys.readouterr().err
    assert len(read_predictions(out)) == findings
    assert "one finding: tIoU of 0." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--average", "detections"], "expected 2 to 26 members, found 1"),
        (["b.json", "--average", "views", "--weights", "1"], "--weights: expected 2"),
        (["b.json", "--average", "detections", "--min-tiou", "2"], "--min-tiou: expected 0 to 1"),
        (["b.json", "--average", "classes"], "no config.yaml"),
    ],
)
def test_what_is_no_ensemble_is_refused(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["a.json", *words]) == 2
    assert message in capsys.readouterr().err
