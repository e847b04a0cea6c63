"""Whole files: proposals of other subsets, and videos without annotations."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from evaluation.__main__ import main
from evaluation.files.evaluate import evaluate_tables
from evaluation.files.protocols import PROTOCOLS
from evaluation.files.read import read_ground_truth
from video_datasets.annotations import AnnotationTable
from video_datasets.formats.tools.labelling import AnnotatedVideo, Bout, Labelling, Notes
from video_datasets.formats.tools.table import TOOLS, WRITERS
from video_datasets.formats.tools.tool_media import Media
from video_datasets.predictions import Predictions, select_videos, write_predictions


def table(subsets: tuple[str, ...]) -> AnnotationTable:
    """One annotation of 10 s in each video."""
    count = len(subsets)
    return AnnotationTable(
        video_ids=tuple(f"v{video}" for video in range(count)),
        subsets=subsets,
        durations_s=np.full(count, 100.0),
        video_index=np.arange(count),
        start_s=np.zeros(count),
        end_s=np.full(count, 10.0),
        labels=("3,12",) * count,
    )


def proposals(videos: tuple[str, ...], each: int) -> Predictions:
    """The best proposal of a video misses, the last one hits."""
    count = len(videos) * each
    start_s = np.tile([20.0] * (each - 1) + [0.0], len(videos))
    return Predictions(
        videos,
        (),
        video_index=np.repeat(np.arange(len(videos)), each),
        start_s=start_s,
        end_s=start_s + 10,
        score=np.tile(np.linspace(1, 0.1, each), len(videos)),
        label=np.full(count, -1),
    )


@pytest.mark.parametrize(
    ("subsets", "protocol"),
    [
        (("validation", "validation", "training", "testing"), "hacs"),
        (("", ""), "ek100"),  # the annotation file names the videos of one subset only
    ],
)
def test_proposals_of_other_subsets_are_left_out(subsets: tuple[str, ...], protocol: str) -> None:
    """All proposals of the file count in the official share: with 4 x 150 of them, AN = 100
    would keep 50 a video."""
    annotations = table(subsets)
    everything = proposals(("v0", "v1", "v2", "v3"), 150)
    alone = select_videos(everything, {"v0", "v1"})
    found, expected = (
        evaluate_tables(annotations, item, PROTOCOLS[protocol], task="proposals")
        for item in (everything, alone)
    )
    assert found.proposals is not None
    assert expected.proposals is not None
    np.testing.assert_array_equal(found.proposals.recall, expected.proposals.recall)
    assert found.notes[0] == "proposals: 300 of 600 are in videos of other subsets and left out"
    assert expected.notes == found.notes[1:]


def test_unknown_videos_count_as_in_the_official_code() -> None:
    """Where the annotations have subsets and do not name a video, it is not known to be of
    another one."""
    annotations = table(("validation", "validation"))
    everything = proposals(("v0", "v1", "x", "y"), 100)
    found, alone = (
        evaluate_tables(annotations, item, PROTOCOLS["hacs"], task="proposals")
        for item in (everything, select_videos(everything, {"v0", "v1"}))
    )
    assert found.proposals is not None
    assert alone.proposals is not None
    assert found.proposals.average_recall[-1] == 0.0  # 50 of the 100 of each video are kept
    assert alone.proposals.average_recall[-1] == 1.0
    assert found.files["proposals"].unknown_videos == ("x", "y")


def test_command_and_run_agree(tmp_path: Path) -> None:
    """What a run writes for validation and testing videos scores as its validation part does."""
    truth = {
        f"v{video}": {
            "subset": subset,
            "annotations": [{"label": "a", "segment": [0, 10]}] if subset == "validation" else [],
        }
        for video, subset in enumerate(["validation", "testing"])
    }
    (tmp_path / "truth.json").write_text(json.dumps({"database": truth}))
    everything = proposals(("v0", "v1"), 150)
    areas = []
    for name, item in {"all": everything, "part": select_videos(everything, {"v0"})}.items():
        write_predictions(tmp_path / f"{name}.h5", item)
        options = ["--ground-truth", str(tmp_path / "truth.json"), "--json", str(tmp_path / "m.json")]
        options += ["--predictions", str(tmp_path / f"{name}.h5"), "--task", "proposals"]
        assert main(["--protocol", "hacs", *options]) == 0
        areas.append(json.loads((tmp_path / "m.json").read_text())["AR"])
    assert areas[0] == areas[1]


def test_videos_without_annotations_are_not_taken_for_others() -> None:
    """The number of a last video without annotations must not run into the videos of the next
    class."""
    annotations = AnnotationTable(
        video_ids=("first", "last"),
        subsets=("validation", "validation"),
        durations_s=np.array([20.0, 20.0]),
        video_index=np.array([0, 0]),
        start_s=np.array([0.0, 0.0]),
        end_s=np.array([10.0, 10.0]),
        labels=("a", "b"),
    )
    # Both are of class a; the one in "last" would hit the annotation of b in "first".
    columns = ([1, 0], [0.0, 0.0], [10.0, 10.0], [0.9, 0.8], [0, 0])
    found = Predictions(("first", "last"), ("a",), *map(np.array, columns))
    scored = evaluate_tables(annotations, found, PROTOCOLS["hacs"]).detection["action"]
    assert scored.true_positive_counts[:, 0].tolist() == [1, 0]
    assert scored.ap[:, 0].tolist() == [0.5, 0.0]


@pytest.mark.parametrize("tool", ["boris", "elan", "csv"])
def test_files_of_labelling_tools_are_ground_truth_as_they_are(tool: str, tmp_path: Path) -> None:
    bouts = (Bout(1.0, 2.5, "run"), Bout(4.0, 5.0, "sit"))
    videos = [AnnotatedVideo(name, bouts, subset="validation", duration_s=9.0) for name in "ab"]
    labelling = Labelling(tuple(videos), ("run", "sit"))
    path = tmp_path / f"labels{TOOLS[tool].suffix}"
    WRITERS[tool](path, labelling, Media(), Notes())
    found = read_ground_truth(path, PROTOCOLS["hacs"])
    assert (found.video_ids, found.subsets) == (("a", "b"), ("validation",) * 2)
    assert (
        list(zip(found.start_s, found.end_s, found.labels, strict=True))
        == [
            (1.0, 2.5, "run"),
            (4.0, 5.0, "sit"),
        ]
        * 2
    )
