"""Loading weights: released checkpoints, our own files, ResNets of torchvision and timm.

Nothing is lost in silence: what does not fit is an error, and what may be left out stands in the
report.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from tadaconv.positions import fit_positions
from tadaconv.torchvision_names import from_torchvision, is_torchvision_resnet
from tadaconv.weights_files import read_weights_file

# A file may lack these: they change nothing until trained, so TAda2D with R2D weights starts as
# that R2D.
_NEUTRAL_UNTIL_TRAINED = ("_rf.", ".b_avgpool_bn.", ".num_batches_tracked")
_TEMPORAL_ONLY = (".b2.", ".b2_bn.")  # of R(2+1)D; image networks have no such layers
_HEADS = ("head.", "fc.")  # ours and torchvision's
_WRAPPERS = ("model_state", "model", "state_dict", "model_state_dict")
_AVERAGES = ("model_ema_state", "state_dict_ema", "model_ema")
"""Entries of checkpoints that hold the weights, or their moving average, in the order in which
they are looked for."""
_PREFIXES = ("module.", "model.", "_orig_mod.")
"""Of data parallelism, Lightning and compiled networks; dropped where all keys begin with one."""
_SHOWN_KEYS = 4


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """What :func:`load_weights` did, key by key; ``str()`` gives a summary to print."""

    source: str
    """The file, or "state dict"."""
    matched: tuple[str, ...]
    """Keys of the model that were loaded."""
    reshaped: tuple[str, ...]
    """Those among them that had other axes of length 1 in the file (Conv2d weights for a
    TAdaConv2d)."""
    missing: tuple[str, ...]
    """Keys of the model that the file lacks; they keep their values."""
    unexpected: tuple[str, ...]
    """Keys of the file that were not used (a head that was left out)."""
    inflated: tuple[str, ...] = ()
    """Keys of the model whose kernel spans several frames, in the file one."""
    interpolated: tuple[str, ...] = ()
    """Positions that the file has for another frame size or clip length."""
    entry: str = ""
    """Entry of the file that held the tensors; empty: the file itself."""
    prefix: str = ""
    """What was dropped from the front of all its keys."""

    def __str__(self) -> str:
        lines = [f"{self.source}: loaded {len(self.matched)} tensors ({len(self.reshaped)} reshaped)"]
        if self.entry:
            lines.append(f"  taken from the entry {self.entry}")
        if self.prefix:
            lines.append(f"  without the prefix {self.prefix}")
        if self.inflated:
            lines.append(f"  repeated over the frames of the kernel and divided: {_listing(self.inflated)}")
        if self.interpolated:
            lines.append(f"  interpolated to another size: {_listing(self.interpolated)}")
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
    b) a file of ours: a state dict, or {"model": state dict}; others have state_dict,
        model_state_dict;
    c) a state dict of a torchvision or timm ResNet, whose names are translated.

    A prefix "module.", "model." or "_orig_mod." is dropped, axes of length 1 may differ. A kernel
    of one frame is inflated where the network's spans kt: repeated kt times and divided by kt.
    Positions of a factorised ViViT are interpolated to another size (``tadaconv.positions``). The
    file may lack what changes nothing before it is trained, routers and the normalisation of the
    average (b_rf, b_avgpool_bn): that is how plain ResNet weights go into TAda2D. An image ResNet
    has no temporal convolutions (b2) for R(2+1)D either; they keep their random values. All else
    has to fit.

    Args:
        model: the network, changed in place (not at all if an error is raised).
        source: a file (.pt, .pth, .pyth, or .safetensors if that package is installed), or its
            content.
        use_ema: take the moving average of the weights (model_ema_state, state_dict_ema); without
            it, they are taken only where there is nothing else.
        drop_mismatched_head: where the file has no head or one for other classes, leave the model's
            head as it is instead of raising.

    Returns:
        Which keys were loaded and which were not.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds no weights, weights that do not fit the network, or values that are
            not finite.
    """
    if isinstance(source, Mapping):
        label, content = "state dict", source
    else:
        label, content = os.fspath(source), read_weights_file(Path(source))
    expected = model.state_dict()
    entry, state = _select_state(content, use_ema, label)
    prefix, state = _without_prefix(state)
    from_images = is_torchvision_resnet(state)
    if from_images:
        state = {from_torchvision(key, expected): tensor for key, tensor in state.items()}
    state, interpolated = fit_positions(state, expected)
    found = {key: _inflated(tensor, expected.get(key)) for key, tensor in state.items()}

    if not any(key in expected for key in found):
        raise ValueError(
            f"{label}: no tensor in it belongs to this network; it holds {_listing(found)}, "
            f"the network has {_listing(expected)}"
        )
    dropped = _heads(found) if drop_mismatched_head and not _heads_fit(found, expected) else []
    usable = {key: tensor for key, tensor in found.items() if key not in dropped}
    missing = [key for key in expected if key not in usable]
    may_miss = (
        *_NEUTRAL_UNTIL_TRAINED,
        *(_TEMPORAL_ONLY if from_images else ()),
        *(_HEADS if drop_mismatched_head else ()),
    )
    lacking = [key for key in missing if not any(part in key for part in may_miss)]
    _check_fit(usable, expected, lacking, label=label)
    refuse_not_finite(usable, label)

    inflated = tuple(key for key in usable if usable[key].numel() != state[key].numel())
    reshaped = tuple(key for key in usable if usable[key].shape != expected[key].shape)
    model.load_state_dict({key: usable[key].reshape(expected[key].shape) for key in usable}, strict=False)
    return LoadReport(
        source=label,
        matched=tuple(usable),
        reshaped=reshaped,
        missing=tuple(missing),
        unexpected=tuple(dropped),
        inflated=inflated,
        interpolated=interpolated,
        entry=entry,
        prefix=prefix,
    )


def refuse_not_finite(state: Mapping[str, Tensor], label: str) -> None:
    """Raise ValueError, with the keys, if a tensor holds nan or infinity.

    A network may hide it: fused convolutions on a CPU make 0 of nan, and the features look like any
    others.
    """
    bad = [key for key, tensor in state.items() if not bool(tensor.isfinite().all())]
    if bad:
        raise ValueError(
            f"{label}: not finite (nan or infinity): {_listing(bad)}; the file is damaged, or its training had diverged"
        )


def _select_state(content: Mapping[str, Any], use_ema: bool, label: str) -> tuple[str, Mapping[str, Tensor]]:
    """The state dict within a file's content, and the name of its entry ("" for the content
    itself)."""
    if use_ema and not any(key in content for key in _AVERAGES):
        raise ValueError(
            f'{label}: has no "model_ema_state" to take, only {_listing(content)}; set use_ema=False'
        )
    wrappers = _AVERAGES if use_ema else (*_WRAPPERS, *_AVERAGES)
    entry = next((key for key in wrappers if isinstance(content.get(key), Mapping)), "")
    state = content[entry] if entry else content
    strays = [key for key, value in state.items() if not (isinstance(key, str) and isinstance(value, Tensor))]
    if strays or not state:
        raise ValueError(
            f"{label}: expected tensors by name, perhaps under {', '.join(_WRAPPERS)}; "
            f"found {_listing(strays or content)}"
        )
    return entry, state


def _without_prefix(state: Mapping[str, Tensor]) -> tuple[str, Mapping[str, Tensor]]:
    """What all keys begin with that is no part of a network's names, and the state without it."""
    dropped = ""
    while prefix := next((p for p in _PREFIXES if all(key.startswith(p) for key in state)), ""):
        state = {key.removeprefix(prefix): tensor for key, tensor in state.items()}
        dropped += prefix
    return dropped, state


def _inflated(found: Tensor, expected: Tensor | None) -> Tensor:
    """The kernel repeated over time, if the network's spans several frames and this one a single
    frame."""
    kernel_has_time = expected is not None and expected.dim() in (5, 7)  # Conv3d, TAdaConv3d
    if expected is None or not kernel_has_time or found.numel() == expected.numel():
        return found
    frames = expected.shape[-3]
    flat = [n if axis != expected.dim() - 3 else 1 for axis, n in enumerate(expected.shape)]
    if frames == 1 or not _same_shape(found.shape, flat):
        return found
    return found.reshape(flat).expand(expected.shape) / frames


def _check_fit(
    found: Mapping[str, Tensor], expected: Mapping[str, Tensor], lacking: Collection[str], *, label: str
) -> None:
    """Raise unless the tensors fit the network, naming the first keys that do not."""
    surplus = [key for key in found if key not in expected]
    unequal = [
        f"{key} {list(found[key].shape)} (the network has {list(expected[key].shape)})"
        for key in found
        if key in expected and not _same_shape(found[key].shape, expected[key].shape)
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


def _heads(state: Mapping[str, Tensor]) -> list[str]:
    return [key for key in state if key.startswith(_HEADS)]


def _heads_fit(found: Mapping[str, Tensor], expected: Mapping[str, Tensor]) -> bool:
    return set(_heads(found)) == set(_heads(expected)) and all(
        _same_shape(found[key].shape, expected[key].shape) for key in _heads(expected)
    )


def _same_shape(found: Sequence[int], expected: Sequence[int]) -> bool:
    """Whether the shapes are equal but for axes of length 1."""
    return [n for n in found if n != 1] == [n for n in expected if n != 1]


def _listing(keys: Collection[str]) -> str:
    """How many keys, and the first few of them."""
    shown = ", ".join(str(key) for key in list(keys)[:_SHOWN_KEYS])
    return f"{len(keys)} ({shown}{', ...' if len(keys) > _SHOWN_KEYS else ''})"
