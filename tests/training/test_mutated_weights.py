"""Files of weights that are damaged, renamed, of other shapes, not finite or pickles: loaded as
weights of the right network, or refused in words, in a bounded time and memory."""

from __future__ import annotations

import argparse
import copy
import pickle
import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from bmn.model import BMN
from bmn.settings import BmnConfig
from bmn.weights import initial_bmn, load_bmn, save_bmn
from classification.segment_classifier import SegmentClassifier, load_classifier, save_classifier
from feature_extraction.backbone import load_backbone, load_network, save_backbone
from one_stage.network import OneStageNetwork
from one_stage.settings import OneStageConfig
from one_stage.weights import configured_architecture, load_one_stage, save_one_stage
from tadaconv import create_model, load_weights
from tests.bounded import bounded
from video_datasets.time_grid import TimeGrid

GRID = TimeGrid(fps=30, stride_frames=16)
BMN_CONFIG = BmnConfig(tscale=8, dscale=8, hidden_1d=8, hidden_2d=4, hidden_3d=8)
SUFFIXES = (".pt", ".pth", ".pyth", ".safetensors", ".pkl", ".h5")
VALUES: tuple[Any, ...] = (
    *(None, True, -1, 0, 1, 3, 10**6, 10**9, 10**30, 0.5, -1e30, float("nan"), float("inf")),
    *("", "x", "../../etc/passwd", "tada2d_r50", [], {}, [1], [[1, 2]], {"a": 1}, {"action": []}, ["a"] * 9),
    *(torch.zeros(0), torch.zeros(3), torch.full((2, 2), float("nan")), torch.ones(4, dtype=torch.complex64)),
    *(torch.ones(2, dtype=torch.bool), torch.zeros(1).expand(10**9), torch.zeros(2, 2).to_sparse()),
)


class Harmful:
    """Unpickling it would raise SystemExit."""

    def __reduce__(self) -> tuple[object, ...]:
        return exit, (99,)


@dataclass(frozen=True)
class Source:
    """A good file's content, what writes it, and what reads it into a network."""

    content: Any
    read: Callable[[Path], torch.nn.Module]


def _own(folder: Path, save: Callable[[Path], None], read: Callable[[Path], torch.nn.Module]) -> Source:
    save(folder / "good.pt")
    return Source(torch.load(folder / "good.pt", weights_only=True), read)


def _into_mini(path: Path) -> torch.nn.Module:
    model = create_model("tada2d_mini", num_classes=4)
    load_weights(model, path, drop_mismatched_head=True)
    return model


def _sources(folder: Path) -> dict[str, Source]:
    torch.manual_seed(0)
    mini = create_model("tada2d_mini", num_classes=4)
    names = ("a", "b", "c", "d")
    config = OneStageConfig(channels=8, levels=2, sgp_mlp_channels=8)
    one_stage = OneStageNetwork(configured_architecture("tridet", 6, (3,), config))
    classes = {"action": names[:3]}

    def into_bmn(path: Path) -> torch.nn.Module:
        return initial_bmn(8, replace(BMN_CONFIG, init_weights=str(path)), 0)

    bmn = BMN(8, tscale=8, dscale=8, hidden_1d=8, hidden_2d=4, hidden_3d=8)
    return {
        "state": Source(mini.state_dict(), _into_mini),
        "released": Source({"model_state": mini.state_dict(), "cfg": "x: 1", "epoch": 3}, _into_mini),
        "with settings": Source({"model": mini.state_dict(), "args": argparse.Namespace(lr=1)}, _into_mini),
        "of a network": Source(
            {"module." + key: value for key, value in mini.state_dict().items()},
            lambda path: load_network("tada2d_mini", path).model,
        ),
        "finetuned": _own(
            folder,
            lambda path: save_backbone(path, mini, "tada2d_mini", {"action": names}, {"seed": 0}),
            lambda path: load_backbone(path).model,
        ),
        "bmn": _own(
            folder,
            lambda path: save_bmn(path, bmn, BMN_CONFIG, GRID, {"seed": 0}),
            lambda path: load_bmn(path).model,
        ),
        "start of bmn": Source(bmn.state_dict(), into_bmn),
        "one stage": _own(
            folder,
            lambda path: save_one_stage(path, one_stage, GRID, classes, {"seed": 0}),
            lambda path: load_one_stage(path).network,
        ),
        "classifier": _own(
            folder,
            lambda path: save_classifier(path, SegmentClassifier(6, {"action": names}), {"seed": 0}),
            load_classifier,
        ),
    }


def _write(path: Path, content: Any, chance: random.Random) -> None:
    """Write as torch.save does, now or before version 1.6, or as a plain pickle."""
    if path.suffix == ".safetensors" and all(map(_is_plain, content.values())):
        save_file({key: value.contiguous() for key, value in content.items()}, path)
    elif chance.random() < 0.05:
        path.write_bytes(pickle.dumps(content))
    else:
        torch.save(content, path, _use_new_zipfile_serialization=chance.random() < 0.7)


def _changed(content: Any, chance: random.Random) -> Any:
    """Change, drop or add a value anywhere in a content."""
    changed = copy.copy(content)
    key = chance.choice(list(changed) if isinstance(changed, dict) else range(len(changed)))
    if isinstance(changed[key], dict | list) and changed[key] and chance.random() < 0.8:
        changed[key] = _changed(changed[key], chance)
    elif isinstance(changed[key], torch.Tensor) and chance.random() < 0.5:
        changed[key] = _other_tensor(changed[key], chance)
    elif chance.random() < 0.2:
        del changed[key]
    elif isinstance(changed, dict) and chance.random() < 0.2:
        changed[chance.choice((0, "extra", "head.x", "model"))] = chance.choice(VALUES)
    else:
        changed[key] = Harmful() if chance.random() < 0.1 else chance.choice(VALUES)
    return changed


def _is_plain(value: object) -> bool:
    """Whether it is a tensor that takes the memory of its shape, and no more than a few MB."""
    plain = isinstance(value, torch.Tensor) and value.layout == torch.strided
    return plain and value.numel() < 10**7


def _other_tensor(tensor: torch.Tensor, chance: random.Random) -> torch.Tensor:
    """Another shape, another type, or a value that is not finite."""
    if not _is_plain(tensor):
        return torch.zeros(1)
    kind = chance.randrange(4)
    if kind == 0:
        return tensor.double() if chance.random() < 0.5 else tensor.half()
    if kind == 1:
        return tensor.reshape(-1)[: tensor.numel() // 2]
    if kind == 2:
        return tensor.unsqueeze(chance.randint(0, tensor.dim()))
    if not tensor.is_floating_point() or not tensor.numel():
        return tensor
    other = tensor.clone()
    other.view(-1)[chance.randrange(other.numel())] = chance.choice((float("nan"), float("inf")))
    return other


def _damaged(content: bytes, chance: random.Random) -> bytes:
    """Cut, flip bits, overwrite a stretch, or put something in front."""
    kind, first = chance.randrange(4), chance.randrange(len(content))
    if chance.random() < 0.5:  # most of what is not numbers lies at the ends
        first = chance.choice((first % 2000, len(content) - 1 - first % 4000)) % len(content)
    damaged = bytearray(content)
    if kind == 0:
        return content[:first]
    if kind == 1:
        for place in [first, *(chance.randrange(len(content)) for _ in range(3))]:
            damaged[place] ^= 1 << chance.randrange(8)
    elif kind == 2:
        damaged[first : first + 200] = chance.randbytes(chance.randrange(1, 200))
    else:
        return chance.choice((b"\xef\xbb\xbf", b"<html>", b"\x1f\x8b", b"version https://git-lfs")) + content
    return bytes(damaged)


def _outcome(read: Callable[[Path], torch.nn.Module], path: Path) -> tuple[torch.nn.Module | None, str]:
    """The network that a reader makes of a file, or what it says; within a time and a memory."""
    try:
        with bounded():
            return read(path), ""
    except ValueError as error:
        return None, str(error)


def _run(folder: Path, count: int, seed: int) -> None:
    chance = random.Random(seed)
    sources = _sources(folder)
    (folder / "good.pt").unlink()
    refused = loaded = 0
    for number in range(count):
        name = list(sources)[number % len(sources)]
        source = sources[name]
        path = folder / f"tried{chance.choice(SUFFIXES)}"
        changes = chance.choice((0, 1, 1, 2))
        content = source.content
        for _ in range(changes):
            content = _changed(content, chance) if content else content
        _write(path, content, chance)
        if not changes or chance.random() < 0.2:
            path.write_bytes(_damaged(path.read_bytes(), chance))
        model, message = _outcome(source.read, path)
        if model is None:
            assert str(path) in message, (number, name, message)
            assert "weights_only=False" not in message
            refused += 1
        else:
            values = model.state_dict().values()
            assert all(bool(value.isfinite().all()) for value in values), (number, name)
            loaded += 1
        path.unlink()
    assert refused > count / 4
    assert loaded > count / 20
    print(f"{count} files of weights: {loaded} loaded, {refused} refused")


def test_some_files(tmp_path: Path) -> None:
    _run(tmp_path, 27, seed=1)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_many_files(tmp_path: Path) -> None:
    _run(tmp_path, 1000, seed=2)
