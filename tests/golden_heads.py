"""Golden data of the one-stage networks: inputs and outputs of the original code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Golden:
    """One small network of the original code with its inputs and outputs."""

    settings: dict[str, Any]
    arrays: dict[str, np.ndarray]
    smoothing: float
    first_normalizer: float

    @property
    def weights(self) -> dict[str, Tensor]:
        return {
            name[2:]: torch.from_numpy(value) for name, value in self.arrays.items() if name.startswith("w:")
        }

    @property
    def batch(self) -> tuple[Tensor, Tensor]:
        """Features (B, C, T) and validity (B, T)."""
        return torch.from_numpy(self.arrays["x"]), torch.from_numpy(self.arrays["mask"])[:, 0]

    def levels(self, name: str) -> list[np.ndarray]:
        """Values of every level."""
        return [self.arrays[f"{name}{level}"] for level in range(len(self.settings["regression_range"]))]
