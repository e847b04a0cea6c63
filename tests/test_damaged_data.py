"""Every damaged or unusual video among good ones: the run goes on, lists what it left out and
why, and ends with 1."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from feature_extraction import FeatureStore
from tests.stages import stage_of_run

STAGES = ("classification.finetune", "feature_extraction", "bmn", "proposals", "classification")
TINY = (
    "finetune.epochs=1",
    "bmn.epochs=1",
    "bmn.tscale=16",
    "bmn.dscale=16",
    "data.mini=false",
    "runtime.threads=1",
)
UNREADABLE = {
    "cut_40pct": "cut or damaged: 21 / 79 frames decoded",
    "cut_no_index": "not a video, or damaged",
    "empty": "empty",
    "html_404": "not a video",
    "sound_only": "no video stream",
    "missing": "video file not found",
}
READABLE = ("two_frames", "vfr_slow", "trim_copy", "rotate90")


@pytest.fixture(scope="module")
def records(tiny_mini: Path, shared: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Run the stages on a data set with every bad file once for training and once for
    validation."""
    root = tmp_path_factory.mktemp("damaged")
    shutil.copytree(tiny_mini, root / "data")
    annotations = root / "data" / "HACS_segments_v1.1.1.json"
    content = json.loads(annotations.read_text())
    segment = {"label": "Rising", "segment": [0.0, 1.0]}
    for name in (*UNREADABLE, *READABLE):
        for subset in ("training", "validation"):
            video_id = f"{name}-{subset}"
            content["database"][video_id] = {"subset": subset, "annotations": [segment]}
            source = shared / "videos_bad" / f"{name}.mp4"
            if source.is_file():
                shutil.copy(source, root / "data" / "videos" / f"v_{video_id}.mp4")
    some_id = next(iter(content["database"]))
    content["database"][some_id]["duration"] = "99.0"
    annotations.write_text(json.dumps(content))

    words = [
        "--config",
        "configs/hacs_mini.yaml",
        f"data.root={root / 'data'}",
        f"run_dir={root / 'run'}",
        *TINY,
    ]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(Path(__file__).resolve().parents[1])
        codes = {name: stage_of_run(name, words) for name in STAGES}
    stages = {path.parent.name: json.loads(path.read_text()) for path in (root / "run").glob("*/stage.json")}
    return {"codes": codes, "stages": stages, "run": root / "run", "longer": some_id}


def test_the_run_goes_on_and_says_that_it_left_something_out(records: dict[str, Any]) -> None:
    assert records["codes"] == {
        "classification.finetune": 1,
        "feature_extraction": 1,
        "bmn": 1,
        "proposals": 1,
        "classification": 0,
    }


@pytest.mark.parametrize("subset", ["training", "validation"])
@pytest.mark.parametrize(("name", "reason"), UNREADABLE.items())
def test_unreadable_videos_are_listed_with_their_reason(
    records: dict[str, Any], name: str, reason: str, subset: str
) -> None:
    assert reason in records["stages"]["features"]["skipped"][f"{name}-{subset}"]
    assert reason in records["stages"]["finetune"]["skipped"][f"{name}-{subset}"]
    listed_by = "bmn" if subset == "training" else "proposals"
    assert "no features" in records["stages"][listed_by]["skipped"][f"{name}-{subset}"]


@pytest.mark.parametrize("name", READABLE)
def test_unusual_videos_have_features(records: dict[str, Any], name: str) -> None:
    record = FeatureStore(records["run"] / "features")[f"{name}-validation"]
    assert len(record.features) == len(record.times) >= 1
    assert f"{name}-validation" not in records["stages"]["features"]["skipped"]


def test_a_video_of_another_length_is_kept_and_listed(records: dict[str, Any]) -> None:
    assert records["longer"] in FeatureStore(records["run"] / "features")
    reason = records["stages"]["features"]["skipped"][records["longer"]]
    assert reason.startswith("kept, but lasts ")
    assert reason.endswith(", annotated with 99.0 s")
