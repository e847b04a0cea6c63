"""Slots: how many frames of which size they take, and that none is written over too early."""

from __future__ import annotations

import numpy as np
import pytest

from video_datasets.video.frame_slots import Block, FrameMemory, SlotWriter


@pytest.mark.parametrize(
    ("shape", "per_slot", "slots"),
    [
        ((32, 32, 3), 1366, 8),  # small: 4 MB together
        ((480, 854, 3), 4, 8),
        ((1080, 1920, 3), 1, 8),
        ((2160, 3840, 3), 1, 2),  # 25 MB: 64 MB hold two
        ((4480, 5120, 3), 1, 2),  # 69 MB: two all the same
    ],
)
def test_a_slot_is_used_again_once_it_was_given_back(
    shape: tuple[int, int, int], per_slot: int, slots: int
) -> None:
    memory, shown, waiting = FrameMemory(), [], 0

    def seen(block: Block) -> None:
        pixels = memory.frames(block.offset, block.shape)
        assert block.shape == (len(block.indices), *shape)
        shown.append((block.indices.tolist(), pixels[:, 0, 0, 0].tolist(), block.offset))

    def wait() -> None:
        nonlocal waiting
        waiting += 1
        assert len(shown) == slots + waiting - 1  # all the others are full

    writer = SlotWriter(memory, wait, seen)
    frame = np.zeros(shape, np.uint8)
    numbers = range(5, 5 + 2 * slots * per_slot + 1)  # twice round, and one frame more
    for number in numbers:
        frame[0, 0, 0] = number % 251
        writer.add(number, frame)
    writer.flush()
    memory.close()
    assert [number for indices, _, _ in shown for number in indices] == list(numbers)
    assert [shade for _, shades, _ in shown for shade in shades] == [number % 251 for number in numbers]
    assert [len(indices) for indices, _, _ in shown] == [per_slot] * (2 * slots) + [1]
    assert len({offset for _, _, offset in shown}) == slots
    assert waiting == slots + 1


def test_arrays_outlive_the_memory_they_came_from() -> None:
    memory, blocks = FrameMemory(), []
    writer = SlotWriter(memory, lambda: None, blocks.append)
    writer.add(0, np.full((4, 6, 3), 7, np.uint8))
    writer.flush()
    pixels = memory.frames(blocks[0].offset, blocks[0].shape)
    memory.close()
    assert pixels.shape == (1, 4, 6, 3)
    assert (pixels == 7).all()
