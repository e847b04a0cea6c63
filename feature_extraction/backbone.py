"""The video model that features come from: as finetuning leaves it, from a file of weights or a
hub, or with random ones."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from runtime.errors import InputError
from runtime.fingerprint import file_sha256
from tadaconv import VideoNetwork, create_model, load_weights, weights_sha256
from tadaconv.hub.folder import WEIGHTS
from tadaconv.hub.images import TimmSpec
from tadaconv.hub.video import TransformersSpec
from tadaconv.inputs import NetworkInput
from tadaconv.registry import spec_of
from tadaconv.weights_files import read_weights_file
from training import checkpoint
from training.fitting import fitted, weights_of

RANDOM_WEIGHTS = "random"
"""What features of a network without weights say under `weights`."""

_OF_FINETUNING = {"model", "name", "heads"}
_OF_EARLIER_FILES = {"mean": NetworkInput().mean, "std": NetworkInput().std}
"""Files that do not tell their pixels are of a time when all networks saw TAda2D's."""
_MAX_INPUT = 4096
"""Frames or pixels of a clip, in files that may come from anybody (bundles): no memory is taken
for more."""


@dataclass(frozen=True)
class Backbone:
    """A video model in eval mode.

    Attributes:
        model: network with its head.
        name: for `create_model`.
        heads: head -> class names, their position = index of the logit: {"action": ...}, or
            {"verb": ..., "noun":
            ...}; empty where only finetuning would know.
        sha256: of the weights' content.
        weights: name of the file, of the network in its hub, or `RANDOM_WEIGHTS`.
        file_sha256: of that file; empty for random weights.
    """

    model: VideoNetwork
    name: str
    heads: dict[str, tuple[str, ...]]
    sha256: str
    weights: str = RANDOM_WEIGHTS
    file_sha256: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """Class names of the one head "action"; none for two heads, or where only finetuning
        would know."""
        return self.heads.get("action", ())


def head_sizes(heads: Mapping[str, tuple[str, ...]]) -> int | dict[str, int]:
    """Return `num_classes` of `tadaconv.create_model` for the heads of a data set.

    >>> head_sizes({"action": ("run", "sit")}), head_sizes({"verb": ("take",), "noun": ("cup", "pan")})
    (2, {'verb': 1, 'noun': 2})
    """
    sizes = {head: len(labels) for head, labels in heads.items()}
    return sizes["action"] if set(sizes) == {"action"} else sizes


def save_backbone(
    path: Path,
    model: VideoNetwork,
    name: str,
    heads: Mapping[str, tuple[str, ...]],
    config: dict[str, Any],
) -> None:
    """Write weights, class names per head, facts of the input, and the run's configuration (a
    plain dict)."""
    named = {head: list(labels) for head, labels in heads.items()}
    facts = model.input
    content = {
        "model": model.state_dict(),
        "name": name,
        "heads": named,
        "input": {"clip": list(facts.clip), "mean": list(facts.mean), "std": list(facts.std)},
        "config": config,
    }
    checkpoint.save(path, content)


def load_backbone(path: Path) -> Backbone:
    """Read what `save_backbone` wrote.

    Raises:
        InputError: if the file is missing, damaged, or not one of ours.
    """
    return _finetuned(checkpoint.load(path), path)


def load_network(name: str, weights: Path | None, input_size: tuple[int, int, int] | None = None) -> Backbone:
    """Make a network by name, with weights from a file or random ones (of seed 0, so the same every
    time).

    Args:
        name: of the network, see `tadaconv.create_model`.
        weights: of finetuning (`weights.pt` of a run), a released checkpoint, or an image ResNet's
            state dict (`tadaconv.load_weights`; a head of other classes is left out, since features
            do without). None: random, but for networks of a hub, which have their own.
        input_size: (T, H, W) of the clips to come, for networks that are built for one size; None:
            the usual one.

    Raises:
        InputError: if there is no such network or file, or they do not fit each other.
    """
    if weights is None:
        return _as_built(name, input_size)
    try:
        content = read_weights_file(weights)
    except ValueError as error:
        raise InputError(str(error)) from error
    if content.keys() >= _OF_FINETUNING:
        backbone = _finetuned(content, weights)
        if backbone.name != name:
            raise InputError(f"{weights}: holds the weights of {backbone.name}, asked for {name}")
        return backbone
    try:
        model = create_model(name, input_size=input_size)
        load_weights(model, content, drop_mismatched_head=True)
    except ValueError as error:
        raise InputError(f"{weights}: {error}") from error
    return Backbone(
        model.eval(), name, {}, weights_sha256(model.state_dict()), weights.name, file_sha256(weights)
    )


def hub_weights(name: str) -> list[Path]:
    """Return the files of weights of a network of a hub ("hf:...", "timm:...").

    Raises:
        InputError: if there is no such network.
    """
    try:
        spec = spec_of(name)
        return sorted(spec.folder.glob(WEIGHTS)) if isinstance(spec, TransformersSpec | TimmSpec) else []
    except ValueError as error:
        raise InputError(f"model={name}: {error}") from error


def _as_built(name: str, input_size: tuple[int, int, int] | None) -> Backbone:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            model = create_model(name, input_size=input_size).eval()
        except ValueError as error:
            raise InputError(str(error)) from error
    return Backbone(model, name, {}, weights_sha256(model.state_dict()), model.weights or RANDOM_WEIGHTS)


def _finetuned(content: Mapping[str, Any], path: Path) -> Backbone:
    missing = _OF_FINETUNING - content.keys()
    if missing:
        raise InputError(f"{path}: not the weights of a finetuning stage (no {', '.join(sorted(missing))})")
    with weights_of(path, "the weights of a finetuning stage"):
        heads = {head: tuple(labels) for head, labels in content["heads"].items()}
        facts = content.get("input")
        size = None if facts is None else _size(facts)
        model = fitted(
            lambda: create_model(content["name"], head_sizes(heads), size, hub_weights=False),
            content["model"],
        )
        model.input = replace(model.input, **_OF_EARLIER_FILES if facts is None else _statistics(facts))
    sha256 = weights_sha256(content["model"])
    return Backbone(model.eval(), content["name"], heads, sha256, path.name, file_sha256(path))


def _size(facts: Mapping[str, Any]) -> tuple[int, int, int]:
    """(T, H, W) that a finetuned network was built for."""
    frames, height, width = (int(value) for value in facts["clip"])
    if not all(1 <= value <= _MAX_INPUT for value in (frames, height, width)):
        raise ValueError(f"expected clips of 1 to {_MAX_INPUT} frames and pixels, found {facts['clip']}")
    return frames, height, width


def _statistics(facts: Mapping[str, Any]) -> dict[str, tuple[float, ...]]:
    """Mean and deviation of the pixels that it was finetuned on."""
    return {name: tuple(float(value) for value in facts[name]) for name in ("mean", "std")}
