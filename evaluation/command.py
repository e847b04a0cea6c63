"""`python -m evaluation`: score a file of predictions as the official evaluator would."""

from __future__ import annotations

import argparse
import gc
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.atomic import write_json, write_text
from runtime.errors import InputError
from runtime.exit_codes import EXIT_CODES_HELP, guarded

if TYPE_CHECKING:
    from evaluation.files.evaluate import Evaluation
    from evaluation.files.protocols import Protocol
    from video_datasets.annotations import AnnotationTable
    from video_datasets.predictions import Predictions

DESCRIPTION = """\
Score detections (mAP) or proposals (AR@AN and its AUC) as the official evaluators do.

The figures agree with ActivityNet eval_detection / eval_proposal (82304fa), which HACS uses too, and with
EPIC-KITCHENS C2-Action-Detection (4835721); of equal scores the one later in the file ranks first. The screen
shows percent, --json and --per-class give fractions in full precision."""

EPILOG = f"""\
examples:
  python -m evaluation --protocol hacs --ground-truth HACS_segments_v1.1.1.json --predictions detections.json
  python -m evaluation --protocol hacs --ground-truth HACS_segments_v1.1.1.json --predictions proposals.h5 \\
      --task proposals --json recall.json
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

JSON files may be gzip files. {EXIT_CODES_HELP}"""

PROTOCOL_NAMES = ("hacs", "activitynet", "ek100", "ek100-separate")


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        argv: arguments; None takes those of the process.
    """
    arguments = make_parser().parse_args(argv)
    with garbage_collection_paused():
        return guarded(lambda: _run(arguments))


@contextmanager
def garbage_collection_paused() -> Iterator[None]:
    """Spare the collector its walks over the million objects of a parsed file; none of them is garbage."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def make_parser() -> argparse.ArgumentParser:
    """Define the arguments; imports nothing heavy, so that --help is quick."""
    parser = argparse.ArgumentParser(
        prog="python -m evaluation",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--protocol", required=True, choices=PROTOCOL_NAMES)
    add("--ground-truth", required=True, type=Path, metavar="FILE", help="official annotations, JSON or CSV")
    add("--predictions", type=Path, metavar="FILE", help="submission JSON or HDF5 of this project")
    add("--verb-predictions", type=Path, metavar="FILE", help="ek100-separate: scored for verbs alone")
    add("--noun-predictions", type=Path, metavar="FILE", help="ek100-separate: scored for nouns alone")
    add("--subset", default="validation", help="of HACS and ActivityNet (default: %(default)s)")
    add("--task", default="detection", choices=("detection", "proposals"))
    add("--json", type=Path, metavar="FILE", help="write all figures here")
    add("--per-class", type=Path, metavar="CSV", help="write AP, recall and counts of each class here")
    add(
        "--report",
        type=Path,
        metavar="HTML",
        help="write tables, curves, diagnosis and time-lines as one page",
    )
    add("--diagnosis", type=Path, metavar="FILE", help="write errors and hard cases (DETAD) here as JSON")
    add("--tail-verbs", type=Path, metavar="CSV", help="ek100: also score these classes, column 'verb'")
    add("--tail-nouns", type=Path, metavar="CSV", help="ek100: also score these classes, column 'noun'")
    add("--unseen-participants", type=Path, metavar="CSV", help="ek100: also score them, 'participant_id'")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    from evaluation.files.evaluate import evaluate_tables
    from evaluation.files.protocols import PROTOCOLS
    from evaluation.files.splits import SplitLists, add_splits, read_list
    from evaluation.tables import render_evaluation

    _check_combination(arguments)
    protocol = PROTOCOLS[arguments.protocol]
    annotations = protocol.read_ground_truth(arguments.ground_truth)
    predictions = _read_predictions(arguments, protocol)
    evaluation = evaluate_tables(
        annotations, predictions, protocol, subset=arguments.subset, task=arguments.task
    )
    lists = {name: read_list(path, column) for name, (path, column) in _list_options(arguments).items()}
    if lists:
        evaluation = add_splits(evaluation, annotations, predictions, protocol, SplitLists(**lists))
    for note in evaluation.notes:
        print(f"warning: {note}", file=sys.stderr)
    print(render_evaluation(evaluation))
    _write_files(evaluation, arguments)
    if arguments.report or arguments.diagnosis:
        _write_analysis(evaluation, annotations, predictions, protocol, arguments)
    return 0


def _check_combination(arguments: argparse.Namespace) -> None:
    """Refuse options that do not go together."""
    separate = [path for path in (arguments.verb_predictions, arguments.noun_predictions) if path]
    if separate and arguments.protocol != "ek100-separate":
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
    if _list_options(arguments) and not (
        arguments.protocol.startswith("ek100") and arguments.task == "detection"
    ):
        raise InputError("--tail-verbs, --tail-nouns and --unseen-participants are for detections of EK100")


def _list_options(arguments: argparse.Namespace) -> dict[str, tuple[Path, str]]:
    """The lists that were given: field of `SplitLists` -> file and its column."""
    columns = {"tail_verbs": "verb", "tail_nouns": "noun", "unseen_participants": "participant_id"}
    given = {name: getattr(arguments, name) for name in columns}
    return {name: (path, columns[name]) for name, path in given.items() if path}


def _read_predictions(
    arguments: argparse.Namespace, protocol: Protocol
) -> Predictions | Mapping[str, Predictions]:
    from evaluation.files.protocols import read_predictions_file

    if arguments.predictions:
        return read_predictions_file(arguments.predictions, protocol)
    paths = {"verb": arguments.verb_predictions, "noun": arguments.noun_predictions}
    return {task: read_predictions_file(path, protocol) for task, path in paths.items() if path}


def _write_files(evaluation: Evaluation, arguments: argparse.Namespace) -> None:
    from evaluation.files.metrics_json import evaluation_to_json
    from evaluation.tables import per_class_csv

    if arguments.json:
        write_json(arguments.json, evaluation_to_json(evaluation))
    if arguments.per_class:
        write_text(arguments.per_class, per_class_csv(evaluation))


def _write_analysis(
    evaluation: Evaluation,
    annotations: AnnotationTable,
    predictions: Predictions | Mapping[str, Predictions],
    protocol: Protocol,
    arguments: argparse.Namespace,
) -> None:
    from evaluation.analysis import analyse_tasks, analyses_to_json
    from evaluation.files.evaluate import select_subset
    from video_datasets.predictions import Predictions

    truth = select_subset(annotations, arguments.subset)
    analyses = analyse_tasks(truth, predictions, protocol) if arguments.task == "detection" else {}
    if arguments.diagnosis:
        write_json(arguments.diagnosis, analyses_to_json(analyses, protocol))
    if arguments.report:
        from evaluation.report.evaluation_page import write_report

        is_detection = arguments.task == "detection"
        write_report(
            arguments.report,
            truth,
            detections=evaluation if is_detection else None,
            analyses=analyses,
            recalled=None if is_detection else evaluation,
            proposals=predictions if isinstance(predictions, Predictions) and not is_detection else None,
            files=_input_files(arguments),
        )


def _input_files(arguments: argparse.Namespace) -> dict[str, Path]:
    """The files that the figures follow from, by their role."""
    files = {
        "ground truth": arguments.ground_truth,
        "predictions": arguments.predictions,
        "verb predictions": arguments.verb_predictions,
        "noun predictions": arguments.noun_predictions,
    }
    files |= {
        f"list of {name.replace('_', ' ')}": path for name, (path, _) in _list_options(arguments).items()
    }
    return {role: path for role, path in files.items() if path}
