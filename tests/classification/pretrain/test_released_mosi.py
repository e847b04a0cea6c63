"""Released MoSI checkpoints start a finetuning: the backbone is taken whole, the head of motions is
left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from classification.finetune.train import initial_model
from pipeline.stages import load_config

CONFIG = Path(__file__).resolve().parents[3] / "configs" / "hacs_mini.yaml"


@pytest.mark.parametrize(
    ("original", "model", "width"), [("r2d3ds", "r2d3d_18", 256), ("r2p1d", "r2p1d_10", 512)]
)
def test_the_backbone_is_taken_and_the_head_of_motions_is_not(
    shared: Path, tmp_path: Path, original: str, model: str, width: int
) -> None:
    shapes = json.loads((shared / "golden/networks/keys.json").read_text())[original]["state"]
    state = {
        key: torch.rand(shape) if shape else torch.tensor(1)
        for key, shape in shapes.items()
        if not key.startswith("head.")
    }
    state |= {"head.out_joint.weight": torch.rand(9, width), "head.out_joint.bias": torch.rand(9)}
    torch.save({"epoch": 99, "model_state": state}, tmp_path / "mosi.pyth")
    words = [f"model={model}", f"finetune.init_weights={tmp_path / 'mosi.pyth'}"]
    network, new_parameters = initial_model(load_config(CONFIG, words), {"action": ("a", "b")})
    own = network.state_dict()
    backbone = {key: value for key, value in state.items() if key.startswith("backbone.")}
    assert len(backbone) > 50
    for key, value in backbone.items():
        taken = own[key]
        assert torch.equal(taken, value.to(taken.dtype).reshape(taken.shape)), key
    assert all(key.startswith("head.") for key in new_parameters)
