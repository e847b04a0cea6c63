"""What every test may use: the folder of reference material, skipped where it is missing."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of golden data and real videos: $TADALOC_SHARED, by default ../shared beside the checkout."""
    folder = Path(os.environ.get("TADALOC_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip(f"reference material not found at {folder}; set TADALOC_SHARED")
    return folder
