"""The examples of docs/evaluation.md and docs/report.md run."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest


@pytest.mark.parametrize(("name", "fewest"), [("evaluation.md", 6), ("report.md", 5)])
def test_examples_of_the_page(name: str, fewest: int) -> None:
    page = Path(__file__).resolve().parents[2] / "docs" / name
    result = doctest.testfile(str(page), module_relative=False)
    assert result.attempted >= fewest
    assert result.failed == 0
