"""The report of a run: what follows from its results, then what follows from its folder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from markupsafe import Markup

from evaluation.analysis import analyse_tasks
from evaluation.files.evaluate import Evaluation, evaluate_tables, select_subset
from evaluation.files.protocols import PROTOCOLS, read_predictions_file
from evaluation.files.sanity import encodable
from evaluation.report.evaluation_page import evaluation_sections
from evaluation.report.overview import describe_file
from evaluation.report.page import Section, render_page
from evaluation.stage import DETECTIONS_NAME, PROPOSALS_NAME
from pipeline.player import player, render, script, style
from pipeline.reach_section import reach_section
from pipeline.run_sections import (
    configuration_section,
    read_records,
    stages_section,
    training_section,
)
from runtime.atomic import write_text
from runtime.config import load_config
from runtime.errors import InputError
from runtime.schema import RunConfig
from video_datasets.annotations import AnnotationTable
from video_datasets.dataset import annotation_file, read_annotations
from video_datasets.predictions import read_predictions
from video_datasets.video.search import index_video_files

TIMELINE = "timeline"
"""Section that the player joins."""


@dataclass(frozen=True)
class Findings:
    """What follows from the results of a run, as far as it has come.

    Attributes:
        sections: of the evaluation, perhaps none.
        tasks: names of the scored tasks.
        truth: annotations of the evaluated subset; None where they cannot be read.
        notes: what is missing, and why.
    """

    sections: tuple[Section, ...] = ()
    tasks: tuple[str, ...] = ()
    truth: AnnotationTable | None = None
    notes: tuple[str, ...] = ()


def write_run_report(run_dir: Path, path: Path, videos: Path | None) -> tuple[str, ...]:
    """Write the page.

    Args:
        run_dir: folder of the run.
        path: HTML file.
        videos: folder of video files; None: that of the run's data.

    Returns:
        What the report lacks, and why.

    Raises:
        InputError: if `run_dir` has no configuration.
    """
    if not (run_dir / "config.yaml").is_file():
        raise InputError(f"{run_dir}: no config.yaml; expected the folder of a run, such as runs/hacs_mini")
    config = load_config(run_dir / "config.yaml")
    found = find(run_dir, config)
    files = index_video_files(videos or Path(config.data.root) / config.data.videos)
    sections = [_with_player(section, files, found.truth, path.parent) for section in found.sections]
    if found.truth is not None:
        sections.append(reach_section(config, found.truth, run_dir / "features"))
    training = training_section(run_dir)
    sections += [training] if training else []
    records = read_records(run_dir)
    sections += [stages_section(records), configuration_section(config)]
    if found.notes:
        parts = [render("notice.html.jinja", text=encodable(note)) for note in found.notes]
        sections.insert(0, Section("missing", "Not there yet", Markup("").join(parts)))
    version = next((record["versions"]["tadaloc"] for record in records.values() if "versions" in record), "")
    page = render_page(
        f"Run {encodable(run_dir.resolve().name)}",
        f"{config.model} · seed {config.seed} · {encodable(Path(config.data.root).name)}"
        f"{' (a mini data set)' if config.data.mini else ''} · protocol {config.evaluation.protocol}",
        sections,
        tasks=found.tasks,
        media=True,
        footer=f"TAdaLoc {version}; percent unless something else is said.",
        more_styles=[style()],
        more_scripts=[script()],
    )
    write_text(path, page)
    return found.notes


def find(run_dir: Path, config: RunConfig) -> Findings:
    """Evaluate what the run has come to."""
    try:
        annotations = read_annotations(config.data)
        truth = select_subset(annotations, config.data.validation_subset)
    except (InputError, FileNotFoundError) as error:
        return Findings(notes=(f"No figures, since the annotations cannot be read: {error}",))
    try:
        return _evaluated(run_dir, config, annotations, truth)
    except (InputError, FileNotFoundError) as error:
        return Findings(truth=truth, notes=(f"No figures: {error}",))


def _evaluated(
    run_dir: Path, config: RunConfig, annotations: AnnotationTable, truth: AnnotationTable
) -> Findings:
    protocol, subset = PROTOCOLS[config.evaluation.protocol], config.data.validation_subset
    paths = {
        "ground truth": annotation_file(config.data),
        "detections": run_dir / "classification" / DETECTIONS_NAME,
        "proposals": run_dir / "proposals" / PROPOSALS_NAME,
    }
    notes = [
        f"No {name}: the stage '{paths[name].parent.name}' is not complete."
        for name in ("proposals", "detections")
        if not paths[name].is_file()
    ]
    scored: Evaluation | None = None
    recalled: Evaluation | None = None
    detections = proposals = None
    if paths["detections"].is_file():
        detections = read_predictions_file(paths["detections"], protocol)
        scored = evaluate_tables(annotations, detections, protocol, subset=subset)
    if paths["proposals"].is_file():
        proposals = read_predictions(paths["proposals"])
        recalled = evaluate_tables(annotations, proposals, protocol, subset=subset, task="proposals")
    if scored is None and recalled is None:
        return Findings(truth=truth, notes=tuple(notes))
    sections = evaluation_sections(
        truth,
        detections=scored,
        analyses=None if detections is None else analyse_tasks(truth, detections, protocol),
        recalled=recalled,
        proposals=proposals,
        files=[describe_file(role, path) for role, path in paths.items() if path.is_file()],
    )
    return Findings(tuple(sections), tuple(scored.detection) if scored else (), truth, tuple(notes))


def _with_player(
    section: Section, files: dict[str, Path], truth: AnnotationTable | None, folder: Path
) -> Section:
    if section.id != TIMELINE or truth is None:
        return section
    shown = {video_id: files[video_id] for video_id in truth.video_ids if video_id in files}
    return replace(section, body=player(shown, folder) + section.body)
