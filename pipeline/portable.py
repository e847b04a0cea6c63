"""A trained run without its folder: networks, settings, class names; what a bundle and a model
repository have in common."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from torch import Tensor

from classification.segment_classifier import FILE_NAME as CLASSIFIER_NAME
from classification.source_table import TRAINED
from proposals.heads import HEADS
from runtime.atomic import write_text
from runtime.sections import places
from training import checkpoint


def networks_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Return the networks of a run: their names -> files in the run's folder.

    Raises:
        KeyError: if the configuration names a head that there is not.
    """
    head = HEADS[config.get("head", "bmn")]  # bundles of before there was a choice
    networks = {"backbone": "finetune/weights.pt", head.stage: f"{head.stage}/{head.weights}"}
    if config["classification"]["source"] == TRAINED:
        networks["classifier"] = f"classification/{CLASSIFIER_NAME}"
    return networks


def read_networks(
    run_dir: Path, config: Mapping[str, Any]
) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Tensor]]]:
    """Return the facts and the parameters of a run's networks, each by network.

    Raises:
        InputError: if a file of weights is missing or damaged.
    """
    contents = {network: checkpoint.load(run_dir / name) for network, name in networks_of(config).items()}
    facts = {
        network: {key: value for key, value in content.items() if key not in ("model", "config")}
        for network, content in contents.items()
    }
    facts["backbone"]["name"] = portable_name(facts["backbone"]["name"])
    return facts, {network: content["model"] for network, content in contents.items()}


def without_folders(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration whose places are names alone: folders are nobody else's business."""
    portable: dict[str, Any] = json.loads(json.dumps(config))
    for place in ("run_dir", *places()):
        section, _, key = place.rpartition(".")
        named = portable.get(section, {}) if section else portable
        if named.get(key):
            named[key] = Path(named[key]).name
    return portable | {"model": portable_name(portable["model"])}


def portable_name(model: str) -> str:
    """Name a network for others: "hf:/home/me/videomae" is "hf:videomae" to them."""
    kind, colon, place = model.partition(":")
    return f"{kind}:{Path(place).name}" if colon and Path(place).is_dir() else model


def checked_index(text: str | bytes, format_name: str) -> dict[str, Any]:
    """Return the JSON that describes a portable run; not trusted.

    Args:
        text: its content.
        format_name: value of its entry "format".

    Raises:
        ValueError: if it is no JSON, of another format, incomplete, or refers to values outside.
    """
    try:
        index = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"not JSON ({error})") from error
    if not isinstance(index, dict) or index.get("format") != format_name:
        found = index.get("format") if isinstance(index, dict) else index
        raise ValueError(f"expected format {format_name!r}, found {str(found)[:80]!r}")
    if any(not isinstance(index.get(key), dict) for key in ("config", "networks")):
        raise ValueError("lacks config or networks")
    try:
        networks = networks_of(index["config"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"has no usable head or classification.source ({error})") from error
    if any(not isinstance(index["networks"].get(name), dict) for name in networks):
        raise ValueError(f"does not describe {' and '.join(networks)}")
    if "${" in json.dumps(index["config"]):
        raise ValueError("its configuration refers to values from elsewhere (${...})")
    return index


def write_run(folder: Path, index: Mapping[str, Any], states: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Make the folder that detection reads: config.yaml and the weights.

    Args:
        folder: existing and empty.
        index: of `checked_index`.
        states: network -> parameters.
    """
    write_text(folder / "config.yaml", yaml.safe_dump(index["config"], sort_keys=False, allow_unicode=True))
    for network, name in networks_of(index["config"]).items():
        content = {
            "model": dict(states.get(network, {})),
            **index["networks"][network],
            "config": index["config"],
        }
        checkpoint.save(folder / name, content)
