"""Golden data of the networks: what the released modules gave, and the recipe of their
parameters."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor


@pytest.fixture(scope="session")
def golden(shared: Path) -> Path:
    """Folder of the golden data of operators and networks."""
    return shared / "golden" / "networks"


@pytest.fixture(scope="session")
def golden_keys(golden: Path) -> dict[str, Any]:
    """Per network: number of parameters, and shape by key of the state dict, in the released
    order."""
    return json.loads((golden / "keys.json").read_text())


@pytest.fixture(scope="session")
def recipe() -> Callable[..., dict[str, Tensor]]:
    """The function that draws every parameter of a network from a seed and its key."""
    return _recipe


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    yield
    torch.set_num_threads(before)


def _recipe(shapes: Mapping[str, Any], seed: str, prefix: str = "") -> dict[str, Tensor]:
    return {key: torch.from_numpy(_draw(prefix + key, tuple(shape), seed)) for key, shape in shapes.items()}


def _draw(key: str, shape: tuple[int, ...], seed: str) -> np.ndarray:
    """One parameter by the rules of the golden data's README; the first rule that fits counts."""
    draws = np.random.RandomState(zlib.crc32(f"{seed}:{key}".encode()))
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    if key.endswith("running_mean"):
        values = 0.1 * draws.standard_normal(shape)
    elif key.endswith("running_var"):
        values = 1.0 + 0.5 * draws.random_sample(shape)
    elif key.endswith("bias"):
        values = 0.05 * draws.standard_normal(shape)
    elif len(shape) == 1:
        values = 1.0 + 0.1 * draws.standard_normal(shape)
        values *= 0.25 if key.endswith(".c_bn.weight") else 0.5 if key.endswith("avgpool_bn.weight") else 1.0
    elif not key.endswith(("weight", ".proj")):
        values = 0.02 * draws.standard_normal(shape)  # embeddings and tokens
    else:
        axes = list(shape)
        while len(axes) > 2 and axes[0] == 1:
            axes = axes[1:]
        values = np.sqrt(2 / np.prod(axes[1:])) * draws.standard_normal(shape)
        values *= 0.1 if "_rf.b" in key else 1.0
    return np.asarray(values, dtype=np.float32)
