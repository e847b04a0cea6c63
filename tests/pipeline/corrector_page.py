"""A page with the corrector alone, for tests in a browser."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from evaluation.report.page import render_page
from pipeline.corrector import (
    CorrectableVideo,
    corrector_scripts,
    corrector_section,
    corrector_style,
)

LABELS = ("run", "sit <b>", "jump", "eat")


def write_corrector_page(path: Path, videos: Sequence[CorrectableVideo]) -> Path:
    section = corrector_section(videos, LABELS, "runs/own", path.parent)
    page = render_page(
        "Corrector",
        "of a test",
        [section],
        media=True,
        more_styles=[corrector_style()],
        more_scripts=corrector_scripts(),
    )
    path.write_text(page, encoding="utf-8")
    return path
