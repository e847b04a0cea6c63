"""Device and threads of torch, and the group of its processes."""

from __future__ import annotations

import torch
from joblib import cpu_count

from runtime.errors import InputError
from runtime.processes import local_rank, local_world_size, world_size
from runtime.settings import RuntimeConfig
from training import distributed


def prepare_device(config: RuntimeConfig) -> torch.device:
    """Fix torch's threads, meet the other processes of a launch by `torchrun`, and return the
    device.

    The work of a training stage begins with this: the processes other than 0 wait here until
    process 0 has decided that there is something to do (`runtime.stage`).

    Raises:
        InputError: if the device is neither a CPU nor a GPU that torch sees.
    """
    torch.set_num_threads(config.threads or max(1, cpu_count() // local_world_size()))
    device = devices(config)[0]
    distributed.start(device, config.process_timeout_s)
    return device


def devices(config: RuntimeConfig) -> tuple[torch.device, ...]:
    """Return all devices that `runtime.device` names, of one kind, so that all round alike; where a
    work takes one, it is the first.

    Raises:
        InputError: if one of them is neither a CPU nor a GPU that torch sees, or their kinds differ.
    """
    found = tuple(_device(name.strip()) for name in config.device.split(","))
    if len({device.type for device in found}) > 1:
        raise InputError(
            f"runtime.device: expected devices of one kind, found '{config.device}'; CPU and GPU round differently"
        )
    return found


def _device(name: str) -> torch.device:
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise InputError(f"runtime.device: expected auto, cpu or cuda[:n], found '{name}'") from error
    if device.type not in ("cpu", "cuda"):
        raise InputError(f"runtime.device: expected auto, cpu or cuda[:n], found '{name}'")
    if device.type == "cuda" and world_size() > 1:
        return _own_gpu(device)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InputError(
            f"runtime.device is '{name}', but torch sees {torch.cuda.device_count()} GPUs; "
            f"use runtime.device=cpu"
        )
    return device


def _own_gpu(device: torch.device) -> torch.device:
    """Return the GPU of this process among those that `torchrun` started."""
    if device.index is not None:
        raise InputError(
            f"runtime.device='{device}' names one GPU, but torchrun started {world_size()} processes; "
            f"use runtime.device=cuda, or CUDA_VISIBLE_DEVICES to choose among GPUs"
        )
    if local_world_size() > torch.cuda.device_count():
        raise InputError(
            f"torchrun started {local_world_size()} processes on this machine, but torch sees "
            f"{torch.cuda.device_count()} GPUs; lower --nproc_per_node or use runtime.device=cpu"
        )
    return torch.device("cuda", local_rank())
