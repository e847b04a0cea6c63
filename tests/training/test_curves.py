"""The picture of a training shows every figure once."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.image import imread

from training.curves import draw_curves, panel_names

METRICS = [
    {"epoch": 1, "step": 4, "learning_rate": 0.1, "loss": 3.0},
    {
        "epoch": 2,
        "step": 8,
        "learning_rate": 0.2,
        "loss": 2.0,
        "validation_loss": 2.5,
        "validation_top5": 0.4,
    },
]


def test_training_and_validation_share_a_panel_and_the_rate_is_last() -> None:
    assert panel_names(METRICS) == ["loss", "top5", "learning_rate"]


def test_the_picture_holds_the_curves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Figure] = []
    save = Figure.savefig
    monkeypatch.setattr(
        Figure, "savefig", lambda self, *args, **kwargs: (drawn.append(self), save(self, *args, **kwargs))[1]
    )
    draw_curves(METRICS, tmp_path / "curves.png")
    assert imread(tmp_path / "curves.png").std() > 0.01
    assert [path.name for path in tmp_path.iterdir()] == ["curves.png"]
    curves = {
        (axes.get_title(), str(line.get_label())): line.get_xydata().tolist()
        for axes in drawn[0].axes
        for line in axes.lines
    }
    assert curves == {
        ("loss", "training"): [[1, 3.0], [2, 2.0]],
        ("loss", "validation"): [[2, 2.5]],
        ("top5", "validation"): [[2, 0.4]],
        ("learning rate", "training"): [[1, 0.1], [2, 0.2]],
    }
