"""Frames on their way from one process to another: in memory that both see, so none is copied.

    decoder  writes frame after frame into a slot, and names the slot when it is full
    parent   sees the frames where they lie, and gives the slot back

The memory has no name. So nothing of it stays when its processes are killed, and it takes no room in
/dev/shm, which containers keep small.
"""

from __future__ import annotations

import math
import mmap
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import reduction
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SLOT_BYTES = 4 << 20
"""Frames of small videos travel together, in slots of about this size."""

_MAX_SLOTS = 8
"""Enough for the batch of clips that follows the one the parent works on."""

_ALL_SLOTS_BYTES = 64 << 20
"""Of large frames, each in a slot of its own, there are so few slots that they take no more than
this, or two at least: one to be written, one to be read."""


@dataclass(frozen=True)
class Block:
    """Where frames lie.

    Attributes:
        indices: on the grid, int64 (n,), increasing.
        offset: bytes in front of them.
        shape: n, H, W, 3.
    """

    indices: NDArray[np.int64]
    offset: int
    shape: tuple[int, ...]


class FrameMemory:
    """Memory without a name that can be handed to a child process, as an argument of its function.

    Empty until the child, who knows the size of the frames, has made room.
    """

    def __init__(self, file: int | None = None) -> None:
        self._file = _nameless_file() if file is None else file
        self._mapped: mmap.mmap | None = None

    def __reduce__(self) -> tuple[Any, ...]:
        return _received, (reduction.DupFd(self._file),)

    def make_room(self, size_bytes: int) -> None:
        """Set the size, once."""
        os.ftruncate(self._file, size_bytes)

    def frames(self, offset: int, shape: tuple[int, ...]) -> NDArray[np.uint8]:
        """Return frames where they lie."""
        if self._mapped is None:
            self._mapped = mmap.mmap(self._file, 0)
        pixels = np.frombuffer(self._mapped, np.uint8, count=math.prod(shape), offset=offset)
        return pixels.reshape(shape)

    def close(self) -> None:
        """Let go of the memory; arrays that were returned stay as they are."""
        os.close(self._file)
        self._mapped = None


def _nameless_file() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("frames")
    with tempfile.TemporaryFile() as file:  # where systems have none
        return os.dup(file.fileno())


def _received(file: Any) -> FrameMemory:
    return FrameMemory(file.detach())


class SlotWriter:
    """Puts frames of one size into slots, one after the other, round and round.

    Args:
        memory: of the slots.
        wait_for_slot: returns when the parent has given back the slot that it has had for longest.
        hand_over: takes a block, for the parent.
    """

    def __init__(
        self, memory: FrameMemory, wait_for_slot: Callable[[], object], hand_over: Callable[[Block], object]
    ) -> None:
        self._memory, self._wait_for_slot, self._hand_over = memory, wait_for_slot, hand_over
        self._slots: list[int] = []  # where they begin
        self._begun = 0
        self._indices: list[int] = []
        self._slot: NDArray[np.uint8] = np.empty(0, np.uint8)

    def add(self, index: int, frame_HWC: NDArray[np.uint8]) -> None:
        """Take a frame (H, W, 3)."""
        if not self._indices:
            self._begin_slot(frame_HWC)
        self._slot[len(self._indices)] = frame_HWC
        self._indices.append(index)
        if len(self._indices) == len(self._slot):
            self.flush()

    def flush(self) -> None:
        """Hand over what there is of a block."""
        if self._indices:
            shape = (len(self._indices), *self._slot.shape[1:])
            offset = self._slots[(self._begun - 1) % len(self._slots)]
            self._hand_over(Block(np.array(self._indices, dtype=np.int64), offset, shape))
            self._indices = []

    def _begin_slot(self, frame_HWC: NDArray[np.uint8]) -> None:
        per_slot = math.ceil(_SLOT_BYTES / frame_HWC.nbytes)
        size_bytes = per_slot * frame_HWC.nbytes
        if not self._slots:
            count = min(max(_ALL_SLOTS_BYTES // size_bytes, 2), _MAX_SLOTS)
            self._slots = [number * size_bytes for number in range(count)]
            self._memory.make_room(count * size_bytes)
        if self._begun >= len(self._slots):
            self._wait_for_slot()
        offset = self._slots[self._begun % len(self._slots)]
        self._slot = self._memory.frames(offset, (per_slot, *frame_HWC.shape))
        self._begun += 1
