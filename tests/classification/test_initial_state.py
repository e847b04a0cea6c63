"""TAda2D starts as R2D with the same weights, and leaves it with the first step (paper, Section
3.2)."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from classification.finetune.train import initial_model
from pipeline.stages import load_config
from tadaconv import VideoNetwork, create_model
from training.optimizer import build_optimizer

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


def _logits(model: torch.nn.Module, clips: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        logits: torch.Tensor = model.eval()(clips)
    return logits


def _as_r2d(name: str, tada: torch.nn.Module) -> VideoNetwork:
    """R2D with the weights of a TAda2D, but for its routers and the norm of its average."""
    r2d = create_model(name, num_classes=3)
    state = tada.state_dict()
    r2d.load_state_dict({key: state[key].reshape(value.shape) for key, value in r2d.state_dict().items()})
    return r2d


@pytest.mark.parametrize("size", ["mini", pytest.param("r50", marks=pytest.mark.slow)])
def test_the_logits_are_those_of_r2d_until_the_first_step(tmp_path: Path, size: str) -> None:
    torch.manual_seed(0)
    r2d = create_model(f"r2d_{size}", num_classes=3)
    for buffer in (module for module in r2d.modules() if isinstance(module, torch.nn.BatchNorm3d)):
        torch.nn.init.uniform_(buffer.running_mean, -0.1, 0.1)  # as after training
        torch.nn.init.uniform_(buffer.running_var, 0.5, 1.5)
    torch.save(r2d.state_dict(), tmp_path / "r2d.pt")
    words = [f"model=tada2d_{size}", f"finetune.init_weights={tmp_path / 'r2d.pt'}"]
    config = load_config(CONFIGS / "hacs_mini.yaml", words)
    tada, new_parameters = initial_model(config, {"action": ("a", "b", "c")})
    assert new_parameters
    clips = torch.randn(2, 3, 4, 64, 64)
    assert torch.equal(_logits(tada, clips), _logits(r2d, clips))

    optimizer = build_optimizer(tada, config.finetune)
    loss = torch.nn.functional.cross_entropy(tada.train()(clips), torch.tensor([0, 1]))
    loss.backward()
    optimizer.step()
    difference = _logits(tada, clips) - _logits(_as_r2d(f"r2d_{size}", tada), clips)
    assert difference.abs().max() > 1e-4
