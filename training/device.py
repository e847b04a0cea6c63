"""Which device torch works on, and with how many threads."""

from __future__ import annotations

import os

import torch

from runtime.errors import InputError
from runtime.schema import RuntimeConfig


def prepare_device(config: RuntimeConfig) -> torch.device:
    """Fix torch's threads and return the device.

    Raises:
        InputError: if a GPU is asked for and torch sees none.
    """
    torch.set_num_threads(config.threads or len(os.sched_getaffinity(0)))
    if config.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(config.device)
    except RuntimeError as error:
        raise InputError(
            f"runtime.device: expected auto, cpu or cuda[:n], found '{config.device}'"
        ) from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise InputError(
            f"runtime.device is '{config.device}', but torch sees no GPU; use runtime.device=cpu"
        )
    return device
