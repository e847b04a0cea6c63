"""``create_model`` and ``list_models``."""

from __future__ import annotations

import difflib
from dataclasses import replace

from tadaconv.heads import NumClasses
from tadaconv.network import VideoNetwork
from tadaconv.specs import HUB, SPECS, NetworkSpec


def list_models() -> list[str]:
    """Names that :func:`create_model` knows, sorted.

    >>> [name for name in list_models() if name.startswith("r2d")]
    ['r2d_mini', 'r2d_r50']
    """
    return sorted(SPECS)


def spec_of(name: str, *, hub_weights: bool = True) -> NetworkSpec:
    """The description of a network.

    Args:
        name: one of :func:`list_models`, or of a hub: "hf:FOLDER_OR_NAME" (transformers),
            "timm:FOLDER_OR_NAME", "timm-diff:FOLDER_OR_NAME" (with first differences in time).
        hub_weights: whether a network of a hub is to have its weights.

    Raises:
        ValueError: if there is none.
    """
    kind, colon, place = name.partition(":")
    if colon and kind in HUB:
        return HUB[kind](place, pretrained=hub_weights)
    if name not in SPECS:
        close = difflib.get_close_matches(name, SPECS)
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        known = ", ".join([*list_models(), *(f"{kind}:NAME" for kind in HUB)])
        raise ValueError(f"no network named {name!r}; {hint}known: {known}")
    return SPECS[name]


def create_model(
    name: str,
    num_classes: NumClasses = 400,
    input_size: tuple[int, int, int] | None = None,
    *,
    hub_weights: bool = True,
) -> VideoNetwork:
    """Build a network with random weights (see ``tadaconv.initialisation``), those of a hub with
    their own.

    Args:
        name: see :func:`spec_of`.
        num_classes: an int, or {"verb": n, "noun": m} for two heads.
        input_size: (T, H, W), for networks of a fixed input size; the ResNets take any, and
            disregard it. None: the size at which the network is usually compared.
        hub_weights: False: a network of a hub begins at random, too, and needs only its config.json.

    Returns:
        A module in training mode.  Input: clips (B, 3, T, H, W), float32 RGB, already normalised;
        SlowFast takes the fast clip (32 frames) and picks the slow frames itself.
        ``forward_features`` gives (B, ``num_features``), calling it gives logits (B, num_classes)
        or {"verb": (B, n), "noun": (B, m)}. ``input`` tells how pixels are normalised, and the size
        of clips.

    Raises:
        ValueError: if there is no such network, num_classes is not as above, or a network of fixed
            size cannot have this input_size.

    >>> import torch
    >>> model = create_model("tada2d_mini", num_classes=10).eval()
    >>> model.forward_features(torch.zeros(2, 3, 8, 64, 64)).shape
    torch.Size([2, 256])
    """
    spec = spec_of(name, hub_weights=hub_weights)
    network = spec.build(num_classes, input_size)
    network.input = replace(spec.input, clip=input_size or spec.input.clip)
    return network
