"""The networks by name: each is an entry of data, built by the code of its family."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace

from tadaconv.heads import NumClasses
from tadaconv.resnet import ResNet, ResNetSpec

# For 64-pixel clips: 32, 64, 128 and 256 channels at 16, 8, 4 and 2 pixels.
# On two CPU cores, a training step of 32 clips of 8 frames takes about 0.17 s.
_TADA2D_MINI = ResNetSpec(
    branch="tada2d",
    depths=(1, 1, 2, 2),
    widths=(16, 32, 64, 128),
    expansion=2,
    stem_width=32,
    stem_stride=4,
    strides=(1, 2, 2, 2),
)

SPECS: Mapping[str, ResNetSpec] = {
    "tada2d_r50": ResNetSpec(branch="tada2d"),
    "tada2d_mini": _TADA2D_MINI,
    "r2d_r50": ResNetSpec(branch="r2d"),  # the paper's TSN baseline
    "r2d_mini": replace(_TADA2D_MINI, branch="r2d"),
}


def list_models() -> list[str]:
    """Names that :func:`create_model` knows, sorted.

    >>> list_models()
    ['r2d_mini', 'r2d_r50', 'tada2d_mini', 'tada2d_r50']
    """
    return sorted(SPECS)


def create_model(
    name: str, num_classes: NumClasses = 400, input_size: tuple[int, int, int] | None = None
) -> ResNet:
    """Build a network with random weights (see ``tadaconv.initialisation``).

    Args:
        name: one of :func:`list_models`.
        num_classes: an int, or {"verb": n, "noun": m} for two heads.
        input_size: (T, H, W), for networks of a fixed input size; the ResNets take any, and disregard it.

    Returns:
        A module in training mode.  Input: clips (B, 3, T, H, W), float32 RGB, already normalised.
        ``forward_features`` gives (B, ``num_features``), calling it gives logits (B, num_classes) or
        {"verb": (B, n), "noun": (B, m)}.

    Raises:
        ValueError: if there is no such network, or num_classes is not as above.

    >>> import torch
    >>> model = create_model("tada2d_mini", num_classes=10).eval()
    >>> model.forward_features(torch.zeros(2, 3, 8, 64, 64)).shape
    torch.Size([2, 256])
    """
    if name not in SPECS:
        close = difflib.get_close_matches(name, SPECS)
        hint = f"did you mean {' or '.join(close)}? " if close else ""
        raise ValueError(f"no network named {name!r}; {hint}known: {', '.join(list_models())}")
    return ResNet(SPECS[name], num_classes)
