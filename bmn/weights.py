"""The weights of BMN on disk, with all that applying them takes: sizes, time grid, windows."""

from __future__ import annotations

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

import torch

from bmn.model import BMN, load_original_weights
from bmn.settings import BmnConfig
from bmn.windows import WindowGrid, window_grid
from runtime.errors import InputError
from tadaconv.weights import refuse_not_finite
from tadaconv.weights_files import read_weights_file
from training import checkpoint
from training.batches import derived_seed
from training.fitting import fitted, weights_of
from video_datasets.time_grid import TimeGrid


@dataclass(frozen=True, kw_only=True)
class BmnSizes:
    """The arguments of `BMN`, but for the channels of its input, which the features give."""

    tscale: int
    dscale: int
    num_samples: int
    num_samples_per_bin: int
    boundary_ratio: float
    hidden_1d: int
    hidden_2d: int
    hidden_3d: int

    @classmethod
    def from_config(cls, config: BmnConfig) -> BmnSizes:
        """Return the sizes in section `bmn`."""
        return cls(**{field.name: getattr(config, field.name) for field in fields(cls)})


class TrainedBmn(NamedTuple):
    """A BMN as a run left it."""

    model: BMN
    """In eval mode, on the CPU."""
    grid: TimeGrid
    """Of the features that it was trained on."""
    windows: WindowGrid | None
    """None: it sees whole videos, rescaled to `model.tscale` cells."""


def initial_bmn(in_channels: int, config: BmnConfig, seed: int) -> BMN:
    """Return the network that training starts from: random from the seed, or with
    `bmn.init_weights`.

    Raises:
        InputError: if the weights are missing, damaged, or those of another network or other sizes.
    """
    torch.manual_seed(derived_seed(seed, 0))
    model = build_bmn(in_channels, BmnSizes.from_config(config))
    if config.init_weights:
        path = Path(config.init_weights)
        try:
            content = read_weights_file(path)
            if "architecture" in content:  # of a run
                _refuse_other_sizes(content["architecture"], _architecture(model, config))
                refuse_not_finite(content["model"], str(path))
                model.load_state_dict(content["model"])
            else:
                load_original_weights(model, path)
        except (FileNotFoundError, ValueError, RuntimeError) as error:
            raise InputError(
                f"bmn.init_weights: {path} does not fit the features and the sizes in section `bmn`: {error}"
            ) from error
    return model


def build_bmn(in_channels: int, sizes: BmnSizes) -> BMN:
    """Return a BMN of some sizes."""
    return BMN(in_channels, **vars(sizes))


def save_bmn(path: Path, model: BMN, config: BmnConfig, grid: TimeGrid, resolved: dict[str, Any]) -> None:
    """Write the weights with sizes, grid, windows and the run's resolved configuration; whole or
    not at all."""
    windows = window_grid(config, grid)
    content = {
        "model": model.state_dict(),
        "architecture": _architecture(model, config),
        "grid": grid.to_dict(),
        "windows": windows and {"step_cells": windows.step_cells, "cell_features": windows.cell_features},
        "config": resolved,
    }
    checkpoint.save(path, content)


def load_bmn(path: Path) -> TrainedBmn:
    """Read what `save_bmn` wrote.

    Raises:
        InputError: if the file is missing or damaged.
    """
    content = checkpoint.load(path)
    with weights_of(path, "BMN's weights as its training leaves them"):
        model = fitted(lambda: BMN(**content["architecture"]), content["model"])
        grid = TimeGrid.from_dict(content["grid"])
        windows = content["windows"] and WindowGrid(grid=grid, tscale=model.tscale, **content["windows"])
    return TrainedBmn(model.eval(), grid, windows)


def _refuse_other_sizes(found: dict[str, Any], wanted: dict[str, Any]) -> None:
    """Some sizes, the map's among them, shape no parameter: such weights would load, for other
    segments."""
    different = [
        f"{key}={found.get(key)} (here: {value})" for key, value in wanted.items() if found.get(key) != value
    ]
    if different:
        raise ValueError(f"it was trained with {', '.join(different)}")


def _architecture(model: BMN, config: BmnConfig) -> dict[str, Any]:
    return {"in_channels": model.in_channels, **vars(BmnSizes.from_config(config))}
