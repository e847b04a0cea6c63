"""What every test may use: the folder of reference material, skipped where it is missing, and a
tiny data set."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

from video_datasets.mini import MiniSize, ensure_mini

# How long one example takes says nothing on a busy machine.
settings.register_profile("tadaloc", deadline=None)
settings.load_profile("tadaloc")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Folder of golden data and real videos: $TADALOC_SHARED, by default ../shared beside the
    checkout."""
    folder = Path(os.environ.get("TADALOC_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    if not folder.is_dir():
        pytest.skip(f"reference material not found at {folder}; set TADALOC_SHARED")
    return folder


@pytest.fixture(scope="session")
def tiny_mini(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rendered mini data set of all eight classes, 8 + 8 + 2 videos of 4 to 8 s; shared, so
    not to be changed."""
    folder = tmp_path_factory.mktemp("tiny_mini") / "data"
    ensure_mini(folder, size=MiniSize(training=8, validation=8, testing=2, duration_s=(4.0, 8.0)))
    return folder
