"""A fingerprint of weights, by which a feature file names the backbone that made it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch
from torch import Tensor


def weights_sha256(state: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and values of a state dict.

    Does not depend on the order of the keys, the device, the memory layout or the file format.
    Values are hashed in the byte order of the machine, which is little-endian wherever PyTorch runs
    in practice.

    Args:
        state: what ``module.state_dict()`` gives.

    Returns:
        64 hexadecimal digits.

    >>> weights_sha256({"weight": torch.zeros(2, 3)})[:16]
    'e81c4b1e9b417660'
    """
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = state[name].detach().cpu()
        digest.update(f"{name}:{tensor.dtype}:{list(tensor.shape)};".encode())
        digest.update(tensor.flatten().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
