"""One tiny trained run for all tests of this floor, a two-head run of random weights, and a
browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from bmn.weights import BmnSizes, build_bmn, save_bmn
from feature_extraction.backbone import head_sizes, save_backbone
from pipeline.stages import load_config
from runtime.config import config_to_dict, config_to_yaml
from tadaconv import create_model
from tests.stages import stage_of_run

ROOT = Path(__file__).resolve().parents[2]
STAGES = (
    "classification.finetune",
    "feature_extraction",
    "bmn",
    "proposals",
    "classification",
    "evaluation",
)
SETTINGS = (
    "data.mini=false",
    "finetune.epochs=2",
    "finetune.batch_size=8",
    "finetune.clips_per_segment=1",
    "finetune.validate_every_epochs=2",
    "bmn.epochs=2",
    "bmn.tscale=16",
    "bmn.dscale=16",
    "bmn.hidden_1d=8",
    "bmn.hidden_2d=8",
    "bmn.hidden_3d=8",
    "evaluation.timelines=0",
    "runtime.threads=1",
)
NASTY_HEADS = {
    "verb": tuple("<script>alert(1)</script>" if n == 0 else f"verb{n}" for n in range(97)),
    "noun": tuple(f"noun{n}" for n in range(300)),
}


@pytest.fixture(scope="session")
def tiny_run(tiny_mini: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a run with all stages complete, on the tiny data; not to be changed."""
    run_dir = tmp_path_factory.mktemp("tiny_run") / "tiny"
    words = ["--config", str(ROOT / "configs/hacs_mini.yaml"), *SETTINGS]
    words += [f"data.root={tiny_mini}", f"run_dir={run_dir}"]
    for stage in STAGES:
        assert stage_of_run(stage, words) == 0
    return run_dir


def craft_run(run_dir: Path, *words: str, heads: dict[str, tuple[str, ...]]) -> Path:
    """Write what detection needs of a run, with random weights."""
    config = load_config(ROOT / "configs/ek100_mini.yaml", [f"run_dir={run_dir}", *words])
    torch.manual_seed(0)
    run_dir.mkdir(parents=True)
    (run_dir / "config.yaml").write_text(config_to_yaml(config))
    model = create_model(config.model, num_classes=head_sizes(heads))
    save_backbone(run_dir / "finetune/weights.pt", model, config.model, heads, config_to_dict(config))
    bmn = build_bmn(int(model.num_features), BmnSizes.from_config(config.bmn))
    grid = config.grid
    save_bmn(run_dir / "bmn/weights.pt", bmn, config.bmn, grid, config_to_dict(config))
    return run_dir


SMALL_BMN = ("bmn.hidden_1d=8", "bmn.hidden_2d=8", "bmn.hidden_3d=8")


@pytest.fixture(scope="session")
def two_head_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What detection needs of an EPIC-KITCHENS-100 run: random weights, windows of 16 cells of 2
    features."""
    windows = ("bmn.mode=windows", "bmn.tscale=16", "bmn.dscale=8", "bmn.window_step_cells=8")
    folder = tmp_path_factory.mktemp("two_head") / "ek"
    words = (*windows, *SMALL_BMN, "classification.source=features")
    return craft_run(folder, *words, heads=NASTY_HEADS)


@pytest.fixture(scope="session")
def make_run() -> Callable[..., Path]:
    """`craft_run` as a fixture."""
    return craft_run
