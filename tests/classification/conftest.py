"""A tiny mini-EK100, shared by the tests of verbs and nouns."""

from __future__ import annotations

from pathlib import Path

import pytest

from video_datasets.mini import MiniSize, ensure_mini


@pytest.fixture(scope="session")
def tiny_ek100(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A rendered mini-EK100 of 2 + 2 + 2 videos of 5 to 7 s; shared, so not to be changed."""
    folder = tmp_path_factory.mktemp("tiny_ek100") / "data"
    size = MiniSize(training=2, validation=2, testing=2, duration_s=(5.0, 7.0))
    ensure_mini(folder, layout="ek100", size=size, workers=1)
    return folder
