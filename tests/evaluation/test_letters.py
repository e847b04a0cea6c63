"""Labels in letters that no font here has: the picture is made, and one line says so."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest

from evaluation.report import letters
from evaluation.report.timeline_picture import draw_timeline
from video_datasets.dataset import Segment

NOWHERE = "\U000f1234\U000f1235"
"""Private letters, which fonts do not have."""


def test_one_line_for_all_letters_of_all_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    letters._say_once.cache_clear()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for number in range(2):
            segments = [(Segment(0.0, 1.0, NOWHERE), 0.5), (Segment(1.0, 2.0, "run"), 0.4)]
            draw_timeline(tmp_path / f"{number}.png", "video", 3.0, [], segments)
    assert (tmp_path / "1.png").stat().st_size > 1000
    screen = capsys.readouterr().err
    assert screen.count("\n") == 1
    assert "drawn as boxes; install a font that has them" in screen


def test_other_warnings_stay() -> None:
    with pytest.warns(UserWarning, match="something else"), letters.any_letters():
        warnings.warn("something else", stacklevel=1)
