"""Partly labelled videos: unknown stretches teach nothing, and detections there are neither
right nor wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from bmn.labels import boundary_labels, forget_unwatched, validity_mask
from bmn.losses import bmn_loss
from classification.training_segments import draw_training_segments
from evaluation.__main__ import main
from evaluation.files.evaluate import evaluate_tables
from evaluation.files.protocols import PROTOCOLS
from evaluation.files.watched import only_watched
from video_datasets.__main__ import describe
from video_datasets.dataset import load_dataset
from video_datasets.formats.detections_csv import read_detections_csv
from video_datasets.formats.own_csv import read_own_csv
from video_datasets.settings import DataConfig
from video_datasets.watched import lies_inside, take_stretches

LABELS = """video,start_s,end_s,label,subset
a,0,60,(watched),training
a,3,8,run,training
b,1,4,run,training
c,10,20,(watched),validation
c,40,50,(watched),validation
c,12,14,run,validation
"""


@pytest.fixture
def labels(tmp_path: Path) -> Path:
    path = tmp_path / "labels.csv"
    path.write_text(LABELS)
    return path


def test_stretches_are_no_class(labels: Path) -> None:
    (labels.parent / "videos").mkdir()
    config = DataConfig(root=str(labels.parent), format="csv", annotations=labels.name, mini=False)
    dataset = load_dataset(config)
    assert dataset.labels == ("run",)
    assert dataset.videos["a"].watched_s == ((0.0, 60.0),)
    assert dataset.videos["b"].watched_s == ()
    assert "validation: 1 videos, 0 on disk, 1 labelled segments, 1 videos partly labelled" in describe(
        dataset, config
    )
    assert [segment.label for segment in dataset.videos["c"].segments] == ["run"]


def test_a_table_without_stretches_is_returned_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "l.csv").write_text("video,start_s,end_s,label\na,3,8,run\n")
    table = read_own_csv(tmp_path / "l.csv")
    assert take_stretches(table) == (table, {})


def test_detections_outside_are_left_out(labels: Path, tmp_path: Path) -> None:
    found = tmp_path / "found.csv"
    found.write_text(
        "video,start_s,end_s,label,score\n"
        "c,25,30,run,0.9\n"  # nobody has looked
        "c,12,14,run,0.8\n"  # right
        "c,41,44,run,0.7\n"  # wrong
        "c,18,21.9,run,0.6\n"  # its middle was watched
    )
    everything = read_own_csv(labels)
    truth, predictions = only_watched(everything, read_detections_csv(found))
    assert predictions.start_s.tolist() == [12.0, 41.0, 18.0]
    scored = evaluate_tables(truth, predictions, PROTOCOLS["hacs"], subset="validation")
    assert scored.detection["action"].average_mAP == 1.0
    words = ["--protocol", "hacs", "--ground-truth", str(labels), "--predictions", str(found)]
    assert main([*words, "--json", str(tmp_path / "m.json")]) == 0
    assert json.loads((tmp_path / "m.json").read_text())["average_mAP"] == {"action": 1.0}


def test_unknown_labels_teach_nothing() -> None:
    tscale, dscale = 20, 12
    stretches = np.array([[0.0, 0.5]])
    labels = boundary_labels([[0.1, 0.35]], tscale, dscale)
    known = [torch.from_numpy(label)[None] for label in forget_unwatched(labels, stretches)]
    generator = torch.Generator().manual_seed(0)
    outputs = {
        "start": torch.rand(1, tscale, generator=generator),
        "end": torch.rand(1, tscale, generator=generator),
        "confidence_map": torch.rand(1, 2, dscale, tscale, generator=generator),
    }
    for output in outputs.values():
        output.requires_grad_()
    loss = bmn_loss(outputs, *known, generator=torch.Generator().manual_seed(1))["loss"]
    assert torch.isfinite(loss)
    loss.backward()
    half = tscale // 2
    for name in ("start", "end"):
        gradient = outputs[name].grad
        assert gradient is not None
        assert (gradient[0, half:] == 0).all()
        assert (gradient[0, :half] != 0).all()
    gradient = outputs["confidence_map"].grad
    assert gradient is not None
    ends = np.arange(dscale)[:, None] + np.arange(tscale) + 1
    unknown = torch.from_numpy((ends > half) & validity_mask(tscale, dscale))
    assert (gradient[0, :, unknown] == 0).all()
    assert (gradient[0, 1][torch.from_numpy(ends <= half)] != 0).all()


def test_what_was_watched_whole_is_labelled_as_before() -> None:
    labels = boundary_labels([[0.1, 0.35]], 20, 12)
    for stretches in (np.zeros((0, 2)), np.array([[0.0, 1.0]])):
        again = forget_unwatched(labels, stretches)
        valid = validity_mask(20, 12)
        for one, other in zip(labels[:2], again[:2], strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_array_equal(labels[2][valid], again[2][valid])


def test_background_is_drawn_where_somebody_has_looked() -> None:
    labelled_s, watched_s = np.array([[3.0, 5.0]]), np.array([[0.0, 20.0]])
    drawn = draw_training_segments(labelled_s, 100.0, np.random.default_rng(0), watched_s)
    background_s = drawn.segments_s[drawn.row < 0]
    assert len(background_s)
    assert lies_inside(background_s, watched_s).all()
