"""The corrector: a section of a page in which a person corrects detections while the video plays.

It needs no server: what is done stays in the browser (`localStorage`) and is saved by download, as
own CSV and as JSON, both of which `video_datasets` reads as labels.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from evaluation.report.page import Section
from pipeline.player import TEMPLATES, relative_address, render
from runtime.called_as import as_called
from runtime.text import encodable

SCRIPTS = ("corrections.js", "corrector_timeline.js", "corrector.js")


@dataclass(frozen=True)
class CorrectableVideo:
    """A video and what was found in it.

    Attributes:
        path: the file; None where there is none beside the page.
        segments: (start s, end s, label, score) each.
    """

    video_id: str
    duration_s: float
    path: Path | None
    segments: Sequence[tuple[float, float, str, float]] = field(default_factory=tuple)


def corrector_section(
    videos: Sequence[CorrectableVideo], labels: Sequence[str], model: str, folder: Path, id: str = "correct"
) -> Section:
    """Return the section; its page needs `corrector_style`, `corrector_scripts` and `media=True`.

    Args:
        videos: at least one.
        labels: all that a person may choose from, the first nine by their number.
        model: who found the segments; stands as their source in what is saved.
        folder: where the page will be.
        id: anchor.
    """
    known = list(dict.fromkeys([*labels, *(row[2] for video in videos for row in video.segments)]))
    position = {label: number for number, label in enumerate(known)}
    data = {
        "model": encodable(model),
        "labels": [encodable(label) for label in known],
        "videos": [_video(video, position, folder) for video in videos],
    }
    convert = as_called("python -m video_datasets.convert")
    body = render("corrector.html.jinja", section=id, convert=convert)
    return Section(id, "Correct", body, data, printed=False)


def _video(video: CorrectableVideo, position: Mapping[str, int], folder: Path) -> dict[str, object]:
    last_s = max((end_s for _, end_s, _, _ in video.segments), default=0.0)
    return {
        "id": encodable(video.video_id),
        "duration": max(video.duration_s, last_s, 0.1),
        "file": None if video.path is None else relative_address(video.path, folder),
        "segments": [
            [round(start_s, 3), round(end_s, 3), position[label], float(f"{score:.6g}")]
            for start_s, end_s, label, score in video.segments
        ],
    }


def corrector_style() -> str:
    """Style sheet of the section."""
    return (TEMPLATES / "corrector.css").read_text(encoding="utf-8")


def corrector_scripts() -> list[str]:
    """What makes it work."""
    return [(TEMPLATES / name).read_text(encoding="utf-8") for name in SCRIPTS]
