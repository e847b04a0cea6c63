"""A whole run cuts its lines at the terminal's width; any other command says all."""

from __future__ import annotations

import pytest

from runtime.brief import brief, in_brief, is_brief

LINE = "  labelled segments: " + ", ".join(f"class {number} (10)" for number in range(40))


@pytest.mark.parametrize("width", [80, 160])
def test_a_line_is_cut_at_a_word_and_keeps_its_indentation(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    with brief(True):
        cut = in_brief(LINE)
        assert len(cut) < width
        assert cut.endswith(" ...")
        assert LINE.startswith(cut.removesuffix(" ..."))
        assert in_brief("short") == "short"


def test_nothing_is_cut_otherwise() -> None:
    assert not is_brief()
    with brief(True), brief(False):
        assert in_brief(LINE) == LINE
    assert not is_brief()
