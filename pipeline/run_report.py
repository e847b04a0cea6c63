"""The report of a run: what follows from its results, then what follows from its folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from markupsafe import Markup

from evaluation.files.evaluate import select_subset
from evaluation.report.evaluation_page import evaluation_sections
from evaluation.report.page import Section, render_page
from evaluation.results import Results
from evaluation.run import DETECTIONS, PROPOSALS, evaluate_run, run_protocol
from pipeline.corrector import (
    CorrectableVideo,
    corrector_scripts,
    corrector_section,
    corrector_style,
)
from pipeline.player import player, render, script, style
from pipeline.reach_section import reach_section
from pipeline.run_sections import (
    configuration_section,
    read_records,
    stages_section,
    training_section,
)
from pipeline.stages import load_config, stages_of
from runtime.atomic import write_text
from runtime.errors import InputError
from runtime.sections import RunConfig
from runtime.text import encodable
from video_datasets.annotations import AnnotationTable
from video_datasets.dataset import read_annotations
from video_datasets.video.search import index_video_files
from video_datasets.watched import take_stretches

TIMELINE = "timeline"
"""Section that the player joins."""
TO_CORRECT = 20
"""Detections of a video that the corrector shows, as many as `python -m pipeline.detect` by
default."""


def write_run_page(
    run_dir: Path, path: Path, videos: Path | None, root: Path | None = None
) -> tuple[str, ...]:
    """Write the page.

    Args:
        run_dir: folder of the run.
        path: HTML file.
        videos: folder of video files; None: that of the run's data.
        root: folder of the data set, where it is no longer the run's; None: the run's.

    Returns:
        What the report lacks, and why.

    Raises:
        InputError: if `run_dir` has no configuration.
    """
    if not (run_dir / "config.yaml").is_file():
        raise InputError(f"{run_dir}: no config.yaml; expected the folder of a run, such as runs/hacs_mini")
    config = load_config(run_dir / "config.yaml")
    if root is not None:
        config = config.changed(data=replace(config.data, root=str(root)))
    results, truth, notes = find(run_dir, config)
    files = index_video_files(videos or Path(config.data.root) / config.data.videos)
    of_results = evaluation_sections(results) if results else []
    sections = [_with_player(section, files, truth, path.parent) for section in of_results]
    data = [sections.pop()] if results else []  # files and counts come behind everything that is to be read
    sections += _correctors(of_results, files, run_dir.resolve().name, path.parent)
    if truth is not None:
        sections.append(reach_section(config, truth, run_dir / "features"))
    training = training_section(run_dir)
    sections += [training] if training else []
    records = read_records(run_dir)
    sections += data
    sections += [
        stages_section(records, [spec.name for spec in stages_of(config)]),
        configuration_section(config),
    ]
    if notes:
        parts = [render("notice.html.jinja", text=encodable(note)) for note in notes]
        sections.insert(0, Section("missing", "Not there yet", Markup("").join(parts)))
    version = next((record["versions"]["tadaloc"] for record in records.values() if "versions" in record), "")
    page = render_page(
        f"Run {encodable(run_dir.resolve().name)}",
        f"{config.model} · seed {config.seed} · {encodable(Path(config.data.root).name)}"
        f"{' (a mini data set)' if config.data.mini else ''} · protocol {run_protocol(config).name}",
        sections,
        tasks=tuple(results.analyses) if results else (),
        media=True,
        footer=f"TAdaLoc {version}; percent unless something else is said.",
        more_styles=[style(), corrector_style()],
        more_scripts=[script(), *corrector_scripts()],
    )
    write_text(path, page)
    return tuple(notes)


def find(run_dir: Path, config: RunConfig) -> tuple[Results | None, AnnotationTable | None, list[str]]:
    """Evaluate what the run has come to: the results, the evaluated subset, and what is missing
    and why."""
    try:
        truth = select_subset(take_stretches(read_annotations(config.data))[0], config.data.validation_subset)
    except (InputError, FileNotFoundError) as error:
        return None, None, [f"No figures, since the annotations cannot be read: {error}"]
    try:
        results = evaluate_run(config, lambda stage: run_dir / stage)
    except (InputError, FileNotFoundError) as error:
        return None, truth, [f"No figures: {error}"]
    notes = [
        f"No {name}: the stage '{stage}' is not complete."
        for name, (stage, _) in {"proposals": PROPOSALS, "detections": DETECTIONS}.items()
        if name not in results.files
    ]
    return results if results.evaluations else None, truth, notes


def _with_player(
    section: Section, files: dict[str, Path], truth: AnnotationTable | None, folder: Path
) -> Section:
    if section.id != TIMELINE or truth is None:
        return section
    shown = {video_id: files[video_id] for video_id in truth.video_ids if video_id in files}
    return replace(section, body=section.body + player(shown, folder))


def _correctors(
    sections: Sequence[Section], files: dict[str, Path], name: str, folder: Path
) -> list[Section]:
    """The best detections of the videos that have a time-line, to be corrected; none where
    classes have two parts."""
    for section in sections:
        content = section.data.get("action")
        if section.id == TIMELINE and content and len(section.data) == 1:
            labels = content["labels"]
            videos = [
                CorrectableVideo(
                    video["id"],
                    video["duration"],
                    files.get(video["id"]),
                    [(start_s, end_s, labels[label], score) for start_s, end_s, label, score, *_ in best],
                )
                for video in content["videos"]
                for best in [sorted(video["found"], key=lambda found: -found[3])[:TO_CORRECT]]
            ]
            return [corrector_section(videos, labels, name, folder)] if videos else []
    return []
