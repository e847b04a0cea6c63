"""Outputs of the original networks, read once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.golden_heads import Golden


@pytest.fixture(scope="session", params=["actionformer_a", "actionformer_b", "tridet_a", "tridet_b"])
def golden(request: pytest.FixtureRequest, shared: Path) -> Golden:
    """Each of the four networks in turn."""
    path = shared / "golden/heads" / f"{request.param}.npz"
    if not path.is_file():
        pytest.skip(f"golden data not found at {path}")
    with np.load(path) as file:
        arrays = dict(file)
    smoothing, first = (0.1, 100.0) if request.param.endswith("_a") else (0.0, 250.0)
    return Golden(json.loads(path.with_suffix(".json").read_text()), arrays, smoothing, first)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Networks this small only lose by threads, and bit-equal results need a fixed number."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
