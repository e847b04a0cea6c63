"""The video model of a run, as finetuning leaves it: weights, class list, and a hash that features carry along."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from runtime.errors import InputError
from tadaconv import VideoNetwork, create_model, weights_sha256
from training import checkpoint


@dataclass(frozen=True)
class Backbone:
    """A trained video model in eval mode.

    Attributes:
        model: network with its head.
        name: for `create_model`.
        labels: class names; position = index of the logit.
        sha256: of the weights' content.
    """

    model: VideoNetwork
    name: str
    labels: tuple[str, ...]
    sha256: str


def save_backbone(
    path: Path, model: torch.nn.Module, name: str, labels: tuple[str, ...], config: dict[str, Any]
) -> None:
    """Write weights, class list and the run's configuration (a plain dict) to one file."""
    content = {"model": model.state_dict(), "name": name, "labels": list(labels), "config": config}
    checkpoint.save(path, content)


def load_backbone(path: Path) -> Backbone:
    """Read what `save_backbone` wrote.

    Raises:
        InputError: if the file is missing, damaged, or not one of ours.
    """
    content = checkpoint.load(path)
    missing = {"model", "name", "labels"} - content.keys()
    if missing:
        raise InputError(f"{path}: not the weights of a finetuning stage (no {', '.join(sorted(missing))})")
    labels = tuple(content["labels"])
    model = create_model(content["name"], num_classes=len(labels))
    model.load_state_dict(content["model"])
    return Backbone(model.eval(), content["name"], labels, weights_sha256(content["model"]))
