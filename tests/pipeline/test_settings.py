"""The list of all keys, and the page that is made of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline import settings
from runtime.config import known_keys
from runtime.sections import SECTIONS

ROOT = Path(__file__).resolve().parents[2]


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs/configuration.md").read_text(encoding="utf-8") == settings.page(), (
        "run: python -m pipeline.settings --markdown > docs/configuration.md"
    )


def test_every_key_is_listed_once_with_its_default() -> None:
    names = [key.name for keys in settings.all_keys().values() for key in keys]
    assert sorted(names) == sorted(known_keys())
    assert set(settings.all_keys()) == {"", *SECTIONS}


def test_a_section_is_shown_with_units_and_values_of_the_paper(capsys: pytest.CaptureFixture[str]) -> None:
    assert settings.main(["grid"]) == 0
    screen = capsys.readouterr().out
    assert "grid.fps = 30.0" in screen
    assert "60 for EPIC-KITCHENS-100, 30 for HACS (paper" in screen
    assert "bmn." not in screen


def test_inherited_keys_have_their_meaning() -> None:
    assert "multiple of the others" in settings.attribute_docs(SECTIONS["bmn"])["new_layer_rate_factor"]


def test_a_word_that_fits_nothing_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert settings.main(["grids"]) == 2
    assert "no key and no section holds 'grids'; sections: data, grid" in capsys.readouterr().err
