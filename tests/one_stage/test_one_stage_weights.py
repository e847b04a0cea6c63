"""Where training starts from: nothing, a run, or a released checkpoint with its YAML."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
import yaml

from one_stage import from_released
from one_stage.architecture import Architecture
from one_stage.settings import OneStageConfig
from one_stage.weights import initial_network, load_one_stage, save_one_stage
from runtime.errors import InputError
from tests.golden_heads import Golden
from video_datasets.time_grid import TimeGrid

GRID = TimeGrid(fps=30, stride_frames=16)
SHARED_KEYS = ("max_seq_len", "input_dim", "num_classes")


@pytest.fixture
def released(golden: Golden, tmp_path: Path) -> OneStageConfig:
    """A checkpoint and the YAML of its training, as their authors publish them."""
    weights = {f"module.{name}": value for name, value in golden.weights.items()}
    torch.save({"epoch": 9, "state_dict": weights, "state_dict_ema": weights}, tmp_path / "epoch_009.pth.tar")
    settings = {
        "dataset": {key: golden.settings[key] for key in SHARED_KEYS},
        "model": {key: value for key, value in golden.settings.items() if key not in SHARED_KEYS},
    }
    (tmp_path / "theirs.yaml").write_text(yaml.safe_dump(settings))
    return OneStageConfig(
        init_weights=str(tmp_path / "epoch_009.pth.tar"),
        init_settings=str(tmp_path / "theirs.yaml"),
        epochs=0,
    )


def test_released_weights_are_used_as_they_are(
    golden: Golden, released: OneStageConfig, tmp_path: Path
) -> None:
    channels, classes = golden.settings["input_dim"], golden.settings["num_classes"]
    kind = "tridet" if golden.settings["backbone_type"] == "SGP" else "actionformer"
    network = initial_network(kind, channels, (classes,), released, seed=0).eval()
    names = {"action": tuple(f"class {number}" for number in range(classes))}
    save_one_stage(tmp_path / "weights.pt", network, GRID, names, {})
    trained = load_one_stage(tmp_path / "weights.pt")
    assert (trained.grid, trained.classes) == (GRID, names)
    expected = from_released(golden.settings, golden.weights)
    with torch.no_grad():
        found, wanted = trained.network(*golden.batch), expected(*golden.batch)
    assert all(torch.equal(a, b) for name in wanted for a, b in zip(found[name], wanted[name], strict=True))


def test_weights_of_other_features_or_without_settings_are_refused(
    golden: Golden, released: OneStageConfig
) -> None:
    classes = golden.settings["num_classes"]
    kind = "tridet" if golden.settings["backbone_type"] == "SGP" else "actionformer"
    with pytest.raises(InputError, match=r"one_stage\.init_weights: .* this run needs .*'in_channels': 7"):
        initial_network(kind, 7, (classes,), released, seed=0)
    alone = OneStageConfig(init_weights=released.init_weights, epochs=0)
    with pytest.raises(InputError, match=r"needs one_stage\.init_settings=FILE, its YAML"):
        initial_network(kind, golden.settings["input_dim"], (classes,), alone, seed=0)


@pytest.mark.parametrize("change", [{"head_layers": 10**9}, {"stem_blocks": -1}, {"max_length": 10**9}])
def test_sizes_without_measure_are_refused(change: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        Architecture(kind="tridet", in_channels=4, class_towers=(3,), **change)  # type: ignore[arg-type]
