"""The page of detections: time-lines with a player, and a table that needs no script."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from markupsafe import Markup

from evaluation.report.fragments import beside, table
from evaluation.report.page import Section, render_page
from evaluation.report.timeline import TimelineDetection, TimelineVideo, timeline_section
from pipeline.corrector import (
    CorrectableVideo,
    corrector_scripts,
    corrector_section,
    corrector_style,
)
from pipeline.detector import VideoDetections
from pipeline.player import player, render, script, style, words_table
from pipeline.trained_run import TrainedRun
from proposals.heads import head_of
from runtime.atomic import write_text
from runtime.text import encodable


def write_detect_page(
    path: Path,
    found: Mapping[str, VideoDetections],
    run: TrainedRun,
    threshold: str,
    failed: Mapping[str, str],
) -> None:
    """Write the page of some videos; it is one file that loads nothing but, on a click, the videos
    beside it.

    Args:
        path: HTML file.
        found: video id -> detections to show.
        run: that found them.
        threshold: which detections these are, in words.
        failed: video -> reason, for those that could not be read.
    """
    sections = [_timelines(path, found, run, threshold), _corrector(path, found, run)] if found else []
    sections.append(Section("table", "Table", _tables(found)))
    if failed:
        rows = [["video", "reason"], *([encodable(video), encodable(why)] for video, why in failed.items())]
        sections.append(Section("failed", "Not readable", words_table(rows)))
    sections.append(Section("run", "Run", words_table(_settings(run))))
    page = render_page(
        "Detections" if len(found) != 1 else f"Detections in {encodable(next(iter(found)))}",
        f"run {encodable(run.name)} · {run.num_classes} · {threshold}",
        sections,
        media=True,
        footer="Score: probability of the class times score of the proposal.",
        more_styles=[style(), corrector_style()],
        more_scripts=[script(), *corrector_scripts()],
    )
    write_text(path, page)


def _timelines(path: Path, found: Mapping[str, VideoDetections], run: TrainedRun, threshold: str) -> Section:
    videos = [_timeline(video_id, detections) for video_id, detections in found.items()]
    section = timeline_section({"": videos}, f"{threshold[:1].upper()}{threshold[1:]}.")
    notice = render("notice.html.jinja", text=run.remark) if run.remark else Markup("")
    files = player({video_id: detections.path for video_id, detections in found.items()}, path.parent)
    return replace(section, body=notice + section.body + files)


def _corrector(path: Path, found: Mapping[str, VideoDetections], run: TrainedRun) -> Section:
    videos = [
        CorrectableVideo(video_id, detections.duration_s, detections.path, _rows(detections))
        for video_id, detections in found.items()
    ]
    return corrector_section(videos, run.backbone.heads.get("action", ()), run.name, path.parent)


def _rows(found: VideoDetections) -> list[tuple[float, float, str, float]]:
    columns = zip(found.segments_s.tolist(), found.labels, found.scores.tolist(), strict=True)
    return [(start_s, end_s, label, score) for (start_s, end_s), label, score in columns]


def _timeline(video_id: str, found: VideoDetections) -> TimelineVideo:
    shown = [TimelineDetection(*row) for row in _rows(found)]
    return TimelineVideo(video_id, found.duration_s, [], shown)


def _tables(found: Mapping[str, VideoDetections]) -> Markup:
    header = ["label", "start (s)", "end (s)", "score"]
    parts = []
    for video_id, detections in found.items():
        rows = zip(detections.labels, detections.segments_s.tolist(), detections.scores.tolist(), strict=True)
        lines = [
            [encodable(label), f"{start_s:.2f}", f"{end_s:.2f}", f"{score:#.3g}"]
            for label, (start_s, end_s), score in rows
        ]
        body = table([header, *lines]) if lines else Markup("<p>Nothing was found.</p>")
        parts.append(
            Markup("<div><h3>{}, {:.1f} s</h3>{}</div>").format(
                encodable(video_id), detections.duration_s, body
            )
        )
    return beside(parts) if parts else Markup("<p>No video could be read.</p>")


def _settings(run: TrainedRun) -> list[list[str]]:
    config, grid = run.config, run.config.grid
    return [
        ["setting", "value"],
        ["network", f"{run.backbone.name}, weights {run.backbone.sha256[:16]}"],
        ["time grid", f"{grid.fps:g} fps, a feature every {grid.stride_frames / grid.fps:.3f} s"],
        [f"{head_of(config).title} sees", run.head.looks_at],
        ["data set", encodable(Path(config.data.root).name)],
    ]
