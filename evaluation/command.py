"""`python -m evaluation`: score a file of predictions as the official evaluator would."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from evaluation.arguments import add_ground_truth, add_protocol, make_parser, run_command
from runtime.atomic import write_json, write_text
from runtime.errors import InputError
from runtime.overwriting import refuse_overwriting
from runtime.paths import user_path

if TYPE_CHECKING:
    from evaluation.files.evaluate import Evaluation
    from evaluation.files.protocols import Protocol
    from evaluation.reader_names import ReaderNames
    from evaluation.results import Results
    from video_datasets.predictions import Predictions

DESCRIPTION = """\
Score detections (mAP) or proposals (AR@AN and its AUC) as the official evaluators do.

The figures agree with ActivityNet eval_detection / eval_proposal (82304fa), which HACS uses too, and with
EPIC-KITCHENS C2-Action-Detection (4835721); of equal scores the one later in the file ranks first. The screen
shows percent, --json and --per-class give fractions in full precision."""

LISTS = ("tail_verbs", "tail_nouns", "unseen_participants")
EXAMPLES = """\
  python -m evaluation --protocol hacs --ground-truth HACS_segments_v1.1.1.json --predictions detections.json
  python -m evaluation --protocol hacs --ground-truth HACS_segments_v1.1.1.json --predictions proposals.h5 \\
      --task proposals --json recall.json
  python -m evaluation --protocol thumos --ground-truth thumos14.json --predictions detections.json
  python -m evaluation --protocol hacs --tiou 0.1:0.1:0.9 --ground-truth segments.csv --predictions found.csv
  python -m evaluation --protocol ek100 --ground-truth EPIC_100_validation.csv \\
      --predictions submission.json --json metrics.json --per-class classes.csv
  python -m evaluation --protocol hacs --ground-truth HACS_segments_v1.1.1.json --predictions detections.json \\
      --report report.html --diagnosis diagnosis.json
  python -m evaluation --protocol ek100-separate --ground-truth EPIC_100_validation.csv \\
      --verb-predictions verbs.json --noun-predictions nouns.json
to compare, to check or to pack files (see their own --help):
  python -m evaluation.compare before.json after.json --ground-truth HACS_segments_v1.1.1.json
  python -m evaluation.check submission.json --protocol ek100
  python -m evaluation.pack submission.json --out submission.zip
as a stage of a run:
  python -m evaluation --config configs/hacs_mini.yaml

JSON files may be gzip files."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        argv: arguments; None takes those of the process.
    """
    return run_command(command_parser(), _run, argv)


def command_parser() -> argparse.ArgumentParser:
    """Define the arguments; imports nothing heavy, so that --help is quick."""
    parser = make_parser("evaluation", DESCRIPTION, EXAMPLES)
    add_protocol(parser)
    add_ground_truth(parser)
    add = parser.add_argument
    add(
        "--predictions",
        type=user_path,
        metavar="FILE",
        help="submission JSON or its zip, CSV, or HDF5 of this project",
    )
    add("--verb-predictions", type=user_path, metavar="FILE", help="ek100-separate: scored for verbs alone")
    add("--noun-predictions", type=user_path, metavar="FILE", help="ek100-separate: scored for nouns alone")
    add("--task", default="detection", choices=("detection", "proposals"))
    add("--json", type=user_path, metavar="FILE", help="write all figures here")
    add("--per-class", type=user_path, metavar="CSV", help="write AP, recall and counts of each class here")
    add(
        "--report",
        type=user_path,
        metavar="HTML",
        help="write tables, curves, diagnosis and time-lines as one page",
    )
    add(
        "--diagnosis", type=user_path, metavar="FILE", help="write errors and hard cases (DETAD) here as JSON"
    )
    add("--tail-verbs", type=user_path, metavar="CSV", help="ek100: also score these classes, column 'verb'")
    add("--tail-nouns", type=user_path, metavar="CSV", help="ek100: also score these classes, column 'noun'")
    add(
        "--unseen-participants",
        type=user_path,
        metavar="CSV",
        help="ek100: also score them, 'participant_id'",
    )
    return parser


def _run(arguments: argparse.Namespace) -> int:
    from evaluation.files.evaluate import evaluate_tables, select_subset, subset_of
    from evaluation.files.protocols import protocol_named
    from evaluation.files.read import read_ground_truth
    from evaluation.files.splits import SplitLists, add_splits, read_list
    from evaluation.files.watched import only_watched
    from evaluation.report.tables import render_evaluation
    from evaluation.results import Results, Scored

    protocol = protocol_named(arguments.protocol, arguments.tiou, arguments.task)
    _check_combination(arguments, protocol)
    outputs = (arguments.json, arguments.per_class, arguments.report, arguments.diagnosis)
    refuse_overwriting(outputs, _input_files(arguments, protocol).values())
    annotations = read_ground_truth(arguments.ground_truth, protocol, arguments.format)
    annotations, predictions = only_watched(annotations, _read_predictions(arguments, protocol))
    subset = arguments.subset or subset_of(annotations, protocol)
    evaluation = evaluate_tables(annotations, predictions, protocol, subset=subset, task=arguments.task)
    lists = {name: read_list(path, column) for name, (path, column) in _lists(arguments, protocol).items()}
    if lists:
        evaluation = add_splits(evaluation, annotations, predictions, protocol, SplitLists(**lists))
    for note in evaluation.notes:
        print(f"warning: {note}", file=sys.stderr)
    print(render_evaluation(evaluation))
    scored = Scored(predictions, evaluation)
    of_detections = arguments.task == "detection"
    results = Results(
        protocol,
        select_subset(annotations, subset),
        scored if of_detections else None,
        None if of_detections else scored,
        files=_input_files(arguments, protocol),
        names=_names(arguments, protocol, annotations.labels),
    )
    _write_files(results, evaluation, arguments)
    for path in filter(None, outputs):
        print(f"wrote {path}", file=sys.stderr)
    return 0


def _check_combination(arguments: argparse.Namespace, protocol: Protocol) -> None:
    """Refuse options that do not go together."""
    separate = _task_files(arguments)
    if separate and not separate.keys() <= protocol.task_files.keys():
        raise InputError("--verb-predictions and --noun-predictions belong to --protocol ek100-separate")
    if bool(separate) == bool(arguments.predictions):
        raise InputError(
            "give --predictions (or, with ek100-separate, --verb-predictions/--noun-predictions)"
        )
    if separate and arguments.task == "proposals":
        raise InputError("--task proposals scores one file: give --predictions")
    for option in ("per_class", "diagnosis"):
        if getattr(arguments, option) and arguments.task == "proposals":
            name = option.replace("_", "-")
            raise InputError(f"--{name} needs --task detection, proposals have no classes")
    given = [name for name in LISTS if getattr(arguments, name)]
    if not set(given) <= protocol.splits.keys() or (given and arguments.task != "detection"):
        raise InputError("--tail-verbs, --tail-nouns and --unseen-participants are for detections of EK100")


def _lists(arguments: argparse.Namespace, protocol: Protocol) -> dict[str, tuple[Path, str]]:
    """The lists that were given: field of `SplitLists` -> file and its column."""
    given = {name: getattr(arguments, name) for name in LISTS}
    return {name: (path, protocol.splits[name]) for name, path in given.items() if path}


def _task_files(arguments: argparse.Namespace) -> dict[str, Path]:
    files = {"verb": arguments.verb_predictions, "noun": arguments.noun_predictions}
    return {task: path for task, path in files.items() if path}


def _read_predictions(
    arguments: argparse.Namespace, protocol: Protocol
) -> Predictions | Mapping[str, Predictions]:
    from evaluation.files.read import read_predictions_file

    if arguments.predictions:
        return read_predictions_file(arguments.predictions, protocol)
    return {task: read_predictions_file(path, protocol) for task, path in _task_files(arguments).items()}


def _write_files(results: Results, evaluation: Evaluation, arguments: argparse.Namespace) -> None:
    from evaluation.diagnosis.tasks import analyses_to_json
    from evaluation.files.metrics_json import evaluation_to_json
    from evaluation.report.tables import per_class_csv

    if arguments.json:
        write_json(arguments.json, evaluation_to_json(evaluation))
    if arguments.per_class:
        write_text(arguments.per_class, per_class_csv(evaluation))
    if arguments.diagnosis:
        write_json(arguments.diagnosis, analyses_to_json(results.analyses, results.protocol))
    if arguments.report:
        from evaluation.report.evaluation_page import write_report  # jinja2 is slow to load

        write_report(arguments.report, results)


def _names(arguments: argparse.Namespace, protocol: Protocol, labels: Sequence[str]) -> ReaderNames:
    """Of labels and classes on the page, from the lists beside the annotations."""
    from evaluation.reader_names import ReaderNames, reader_names
    from video_datasets.settings import DataConfig

    if not arguments.report:
        return ReaderNames()
    data = DataConfig(root=str(arguments.ground_truth.parent), format=protocol.format.name)
    return reader_names(data, protocol, labels)


def _input_files(arguments: argparse.Namespace, protocol: Protocol) -> dict[str, Path]:
    """The files that the figures follow from, by their role."""
    files = {
        "ground truth": arguments.ground_truth,
        "predictions": arguments.predictions,
        "verb predictions": arguments.verb_predictions,
        "noun predictions": arguments.noun_predictions,
    }
    files |= {
        f"list of {name.replace('_', ' ')}": path for name, (path, _) in _lists(arguments, protocol).items()
    }
    return {role: path for role, path in files.items() if path}
