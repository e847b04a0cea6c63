"""The examples of docs/features.md run, and its tables name what there is."""

from __future__ import annotations

import doctest
from pathlib import Path

from feature_extraction.zoo.presets import PRESETS
from video_datasets.time_grid import CONVENTIONS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "features.md"


def test_examples_of_the_page() -> None:
    result = doctest.testfile(str(PAGE), module_relative=False)
    assert result.attempted > 8
    assert result.failed == 0


def test_the_page_names_every_preset_and_convention() -> None:
    text = PAGE.read_text()
    for name in (*PRESETS, *CONVENTIONS):
        assert f"| `{name}` |" in text
