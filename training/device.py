"""Which device torch works on, and with how many threads."""

from __future__ import annotations

import torch
from joblib import cpu_count

from runtime.errors import InputError
from runtime.schema import RuntimeConfig


def prepare_device(config: RuntimeConfig) -> torch.device:
    """Fix torch's threads and return the device.

    Raises:
        InputError: if the device is neither a CPU nor a GPU that torch sees.
    """
    torch.set_num_threads(config.threads or cpu_count())
    if config.device == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(config.device)
    except RuntimeError as error:
        raise InputError(
            f"runtime.device: expected auto, cpu or cuda[:n], found '{config.device}'"
        ) from error
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"runtime.device: expected auto, cpu or cuda[:n], found '{config.device}'")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"runtime.device is '{config.device}', but torch sees {torch.cuda.device_count()} GPUs; "
            f"use runtime.device=cpu"
        )
    return device
