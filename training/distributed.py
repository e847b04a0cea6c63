"""Several processes that train one model: `torchrun --nproc_per_node=N -m bmn --config FILE`.

Everything here does the plain thing in a process that works alone. What waits for the other
processes must be called by all of them, in the same order.
"""

from __future__ import annotations

import atexit
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

from runtime.processes import is_main, rank, world_size

__all__ = [
    "is_main",
    "main_decides",
    "main_first",
    "merge_over_ranks",
    "parallel",
    "rank",
    "same_buffers",
    "shard",
    "start",
    "stop",
    "stop_at_exit",
    "sum_in_order",
    "sum_over_ranks",
    "world_size",
]

Item = TypeVar("Item")


def start(device: torch.device, timeout_s: float) -> None:
    """Meet the other processes; nothing to do for one that is alone.

    Tensors on GPUs are exchanged by nccl, everything else by gloo.

    Args:
        device: of this process.
        timeout_s: how long any exchange waits for the others.
    """
    if world_size() == 1 or dist.is_initialized():
        return
    if device.type == "cuda":
        torch.cuda.set_device(device)
    backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
    dist.init_process_group(backend, timeout=timedelta(seconds=timeout_s))


def stop() -> None:
    """Part from the other processes."""
    if dist.is_initialized():
        dist.destroy_process_group()


def stop_at_exit() -> None:
    """Part when this process ends. For the end of good work: after an error, parting could wait for
    an exchange that will never be finished, while `torchrun` waits for this process to end."""
    if dist.is_initialized():
        atexit.register(stop)


def parallel(model: nn.Module, device: torch.device) -> nn.Module:
    """Return the module whose forward and backward keep the processes' weights alike; `model`
    itself when alone.

    Weights and buffers of all processes become those of process 0.
    """
    if world_size() == 1:
        return model
    device_ids = [device] if device.type == "cuda" else None
    # Kernels of one frame in channels_last order differ from their buckets in the strides of axes
    # of length 1 only.
    warnings.filterwarnings("ignore", message="Grad strides do not match bucket view strides")
    # Buffers are not exchanged in every step: BMN's constant sampling matrices have megabytes, and
    # batch norm needs none until validation (`same_buffers`).
    return DistributedDataParallel(
        model, device_ids=device_ids, broadcast_buffers=False, gradient_as_bucket_view=True
    )


def same_buffers(model: nn.Module) -> None:
    """Give every process the buffers of process 0: each has gathered statistics of batch norm on
    its own items."""
    if world_size() > 1:
        for buffer in model.buffers():
            dist.broadcast(buffer, src=0)


@contextmanager
def main_first() -> Iterator[None]:
    """Let process 0 through first, and the others when it is done: they find what it has made.

    with main_first():
        cache = build_cache(...)
    """
    if not is_main():
        dist.barrier()
    yield
    if is_main() and world_size() > 1:
        dist.barrier()


def main_decides(yes: bool) -> bool:
    """Return what process 0 says."""
    if world_size() == 1:
        return yes
    answer = torch.tensor([yes])
    dist.broadcast(answer, src=0)
    return bool(answer)


def shard(items: Sequence[Item]) -> list[Item]:
    """Return this process's part of a list: together the processes have every item once.

    >>> shard(["a", "b", "c"])  # alone
    ['a', 'b', 'c']
    """
    return list(items[rank() :: world_size()])


def sum_over_ranks(figures: dict[str, float]) -> dict[str, float]:
    """Add up figures by name over all processes; a name that a process does not have counts 0
    there.

    >>> sum_over_ranks({"hits": 3.0, "clips": 4.0})  # alone
    {'hits': 3.0, 'clips': 4.0}
    """
    totals: dict[str, float] = {}
    for part in _from_all(figures):
        for name, value in part.items():
            totals[name] = totals.get(name, 0.0) + value
    return totals


def sum_in_order(values: list[float]) -> list[float]:
    """Add up lists of one length, place by place, over all processes; quicker than
    `sum_over_ranks`."""
    if world_size() == 1:
        return values
    totals = torch.tensor(values, dtype=torch.float64)
    dist.all_reduce(totals)
    return [float(value) for value in totals]


def merge_over_ranks(texts: dict[str, str]) -> dict[str, str]:
    """Return the entries of all processes together; under one name, the last process's."""
    merged: dict[str, str] = {}
    for part in _from_all(texts):
        merged.update(part)
    return merged


def _from_all(content: dict[str, Item]) -> list[dict[str, Item]]:
    if world_size() == 1:
        return [content]
    parts: list[dict[str, Item]] = [{} for _ in range(world_size())]
    dist.all_gather_object(parts, content)
    return parts
