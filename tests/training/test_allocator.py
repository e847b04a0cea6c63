"""Freed memory stays with the process."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

BLOCKS = """
import torch
from pathlib import Path
from training.allocator import keep_freed_memory
keep_freed_memory()
def pages():
    return int(Path("/proc/self/statm").read_text().split()[1])
before = pages()
blocks = [torch.ones(4 * 2**20) for _ in range(8)]
held = pages() - before
del blocks
print((pages() - before) / held)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_blocks_stay() -> None:
    done = subprocess.run([sys.executable, "-c", BLOCKS], capture_output=True, text=True, check=True)
    assert float(done.stdout) > 0.9
