"""Freed memory is used again without a new page fault."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

BLOCKS = """
import resource, torch
from training.allocator import keep_freed_memory
keep_freed_memory()
torch.ones(4 * 2**20)  # the first block is new in any case
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(50):
    torch.ones(4 * 2**20)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_blocks_are_used_again() -> None:
    done = subprocess.run([sys.executable, "-c", BLOCKS], capture_output=True, text=True, check=True)
    pages = 50 * 16 * 2**20 // 4096
    assert int(done.stdout) < pages / 10
