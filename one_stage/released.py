"""Networks from the settings and checkpoints of ActionFormer, TemporalMaxer, TriDet and OpenTAD."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from one_stage.architecture import Architecture, Kind
from one_stage.network import OneStageNetwork

KINDS: dict[str, Kind] = {
    "convTransformer": "actionformer",
    "convPooler": "temporalmaxer",
    "SGP": "tridet",
}
"""`backbone_type` of the originals' settings."""
RANGES = ((0, 4), (4, 8), (8, 16), (16, 32), (32, 64), (64, 10000))
REFUSED = {"fpn_type": "identity", "use_rel_pe": False, "scale_factor": 2, "fpn_start_level": 0}
"""Settings of which one value alone is known from any published configuration."""
OPENTAD_NAMES = (
    (r"^projection\.embed\.(\d+)\.conv\.", r"backbone.embd.\1.conv."),
    (r"^projection\.embed\.(\d+)\.norm\.", r"backbone.embd_norm.\1."),
    (r"^projection\.", "backbone."),
    (r"^rpn_head\.(cls|reg|start|end)_convs\.(\d+)\.conv\.", r"\1_head.head.\2.conv."),
    (r"^rpn_head\.(cls|reg|start|end)_convs\.(\d+)\.norm\.", r"\1_head.norm.\2."),
    (r"^rpn_head\.reg_head\.", "reg_head.offset_head.conv."),
    (r"^rpn_head\.(cls|start|end)_head\.", r"\1_head.cls_head.conv."),
    (r"^rpn_head\.scale\.", "reg_head.scale."),
)
"""OpenTAD's names to the originals'."""
OPENTAD_STATE, NORMALIZER = "rpn_head.loss_normalizer", "loss_normalizer"
"""The moving average of positive points, which the originals do not store."""


def from_released(settings: Mapping[str, Any], state_dict: Mapping[str, Any]) -> OneStageNetwork:
    """Build a network as its authors trained it.

    Args:
        settings: the `model` section of the original's YAML, with `input_dim`, `num_classes` and
            `max_seq_len` of its `dataset` section where a table of positions needs the last; the
            originals' defaults where a key is missing. Number of classes and channels are read off
            the weights.
        state_dict: weights by name, or the whole checkpoint, of which the moving average is taken
            where there is one; with or without "module." before each name; OpenTAD's names as well.

    Returns:
        In eval mode, with padded rows treated as the weights were trained. Called with features (B,
        C, T) and validity (B, T) it returns {"logits", "offsets"} per level, TriDet also "start"
        and "end".

    Raises:
        ValueError: if settings are unknown, or the weights do not fit them.
    """
    weights = _plain_weights(state_dict)
    from_opentad = any(name.startswith("rpn_head.") for name in weights)
    if from_opentad:
        weights = _original_names(weights)
    padding = "opentad" if from_opentad else "as_released"
    network = OneStageNetwork(released_architecture(settings, weights, padding))
    _load(network, weights)
    return network.eval()


def released_architecture(
    settings: Mapping[str, Any], weights: Mapping[str, Tensor], padding: str
) -> Architecture:
    """Return the sizes that the settings and weights of an original stand for.

    Raises:
        ValueError: if settings are unknown.
    """
    _refuse(settings)
    kind = KINDS[settings.get("backbone_type", "convTransformer")]
    ranges = tuple((float(low), float(high)) for low, high in settings.get("regression_range", RANGES))
    arch = settings.get("backbone_arch", (2, 5) if kind == "temporalmaxer" else (2, 2, 5))
    channels = int(settings.get("embd_dim", 512))
    _same_levels(len(ranges), int(arch[-1]) + 1)
    return Architecture(
        kind=kind,
        in_channels=_shape(weights, "backbone.embd.0.conv.weight")[1],
        class_towers=(_shape(weights, "cls_head.cls_head.conv.weight")[0],),
        channels=channels,
        regression_ranges=ranges,
        embedding_layers=int(arch[0]),
        embedding_kernel=int(settings.get("embd_kernel_size", 3)),
        stem_blocks=0 if kind == "temporalmaxer" else int(arch[1]),
        head_layers=int(settings.get("head_num_layers", 3)) - 1,
        head_kernel=int(settings.get("head_kernel_size", 3)),
        positions=bool(settings.get("use_abs_pe", False)),
        max_length=int(settings.get("max_seq_len", 2304)),
        heads=int(settings.get("n_head", 4)),
        windows=_windows(settings, kind, len(ranges)),
        neck=_neck(settings, kind),
        sgp_widening=float(settings.get("k", 1.5)),
        sgp_mlp_channels=int(settings.get("sgp_mlp_dim", 768)),
        sgp_init_std=float(settings.get("init_conv_vars", 1.0)),
        bins=int(settings.get("num_bins", 16)) if settings.get("use_trident_head") else 0,
        boundary_kernel=int(settings.get("boudary_kernel_size", 3)),  # the original's spelling
        padding=padding,
    )


def _windows(settings: Mapping[str, Any], kind: Kind, levels: int) -> tuple[int, ...]:
    key = "n_sgp_win_size" if kind == "tridet" else "n_mha_win_size"
    windows = settings.get(key, -1)
    return tuple(windows) if not isinstance(windows, int) else (windows,) * levels


def _neck(settings: Mapping[str, Any], kind: Kind) -> Any:
    if kind == "temporalmaxer":
        return {"groupnorm": "group", "layernorm": "layer"}.get(settings.get("fpn_norm", ""), "none")
    return "layer" if settings.get("fpn_with_ln", True) else "none"


def _refuse(settings: Mapping[str, Any]) -> None:
    problems = [
        f"{key}={settings[key]} (known: {value})"
        for key, value in REFUSED.items()
        if settings.get(key, value) != value
    ]
    for key in ("embd_with_ln", "head_with_ln"):
        if not settings.get(key, True):
            problems.append(f"{key}=False (known: True)")
    kind = settings.get("backbone_type", "convTransformer")
    if kind not in KINDS:
        problems.append(f"backbone_type={kind} (known: {', '.join(KINDS)})")
    if problems:
        raise ValueError(f"settings of another network than the three known: {'; '.join(problems)}")


def _same_levels(ranges: int, levels: int) -> None:
    if ranges != levels:
        raise ValueError(f"regression_range has {ranges} entries for the {levels} levels of backbone_arch")


def _shape(weights: Mapping[str, Tensor], name: str) -> tuple[int, ...]:
    if name not in weights:
        raise ValueError(
            f"no weights of a one-stage network: {name} is missing, found {list(weights)[:5]} ..."
        )
    return tuple(weights[name].shape)


def _plain_weights(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """Take the weights out of a checkpoint, the moving average first."""
    for key in ("state_dict_ema", "state_dict"):
        if content.get(key):
            content = content[key]
            break
    return {name.removeprefix("module."): value for name, value in content.items()}


def _original_names(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    renamed = {}
    for name, value in weights.items():
        if name == OPENTAD_STATE:
            name, value = NORMALIZER, value.double()
        for pattern, replacement in OPENTAD_NAMES:
            if re.match(pattern, name):
                name = re.sub(pattern, replacement, name)
                break
        renamed[name] = value
    return renamed


def _load(network: OneStageNetwork, weights: Mapping[str, Tensor]) -> None:
    """Load strictly; norms and scales of the originals have axes of length 1 that ours lack."""
    own = network.state_dict()
    weights = {NORMALIZER: own[NORMALIZER], **weights}
    missing, unknown = sorted(own.keys() - weights.keys()), sorted(weights.keys() - own.keys())
    other = [
        f"{name} {tuple(weights[name].shape)} for {tuple(value.shape)}"
        for name, value in own.items()
        if name in weights and _axes(weights[name]) != _axes(value)
    ]
    if missing or unknown or other:
        raise ValueError(
            f"the weights do not fit the settings: missing {missing[:3]}, unknown {unknown[:3]}, "
            f"of other shape {other[:3]}"
        )
    network.load_state_dict({name: weights[name].reshape(value.shape) for name, value in own.items()})


def _axes(value: Tensor) -> list[int]:
    return [length for length in value.shape if length != 1]
