"""The weights of a one-stage head on disk, with all that applying them takes: sizes, time grid,
classes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
import yaml

from one_stage.architecture import Architecture, Kind
from one_stage.network import OneStageNetwork
from one_stage.released import from_released
from one_stage.settings import OneStageConfig
from one_stage.usable import Names
from runtime.errors import InputError
from training import checkpoint
from training.batches import derived_seed
from training.fitting import fitted, weights_of
from video_datasets.time_grid import TimeGrid

NARROWEST_RANGE, ALL = 4.0, 10000.0
"""Reach of the finest level; of the last one, whose segments may be of any length."""


class TrainedOneStage(NamedTuple):
    """A one-stage head as a run left it."""

    network: OneStageNetwork
    """In eval mode, on the CPU."""
    grid: TimeGrid
    """Of the features that it was trained on."""
    classes: Names
    """Of each tower; none for segments of any action."""


def regression_ranges(levels: int, kind: str) -> tuple[tuple[float, float], ...]:
    """Return the reach of every level in features.

    >>> regression_ranges(3, "adjacent"), regression_ranges(3, "overlapping")
    (((0.0, 4.0), (4.0, 8.0), (8.0, 10000.0)), ((0.0, 4.0), (2.0, 8.0), (4.0, 10000.0)))
    """
    divisor = 1.0 if kind == "adjacent" else 2.0
    ends = [NARROWEST_RANGE * 2**level for level in range(levels)]
    starts = [0.0, *(end / divisor for end in ends[:-1])]
    return tuple(zip(starts, [*ends[:-1], ALL], strict=True))


def configured_architecture(
    kind: str, in_channels: int, class_towers: tuple[int, ...], config: OneStageConfig
) -> Architecture:
    """Return the sizes that the settings name."""
    by_level = {"tridet": config.sgp_window}.get(kind, config.window)
    windows = (by_level,) * config.levels
    if config.last_level_sees_all and kind == "actionformer":
        windows = (*windows[:-1], -1)
    return Architecture(
        kind=cast(Kind, kind),
        in_channels=in_channels,
        class_towers=class_towers,
        channels=config.channels,
        regression_ranges=regression_ranges(config.levels, config.regression_ranges),
        stem_blocks=0 if kind == "temporalmaxer" else 2,
        head_layers=config.head_layers,
        head_kernel=config.head_kernel,
        positions=config.positions,
        max_length=config.max_length,
        heads=config.heads,
        windows=windows,
        drop_path=config.drop_path,
        dropout=config.dropout,
        input_dropout=config.input_dropout,
        neck=config.neck,
        sgp_widening=config.sgp_widening,
        sgp_mlp_channels=config.sgp_mlp_channels,
        sgp_init_std=config.sgp_init_std,
        bins=config.bins if kind == "tridet" else 0,
        boundary_kernel=config.boundary_kernel,
    )


def initial_network(
    kind: str, in_channels: int, class_towers: tuple[int, ...], config: OneStageConfig, seed: int
) -> OneStageNetwork:
    """Return the network that training starts from: random from the seed, or with
    `one_stage.init_weights`.

    Raises:
        InputError: if the weights are missing, damaged, or those of another network or other
            features.
    """
    torch.manual_seed(derived_seed(seed, 0))
    arch = configured_architecture(kind, in_channels, class_towers, config)
    if not config.init_weights:
        return OneStageNetwork(arch)
    path = Path(config.init_weights)
    content = checkpoint.load(path)
    try:
        network = _loaded(content, config)
    except (ValueError, RuntimeError, KeyError) as error:
        raise InputError(f"one_stage.init_weights: {path}: {error}") from error
    wanted = {"kind": kind, "in_channels": in_channels, "class_towers": class_towers}
    found = {name: getattr(network.arch, name) for name in wanted}
    if found != wanted:
        raise InputError(f"one_stage.init_weights: {path} is for {found}, this run needs {wanted}")
    return network


def _loaded(content: dict[str, Any], config: OneStageConfig) -> OneStageNetwork:
    if "architecture" in content:  # of a run
        return _of_a_run(content)
    if config.init_settings is None:
        raise ValueError(
            "not the weights of a run; a released checkpoint needs one_stage.init_settings=FILE, its YAML"
        )
    return from_released(read_settings(Path(config.init_settings)), content)


def _of_a_run(content: dict[str, Any]) -> OneStageNetwork:
    arch = Architecture.from_dict(content["architecture"])
    # The table of positions is no parameter.
    bare = replace(arch, positions=False)
    return fitted(lambda: OneStageNetwork(arch), content["model"], layout=lambda: OneStageNetwork(bare))


def read_settings(path: Path) -> dict[str, Any]:
    """Read the `model` section of an original's YAML, with the keys of `dataset` that belong to it.

    Raises:
        ValueError: if there is no such section.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(f"one_stage.init_settings: {path}: {error}") from error
    if not isinstance(content, dict) or not isinstance(content.get("model", content), dict):
        raise ValueError(f"one_stage.init_settings: {path}: expected a YAML with a section `model`")
    shared = {key: content.get("dataset", {}).get(key) for key in ("max_seq_len", "input_dim", "num_classes")}
    return {key: value for key, value in shared.items() if value is not None} | content.get("model", content)


def save_one_stage(
    path: Path,
    network: OneStageNetwork,
    grid: TimeGrid,
    classes: Names,
    resolved: dict[str, Any],
) -> None:
    """Write the weights with sizes, grid, classes and the run's resolved configuration; whole or
    not at all."""
    content = {
        "model": network.state_dict(),
        "architecture": network.arch.to_dict(),
        "grid": grid.to_dict(),
        "classes": {tower: list(names) for tower, names in classes.items()},
        "config": resolved,
    }
    checkpoint.save(path, content)


def load_one_stage(path: Path) -> TrainedOneStage:
    """Read what `save_one_stage` wrote.

    Raises:
        InputError: if the file is missing or damaged.
    """
    content = checkpoint.load(path)
    with weights_of(path, "the weights of a one-stage head as its training leaves them"):
        network = _of_a_run(content)
        classes = {tower: tuple(names) for tower, names in content["classes"].items()}
        return TrainedOneStage(network.eval(), TimeGrid.from_dict(content["grid"]), classes)
