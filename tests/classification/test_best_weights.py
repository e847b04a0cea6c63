"""Which epoch's weights finetuning hands on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from classification.finetune.train import FinetuneTask
from runtime.exit_codes import EXIT_BAD_INPUT, EXIT_DONE, EXIT_SKIPPED_ITEMS
from runtime.stage import read_record
from tests.stages import stage_of_run
from training import checkpoint

CONFIG = Path(__file__).resolve().parents[2] / "configs" / "hacs_mini.yaml"
SETTINGS = (
    "data.mini=false",
    "finetune.epochs=2",
    "finetune.batch_size=8",
    "finetune.clips_per_segment=1",
    "finetune.validate_every_epochs=1",
    "runtime.threads=1",
)


@pytest.mark.parametrize("weights", ["last", "best"])
def test_last_or_best_epoch(
    weights: str, tiny_mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    accuracies = iter([0.75, 0.25])
    monkeypatch.setattr(FinetuneTask, "validate", lambda self: {"validation_accuracy": next(accuracies)})
    words = [f"data.root={tiny_mini}", f"run_dir={tmp_path}", f"finetune.weights={weights}"]
    assert stage_of_run("classification.finetune", ["--config", str(CONFIG), *SETTINGS, *words]) == EXIT_DONE
    (folder,) = tmp_path.parent.glob(f"{tmp_path.name}*/finetune")
    kept = {
        name: checkpoint.load(folder / f"{name}.pt")["model"] for name in ("weights", "best", "checkpoint")
    }
    of_best, of_last = (
        all(torch.equal(kept["weights"][key], kept[name][key]) for key in kept["weights"])
        for name in ("best", "checkpoint")
    )
    assert (of_best, of_last) == (weights == "best", weights == "last")


def test_best_needs_something_to_validate_on(
    tiny_mini: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"data.root={tiny_mini}", f"run_dir={tmp_path}", "finetune.weights=best"]
    subset = "data.validation_subset=testing"  # without labels
    assert (
        stage_of_run("classification.finetune", ["--config", str(CONFIG), *SETTINGS, *words, subset])
        == EXIT_BAD_INPUT
    )
    assert "finetune.weights=best needs labelled segments" in capsys.readouterr().err


@pytest.fixture(scope="module")
def damaged_mini(tiny_mini: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A mini data set none of whose validation videos can be decoded, and one of whose training
    videos cannot."""
    root = tmp_path_factory.mktemp("damaged") / "data"
    shutil.copytree(tiny_mini, root)
    first, *_ = _videos(root, "training")
    for path in (first, *_videos(root, "validation")):
        path.write_bytes(b"no video")
    return root


def test_without_a_validation_clip_the_last_epoch_is_kept_and_told(
    damaged_mini: Path, tiny_mini: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--config", str(CONFIG), *SETTINGS, f"run_dir={tmp_path / 'run'}", "finetune.frame_cache_step=0"]
    assert (
        stage_of_run(
            "classification.finetune", [*words, f"data.root={damaged_mini}", "finetune.weights=best"]
        )
        == EXIT_SKIPPED_ITEMS
    )
    screen = capsys.readouterr().err
    assert "warning: finetune.weights=best, but no epoch has a validation accuracy" in screen
    record = read_record(tmp_path / "run/finetune")
    assert record["summary"].endswith("; kept: the last epoch, since no validation clip could be decoded")
    weights, last = (
        checkpoint.load(tmp_path / f"run/finetune/{name}.pt")["model"] for name in ("weights", "checkpoint")
    )
    assert all(torch.equal(weights[key], last[key]) for key in last)
    (segments,) = (
        len(_annotated(damaged_mini)[path.stem[2:]]["annotations"]) for path in _damaged(damaged_mini)
    )
    assert record["counts"]["replaced_clips"] == 2 * segments > 0  # in 2 epochs

    # A test that fails leaves nothing that stands in the way of the corrected command.
    typo = [*words, f"data.root={tiny_mini}", "data.videos=nowhere"]
    assert stage_of_run("classification.finetune.test", typo) == EXIT_BAD_INPUT
    assert "8 problems, the first: " in (told := capsys.readouterr().err)
    assert "video file not found; check data.validation_subset=validation" in told
    assert "data.videos=nowhere" in told
    assert (
        stage_of_run("classification.finetune.test", [*words, f"data.root={damaged_mini}"]) == EXIT_BAD_INPUT
    )
    assert stage_of_run("classification.finetune.test", [*words, f"data.root={tiny_mini}"]) == EXIT_DONE


def _annotated(root: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((root / "HACS_segments_v1.1.1.json").read_text())["database"]
    return content


def _videos(root: Path, subset: str) -> list[Path]:
    ids = sorted(name for name, video in _annotated(root).items() if video["subset"] == subset)
    return [path for name in ids for path in (root / "videos").rglob(f"v_{name}.mp4")]


def _damaged(root: Path) -> list[Path]:
    return [path for path in _videos(root, "training") if path.read_bytes() == b"no video"]
