"""Loading weights: released checkpoints, our own files, torchvision's ResNets.

Nothing is lost in silence: what does not fit is an error, and what may be left out stands in the report.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from tadaconv.torchvision_names import from_torchvision, is_torchvision_resnet

# A file may lack these: they change nothing until trained, so TAda2D with R2D weights starts as that R2D.
_NEUTRAL_UNTIL_TRAINED = (".b_rf.", ".b_avgpool_bn.", ".num_batches_tracked")
_HEADS = ("head.", "fc.")  # ours and torchvision's
_SHOWN_KEYS = 4


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """What :func:`load_weights` did, key by key; ``str()`` gives a summary to print."""

    source: str
    """The file, or "state dict"."""
    matched: tuple[str, ...]
    """Keys of the model that were loaded."""
    reshaped: tuple[str, ...]
    """Those among them that had other axes of length 1 in the file (Conv2d weights for a TAdaConv2d)."""
    missing: tuple[str, ...]
    """Keys of the model that the file lacks; they keep their values."""
    unexpected: tuple[str, ...]
    """Keys of the file that were not used (a head that was left out)."""

    def __str__(self) -> str:
        lines = [f"{self.source}: loaded {len(self.matched)} tensors ({len(self.reshaped)} reshaped)"]
        if self.missing:
            lines.append(f"  not in the file, kept as they were: {_listing(self.missing)}")
        if self.unexpected:
            lines.append(f"  in the file, not used: {_listing(self.unexpected)}")
        return "\n".join(lines)


def load_weights(
    model: nn.Module,
    source: str | os.PathLike[str] | Mapping[str, Any],
    *,
    use_ema: bool = False,
    drop_mismatched_head: bool = False,
) -> LoadReport:
    """Load weights into a network of ``create_model``.

    The source may be
    a) a released checkpoint, {"model_state": state dict, ...}, perhaps with "model_ema_state";
    b) a file of ours: a state dict, or {"model": state dict};
    c) a state dict of a torchvision ResNet, whose names are translated.

    A prefix "module." is dropped, axes of length 1 may differ. The file may lack the router and the
    normalisation of the average (b_rf, b_avgpool_bn), which is how plain ResNet weights go into TAda2D. All
    else has to fit.

    Args:
        model: the network, changed in place (not at all if an error is raised).
        source: a file, or the content of one.
        use_ema: take the moving average of the weights ("model_ema_state").
        drop_mismatched_head: where the file has no head or one for other classes, leave the model's head
            as it is instead of raising.

    Returns:
        Which keys were loaded and which were not.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds no weights, or weights that do not fit the network.
    """
    if isinstance(source, Mapping):
        label, content = "state dict", source
    else:
        label, content = os.fspath(source), _read(Path(source))
    found = _with_our_names(_select_state(content, use_ema, label))
    expected = model.state_dict()

    if not any(key in expected for key in found):
        raise ValueError(
            f"{label}: no tensor in it belongs to this network; it holds {_listing(found)}, "
            f"the network has {_listing(expected)}"
        )
    dropped = _heads(found) if drop_mismatched_head and not _heads_fit(found, expected) else []
    usable = {key: tensor for key, tensor in found.items() if key not in dropped}
    missing = [key for key in expected if key not in usable]
    _check_fit(usable, expected, missing, head_may_miss=drop_mismatched_head, label=label)

    reshaped = tuple(key for key in usable if usable[key].shape != expected[key].shape)
    model.load_state_dict({key: usable[key].reshape(expected[key].shape) for key in usable}, strict=False)
    return LoadReport(
        source=label,
        matched=tuple(usable),
        reshaped=reshaped,
        missing=tuple(missing),
        unexpected=tuple(dropped),
    )


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise FileNotFoundError(f"{path}: there is no such weights file")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError) as error:
        raise ValueError(
            f"{path}: cannot be read as a file of weights written by torch.save ({error})"
        ) from error
    if not isinstance(content, Mapping):
        raise ValueError(f"{path}: expected a state dict or a checkpoint, found a {type(content).__name__}")
    return content


def _select_state(content: Mapping[str, Any], use_ema: bool, label: str) -> Mapping[str, Tensor]:
    """The state dict within a file's content, without a prefix "module."."""
    if use_ema and "model_ema_state" not in content:
        raise ValueError(
            f'{label}: has no "model_ema_state" to take, only {_listing(content)}; set use_ema=False'
        )
    wrappers = ("model_ema_state",) if use_ema else ("model_state", "model")
    state = next((content[key] for key in wrappers if isinstance(content.get(key), Mapping)), content)
    strays = [key for key, value in state.items() if not isinstance(value, Tensor)]
    if strays or not state:
        raise ValueError(
            f"{label}: expected tensors by name, perhaps under model_state or model; "
            f"found {_listing(strays or content)}"
        )
    return {key.removeprefix("module."): tensor for key, tensor in state.items()}


def _with_our_names(state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
    if is_torchvision_resnet(state):
        return {from_torchvision(key): tensor for key, tensor in state.items()}
    return state


def _check_fit(
    found: Mapping[str, Tensor],
    expected: Mapping[str, Tensor],
    missing: Collection[str],
    *,
    head_may_miss: bool,
    label: str,
) -> None:
    """Raise unless the tensors fit the network, naming the first keys that do not."""
    surplus = [key for key in found if key not in expected]
    lacking = [key for key in missing if not _may_miss(key, head_may_miss)]
    unequal = [
        f"{key} {list(found[key].shape)} (the network has {list(expected[key].shape)})"
        for key in found
        if key in expected and not _same_shape(found[key], expected[key])
    ]
    problems = [
        f"{text}: {_listing(keys)}"
        for text, keys in (
            ("other shapes", unequal),
            ("not in the file", lacking),
            ("unknown to the network", surplus),
        )
        if keys
    ]
    if not problems:
        return
    only_head = all(key.startswith(_HEADS) for key in (*unequal, *lacking, *surplus))
    advice = (
        "the head is for other classes; drop_mismatched_head=True keeps the model's own"
        if only_head
        else "are these weights of another network?"
    )
    raise ValueError(f"{label}: does not fit the network; {'; '.join(problems)} ({advice})")


def _may_miss(key: str, head_may_miss: bool) -> bool:
    neutral = any(part in key for part in _NEUTRAL_UNTIL_TRAINED)
    return neutral or (head_may_miss and key.startswith(_HEADS))


def _heads(state: Mapping[str, Tensor]) -> list[str]:
    return [key for key in state if key.startswith(_HEADS)]


def _heads_fit(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> bool:
    return set(_heads(found)) == set(_heads(expected)) and all(
        _same_shape(found[key], expected[key]) for key in _heads(expected)
    )


def _same_shape(found: Tensor, expected: Tensor) -> bool:
    """Whether the shapes are equal but for axes of length 1."""
    return [n for n in found.shape if n != 1] == [n for n in expected.shape if n != 1]


def _listing(keys: Collection[str]) -> str:
    """How many keys, and the first few of them."""
    shown = ", ".join(str(key) for key in list(keys)[:_SHOWN_KEYS])
    return f"{len(keys)} ({shown}{', ...' if len(keys) > _SHOWN_KEYS else ''})"
