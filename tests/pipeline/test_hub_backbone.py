"""A frozen network of a hub through every stage, detection and a bundle."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from classification.source_table import TRAINED
from feature_extraction.store import FeatureStore
from pipeline import Detector
from pipeline.bundle import bundle
from runtime.config import load_config
from tests.hub_folders import save_video_network
from tests.stages import stage_of_run

CONFIG = Path(__file__).resolve().parents[2] / "configs/hacs_mini.yaml"


def test_a_frozen_network_serves_the_whole_pipeline(
    tiny_mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    transformers = pytest.importorskip("transformers")
    save_video_network(tmp_path / "net", "videomae", transformers)
    run = tmp_path / "run"
    words = ["--config", str(CONFIG), f"data.root={tiny_mini}", "data.mini=false", f"run_dir={run}"]
    words += [f"model=hf:{tmp_path}/net", "finetune.epochs=0", "finetune.crop_px=32", "grid.clip_frames=4"]
    words += ["features.crops=centre", "features.short_side_px=32", "runtime.threads=1"]
    words += [
        "bmn.epochs=1",
        "bmn.tscale=16",
        "bmn.dscale=16",
        "bmn.hidden_1d=8",
        "bmn.hidden_2d=8",
        "bmn.hidden_3d=8",
    ]
    for stage in ("classification.finetune", "feature_extraction", "bmn", "proposals", "classification"):
        assert stage_of_run(stage, words) == 0, capsys.readouterr().err
    assert f"source={TRAINED}" in capsys.readouterr().err
    store = FeatureStore(run / "features")
    info = store.info(next(iter(store)))
    assert info.attributes["pixels"] == "mean 0.485 0.456 0.406, std 0.229 0.224 0.225"
    assert info.attributes["backbone"] == f"hf:{tmp_path}/net"
    assert stage_of_run("classification.finetune", words) == 0
    assert "complete, nothing to do" in capsys.readouterr().err

    video = next(path for path in (tiny_mini / "videos").rglob("*") if path.is_file())
    found = Detector(run, device="cpu").detect(video)
    assert bundle(run, tmp_path / "b.zip") == 0
    shutil.move(tmp_path / "net", tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="'net' is neither a folder"):
        Detector(tmp_path / "b.zip", device="cpu")
    monkeypatch.chdir(tmp_path)
    shutil.move(tmp_path / "elsewhere", tmp_path / "net")
    (tmp_path / "net" / "model.safetensors").unlink()  # the bundle has the weights
    again = Detector(tmp_path / "b.zip", device="cpu").detect(video)
    np.testing.assert_array_equal(again.scores, found.scores)
    assert str(tmp_path) not in (tmp_path / "b.zip").read_bytes().decode("latin-1")

    (tmp_path / "net" / "model.safetensors").write_bytes(b"other")
    assert stage_of_run("classification.finetune", words) == 2
    assert "model.model.safetensors was" in capsys.readouterr().err


def test_the_model_names_the_run_folder(tmp_path: Path) -> None:
    config = load_config(CONFIG, ["model=hf:some/folder/videomae-base"])
    assert config.run_dir == "runs/hacs_mini-hf-videomae-base"
    assert load_config(CONFIG, ["model=r2d_mini"]).run_dir == "runs/hacs_mini-r2d_mini"
