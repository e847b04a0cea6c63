"""Text from files on its way to a screen, a page or a spreadsheet."""

from __future__ import annotations

import doctest
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

import runtime.called_as
import runtime.text
from runtime.text import spreadsheet_text, text_of_spreadsheet


@pytest.mark.parametrize("module", [runtime.text, runtime.called_as])
def test_doctests(module: ModuleType) -> None:
    result = doctest.testmod(module)
    assert result.attempted > 0
    assert result.failed == 0


@pytest.mark.parametrize("text", ["=1+1", "+1", "@SUM(A1)", "-1+2", "\t=1", "=cmd|' /C calc'!A0", "-x()"])
def test_formulas_are_quoted(text: str) -> None:
    assert spreadsheet_text(text) == f"'{text}"


@given(st.text())
def test_and_read_back(text: str) -> None:
    if not text.startswith("'"):
        assert text_of_spreadsheet(spreadsheet_text(text)) == text
