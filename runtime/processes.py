"""Rank of this process in a launch, as `torchrun` sets it in the environment; alone without it."""

from __future__ import annotations

import os

from runtime.errors import InputError


def world_size() -> int:
    """Return how many processes work together, 1 without `torchrun`."""
    return _number("WORLD_SIZE") if "WORLD_SIZE" in os.environ else 1


def rank() -> int:
    """Return the number of this process among them, from 0."""
    return _number("RANK") if world_size() > 1 else 0


def local_world_size() -> int:
    """Return how many of them are on this machine."""
    return _number("LOCAL_WORLD_SIZE") if world_size() > 1 else 1


def local_rank() -> int:
    """Return the number of this process among those of this machine, from 0: its GPU."""
    return _number("LOCAL_RANK") if world_size() > 1 else 0


def is_main() -> bool:
    """Whether this is process 0, which alone decides, writes and speaks."""
    return rank() == 0


def _number(name: str) -> int:
    word = os.environ.get(name, "")
    if not word.isdecimal():
        raise InputError(
            f"the environment variable {name} should be a number, as torchrun sets it, found '{word}'; "
            f"start with torchrun, or unset WORLD_SIZE to work with one process"
        )
    return int(word)
