"""The one evaluation of a run: what its stages left, scored by its protocol against the raw
annotations.

A run whose stages left a file a task (EPIC-KITCHENS-100) is scored twice: by the joint protocol of
the challenge, all tasks from the one submission, and by the separate one that ActionFormer and
OpenTAD report. The figures of the second must not be compared with those of the first.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from evaluation.files.evaluate import evaluate_tables, select_subset
from evaluation.files.protocols import PROTOCOLS, Protocol, protocol_named, protocol_of_format
from evaluation.files.read import read_predictions_file
from evaluation.files.watched import only_watched
from evaluation.reader_names import reader_names
from evaluation.results import Results, Scored
from runtime.garbage import garbage_collection_paused
from runtime.sections import RunConfig
from video_datasets.annotations import AnnotationTable
from video_datasets.dataset import annotation_file, read_annotations
from video_datasets.formats import format_of
from video_datasets.predictions import read_predictions
from video_datasets.watched import take_stretches

DETECTIONS = ("classification", "detections.json")
"""Stage and file."""
PROPOSALS = ("proposals", "proposals.h5")


def run_protocol(config: RunConfig) -> Protocol:
    """Return the protocol of a run, with its thresholds: that of its data's format where none is
    named.

    Raises:
        InputError: if `evaluation.protocol` or `evaluation.tiou` is wrong.
    """
    name = config.evaluation.protocol or protocol_of_format(format_of(config.data).name)
    return protocol_named(name, config.evaluation.tiou)


@garbage_collection_paused()
def evaluate_run(config: RunConfig, folder: Callable[[str], Path]) -> Results:
    """Score detections and proposals of a run, whichever are there.

    Args:
        config: of the run.
        folder: name of a stage -> its folder.

    Raises:
        InputError: if annotations or predictions are unsound, see
            `evaluation.files.evaluate.evaluate_tables`.
        FileNotFoundError: if there are no annotations.
    """
    protocol, subset = run_protocol(config), config.data.validation_subset
    everything = read_annotations(config.data)
    annotations, _ = take_stretches(everything)
    files = {"ground truth": annotation_file(config.data)}
    detections = proposals = None
    labels: tuple[str, ...] = ()
    path = folder(DETECTIONS[0]) / DETECTIONS[1]
    if path.is_file():
        files["detections"] = path
        _, found = only_watched(everything, read_predictions_file(path, protocol))
        labels = found.labels
        detections = Scored(found, evaluate_tables(annotations, found, protocol, subset=subset))
    path = folder(PROPOSALS[0]) / PROPOSALS[1]
    if path.is_file():
        files["proposals"] = path
        _, found = only_watched(everything, read_predictions(path))
        recalled = evaluate_tables(annotations, found, protocol, subset=subset, task="proposals")
        proposals = Scored(found, recalled)
    names = reader_names(config.data, protocol, (*annotations.labels, *labels))
    return Results(
        protocol,
        select_subset(annotations, subset),
        detections,
        proposals,
        _separate(everything, protocol, subset, folder(DETECTIONS[0])),
        files,
        names,
    )


def _separate(annotations: AnnotationTable, joint: Protocol, subset: str, folder: Path) -> Scored | None:
    """Score each task from its own file by the protocol beside the joint one; None where there
    are no such files."""
    if not joint.beside:
        return None
    protocol = PROTOCOLS[joint.beside]
    files = {task: folder / name for task, name in protocol.task_files.items()}
    if not all(path.is_file() for path in files.values()):
        return None
    read = {task: read_predictions_file(path, protocol) for task, path in files.items()}
    annotations, found = only_watched(annotations, read)
    return Scored(found, evaluate_tables(annotations, found, protocol, subset=subset))
