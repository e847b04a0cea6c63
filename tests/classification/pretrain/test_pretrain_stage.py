"""The stage `pretrain` in a run: its weights start the finetuning, and a run without it does not
have it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from classification.pretrain.__main__ import main
from pipeline.stages import load_config, stages_of
from tests.stages import stage_of_run

ROOT = Path(__file__).resolve().parents[3]
WORDS = (
    "pretrain.epochs=1",
    "pretrain.warmup_epochs=0",
    "pretrain.picture_px=48",
    "pretrain.window_px=32",
    "pretrain.num_frames=4",
    "pretrain.batch_size=8",
    "finetune.init_weights=pretrain",
    "finetune.epochs=1",
    "finetune.warmup_epochs=0",
    "finetune.clips_per_segment=1",
    "finetune.learning_rate=1e-9",
    "finetune.weight_decay=0",
)


def test_its_weights_start_the_finetuning(
    tiny_mini: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--config", str(ROOT / "configs/hacs_mini.yaml"), *WORDS]
    words += [f"data.root={tiny_mini}", f"run_dir={tmp_path / 'run'}"]
    assert stage_of_run("classification.finetune", words) == 2
    assert "run `python -m classification.pretrain`" in capsys.readouterr().err
    assert stage_of_run("classification.pretrain", words) == 0
    assert stage_of_run("classification.finetune", words) == 0
    before = torch.load(tmp_path / "run/pretrain/weights.pt", weights_only=True)["model"]
    after = torch.load(tmp_path / "run/finetune/weights.pt", weights_only=True)["model"]
    assert not any(key.startswith("head.") for key in before)
    weights = [key for key in before if key.endswith("weight") and before[key].ndim > 3]
    assert weights
    assert all(torch.allclose(before[key], after[key].float(), atol=1e-5) for key in weights)
    record = json.loads((tmp_path / "run/finetune/stage.json").read_text())
    assert "stage.pretrain" in record["fingerprint_parts"]


def test_a_run_has_the_stage_only_where_it_is_asked_for() -> None:
    config = ROOT / "configs/own_pretrain.yaml"
    names = [spec.name for spec in stages_of(load_config(config))]
    assert names[:2] == ["pretrain", "finetune"]
    without = stages_of(load_config(config, ["finetune.init_weights=null"]))
    assert "pretrain" not in [spec.name for spec in without]


def test_a_folder_without_pictures_is_refused(
    tiny_mini: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--config", str(ROOT / "configs/hacs_mini.yaml"), f"data.root={tiny_mini}"]
    words += [f"run_dir={tmp_path / 'run'}", f"pretrain.pictures={tmp_path}"]
    assert stage_of_run("classification.pretrain", words) == 2
    assert f"{tmp_path}: no image or video below it" in capsys.readouterr().err


def test_its_own_command_takes_where_the_videos_lie(tiny_mini: Path, tmp_path: Path) -> None:
    config = tmp_path / "own.yaml"
    config.write_text("model: tada2d_mini\nfinetune: {init_weights: pretrain}\n", encoding="utf-8")
    words = [word for word in WORDS if word.startswith("pretrain.")]
    words += [f"data.root={tiny_mini}", "data.videos=videos", f"run_dir={tmp_path / 'run'}"]
    assert main(["--config", str(config), *words]) == 0
    assert (tmp_path / "run/pretrain/weights.pt").is_file()
