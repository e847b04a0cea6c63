"""Which epoch's weights finetuning hands on."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from classification.finetune.__main__ import main
from classification.finetune.train import FinetuneTask
from runtime.exit_codes import EXIT_BAD_INPUT, EXIT_DONE
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
    assert main(["--config", str(CONFIG), *SETTINGS, *words]) == EXIT_DONE
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
    assert main(["--config", str(CONFIG), *SETTINGS, *words, subset]) == EXIT_BAD_INPUT
    assert "finetune.weights=best needs labelled segments" in capsys.readouterr().err
