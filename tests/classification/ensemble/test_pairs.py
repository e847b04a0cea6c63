"""A head of verbs and one of nouns as one: against plain loops over points, and as two whole runs."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch

from classification.ensemble.__main__ import main
from evaluation.__main__ import main as evaluate
from feature_extraction import FeatureStore
from feature_extraction.store import merge_features, write_video_features
from one_stage.architecture import Architecture, Kind
from one_stage.head import OneStageHead
from one_stage.network import OneStageNetwork, Outputs
from one_stage.pair import HeadPair
from one_stage.settings import OneStageConfig
from one_stage.weights import TrainedOneStage
from runtime.config import load_config
from runtime.errors import InputError
from tests.stages import stage_of_run
from video_datasets.dataset import load_dataset
from video_datasets.time_grid import TimeGrid

GRID = TimeGrid(fps=30, stride_frames=15)
COUNT = 21
CONFIG = Path(__file__).resolve().parents[3] / "configs/ek100_mini.yaml"
Point = tuple[float, float, float, int]
"""Start and end in rows, score, class."""


def head(kind: Kind, task: str, classes: int, channels: int = 4, padding: str = "right") -> OneStageHead:
    """A random one of three levels."""
    torch.manual_seed(classes)
    arch = Architecture(
        kind=kind, in_channels=channels, class_towers=(classes,), channels=16, heads=2, max_length=32,
        regression_ranges=((0, 4), (4, 8), (8, 1e4)), windows=(5, 5, 5), padding=padding,
        stem_blocks=0 if kind == "temporalmaxer" else 1, bins=3 if kind == "tridet" else 0, sgp_mlp_channels=16,
    )  # fmt: skip
    network = OneStageNetwork(arch).eval()
    network.class_heads()[0].set_prior(range(classes), 0.2)
    for parameter in network.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    trained = TrainedOneStage(network, GRID, {task: tuple(f"{task}{n}" for n in range(classes))})
    config = OneStageConfig(min_score=0.05, top_candidates=7)
    return OneStageHead(trained, config, torch.device("cpu"), ())


def store(path: Path, channels: int, shift_s: float = 0.0) -> FeatureStore:
    times_s = GRID.times_s(2000)[:COUNT] + shift_s
    features = np.random.default_rng(channels).normal(size=(COUNT, channels))
    write_video_features(path, "v", features, times_s, GRID, attributes={"duration_s": 11.0})
    return FeatureStore(path)


def expected_distance(offset: torch.Tensor, around: torch.Tensor, far: range) -> float:
    """By the softmax of sums, written out."""
    weights = [math.exp(a + b) for a, b in zip(offset.tolist(), around.tolist(), strict=True)]
    return sum(weight * distance for weight, distance in zip(weights, far, strict=True)) / sum(weights)


def plain_distances(outputs: Outputs, level: int, point: int, label: int) -> tuple[float, float]:
    offsets = outputs["offsets"][level][0, :, point]
    if "start" not in outputs:
        return offsets[0].item(), offsets[1].item()
    bins = len(offsets) // 2 - 1
    start, end = (outputs[name][level][0, label] for name in ("start", "end"))
    valid = len(range(0, COUNT, 2**level))
    before = torch.tensor([start[p] if p >= 0 else 0.0 for p in range(point - bins, point + 1)])
    behind = torch.tensor([end[p] if p < valid else 0.0 for p in range(point, point + bins + 1)])
    return (
        expected_distance(offsets[: bins + 1], before, range(bins, -1, -1)),
        expected_distance(offsets[bins + 1 :], behind, range(bins + 1)),
    )


def plain_pairs(verbs: OneStageHead, nouns: OneStageHead, feats: list[torch.Tensor]) -> list[Point]:
    """Every point, the ten likeliest of each head, every pair; by loops."""
    told = []
    for each, values in zip((verbs, nouns), feats, strict=True):
        length = 32 if each.trained.network.arch.padding != "right" else COUNT
        padded = torch.zeros(1, values.shape[1], length)
        padded[0, :, :COUNT] = values.T
        with torch.no_grad():
            told.append(each.trained.network(padded, (torch.arange(length) < COUNT)[None]))
    found: list[Point] = []
    for level in range(3):
        for point in range(len(range(0, COUNT, 2**level))):
            best = [
                sorted(
                    (
                        (torch.sigmoid(value).item(), label)
                        for label, value in enumerate(own["logits"][level][0, :, point])
                    ),
                    reverse=True,
                )[:10]
                for own in told
            ]
            for (p, verb), (q, noun) in product(*best):
                if math.sqrt(p * q) <= 0.05:
                    continue
                ends = [
                    plain_distances(own, level, point, label)
                    for own, label in zip(told, (verb, noun), strict=True)
                ]
                left, right = (sum(side) / 2 for side in zip(*ends, strict=True))
                stride = 2**level
                if left + right > 0:
                    row = (
                        stride * (point - left),
                        stride * (point + right),
                        math.sqrt(p * q),
                        verb * 12 + noun,
                    )
                    found.append(row)
    return sorted(found, key=lambda row: -row[2])


@pytest.mark.parametrize(
    ("kinds", "padding"),
    [
        (("actionformer", "actionformer"), "right"),
        (("tridet", "tridet"), "right"),
        (("tridet", "temporalmaxer"), "right"),
        (("actionformer", "tridet"), "as_released"),  # one is padded to 32 rows, one not at all
    ],
)
def test_pairs_are_those_of_plain_loops(kinds: tuple[Kind, Kind], padding: str, tmp_path: Path) -> None:
    verbs, nouns = head(kinds[0], "verb", 11, 4, padding), head(kinds[1], "noun", 12, 5)
    stores = store(tmp_path / "verbs", 4), store(tmp_path / "nouns", 5)
    pair = HeadPair(verbs, nouns, *stores)
    candidates = pair.candidates("v")
    feats = [torch.from_numpy(each["v"].features) for each in stores]
    expected = plain_pairs(verbs, nouns, feats)
    times_s = stores[0].times("v")
    seconds = [(times_s[0] + 0.5 * start, times_s[0] + 0.5 * end) for start, end, *_ in expected]
    inside = [k for k, (start, end) in enumerate(seconds) if start < 11.0 and end > 0]
    assert len(candidates.scores) == len(inside) > 1000
    assert candidates.classes is not None
    ours = sorted(
        zip(
            candidates.segments[:, 0],
            candidates.segments[:, 1],
            candidates.scores,
            candidates.classes,
            strict=True,
        ),
        key=lambda row: (row[3], row[0], row[1]),
    )
    theirs = sorted(
        ((*seconds[k], *expected[k][2:]) for k in inside), key=lambda row: (row[3], row[0], row[1])
    )
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4)
    assert (np.diff(candidates.scores) <= 0).all()
    assert pair.labels[3 * 12 + 7] == "3,7"


@pytest.mark.parametrize(
    ("tasks", "message"),
    [
        (("noun", "noun"), "expected a head with one_stage.classes=verb, found one that tells noun"),
        (("verb", "verb"), "expected a head with one_stage.classes=noun, found one that tells verb"),
    ],
)
def test_other_heads_are_refused(tasks: tuple[str, str], message: str, tmp_path: Path) -> None:
    features = store(tmp_path, 4)
    verbs, nouns = (head("temporalmaxer", task, 3) for task in tasks)
    with pytest.raises(InputError, match=message):
        HeadPair(verbs, nouns, features, features)


def test_heads_that_look_at_other_times_are_refused(tmp_path: Path) -> None:
    verbs, nouns = head("temporalmaxer", "verb", 3), head("temporalmaxer", "noun", 4)
    stores = store(tmp_path / "a", 4), store(tmp_path / "b", 4, shift_s=0.1)
    with pytest.raises(InputError, match="features of other times"):
        HeadPair(verbs, nouns, *stores).candidates("v")
    sparser = replace(nouns, trained=nouns.trained._replace(grid=TimeGrid(fps=30, stride_frames=30)))
    with pytest.raises(InputError, match=r"differ in grid: .*train one of them anew"):
        HeadPair(verbs, sparser, *stores)


def test_two_runs_become_a_submission(
    tiny_ek100: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shared = [f"data.root={tiny_ek100}", "data.mini=false", "head=temporalmaxer", "runtime.threads=1",
              f"features.store={tmp_path / 'store.h5'}", "one_stage.epochs=1", "one_stage.channels=16",
              "one_stage.warmup_epochs=0", "evaluation.timelines=0", "evaluation.protocol=ek100-separate"]  # fmt: skip
    config = load_config(str(CONFIG), shared)
    for video_id, video in load_dataset(config.data, for_training=False).videos.items():
        times_s = config.grid.times_s(int(video.duration_s * 60))
        features = np.random.default_rng(0).normal(0, 0.3, (len(times_s), 8))
        write_video_features(
            tmp_path / "parts",
            video_id,
            features,
            times_s,
            config.grid,
            attributes={"duration_s": video.duration_s},
        )
    merge_features(tmp_path / "parts", tmp_path / "store.h5")
    runs = [str(tmp_path / task) for task in ("verb", "noun")]
    for task, folder in zip(("verb", "noun"), runs, strict=True):
        settings = ["--config", str(CONFIG), *shared, f"one_stage.classes={task}", f"run_dir={folder}"]
        assert [stage_of_run(stage, settings) for stage in ("feature_extraction", "one_stage")] == [0, 0]
    out, figures = tmp_path / "both.json", tmp_path / "figures.json"
    words = ["--average", "pairs", "--out", str(out), "--json", str(figures)]
    assert main([*reversed(runs), *words]) == 2
    assert "expected a head with one_stage.classes=verb, found one that tells noun" in capsys.readouterr().err
    assert main([*runs, *words]) == 0, capsys.readouterr().err
    shown = capsys.readouterr().out
    assert "verb: " in shown
    assert "action: " in shown
    content = json.loads(out.read_text())
    assert (content["sls_pt"], content["sls_tl"], content["sls_td"]) == (0, 3, 3)
    assert all(content["results"].values())
    again = tmp_path / "again.json"
    truth = str(next(tiny_ek100.rglob("EPIC_100_validation.csv*")))
    words = ["--protocol", "ek100", "--ground-truth", truth, "--predictions", str(out), "--json", str(again)]
    assert evaluate(words) == 0
    assert main([*runs, "--average", "pairs", "--subset", "testing", "--out", str(out)]) == 0
    assert "these videos have no labels" in capsys.readouterr().out
    assert json.loads(out.read_text())["results"].keys().isdisjoint(content["results"])
    told = json.loads(figures.read_text())["figures"]["ensemble"]["average_mAP"]
    assert json.loads(again.read_text())["average_mAP"] == pytest.approx(
        told, abs=1e-3
    )  # times are rounded there
