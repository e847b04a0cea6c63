"""`python -m evaluation.check`: say everything that is wrong or odd about a submission, without
scoring it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from evaluation.arguments import add_ground_truth, add_protocol, make_parser, run_command
from runtime.errors import InputError
from runtime.exit_codes import EXIT_BAD_INPUT
from runtime.paths import user_path

if TYPE_CHECKING:
    from evaluation.files.protocols import Protocol
    from evaluation.files.rules import Findings, Rules
    from video_datasets.predictions import Predictions

DESCRIPTION = """\
Check a submission file: the rules of the official validators, and stricter ones as warnings.

All errors are collected; the first 20 are shown, each with its video, entry and field. With --ground-truth the
videos, classes and times are compared with it too. Warnings alone exit with 0, errors with 2."""

EXAMPLES = """\
  python -m evaluation.check submission.json --protocol ek100
  python -m evaluation.check detections.json --protocol hacs --ground-truth HACS_segments_v1.1.1.json"""


@dataclass(frozen=True)
class CheckedFile:
    """A submission and what was found.

    Attributes:
        path: of the file.
        predictions: its columns; None if entries are unreadable.
        findings: errors, warnings and notes.
    """

    path: Path
    predictions: Predictions | None
    findings: Findings


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        argv: arguments; None takes those of the process.
    """
    return run_command(command_parser(), _run, argv)


def command_parser() -> argparse.ArgumentParser:
    """Define the arguments."""
    parser = make_parser("evaluation.check", DESCRIPTION, EXAMPLES)
    help_file = "submission JSON, plain, gzip or packed, CSV, or HDF5 of this project"
    parser.add_argument("file", type=user_path, metavar="FILE", help=help_file)
    add_protocol(parser, tiou=False)
    add_ground_truth(parser, required=False)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    from evaluation.files.protocols import protocol_named

    protocol = protocol_named(arguments.protocol)
    checked = check_file(arguments.file, protocol)
    table = ""
    if checked.predictions is not None and not checked.findings.errors:
        if arguments.ground_truth:
            table = _compare(checked.predictions, checked.findings, protocol, arguments)
        else:
            _look_at(checked.predictions, checked.findings)
    print(render_check(checked, protocol.name))
    if table:
        print(f"\nagainst {arguments.ground_truth}\n{table}")
    return EXIT_BAD_INPUT if checked.findings.errors else 0


def check_file(path: Path, protocol: Protocol) -> CheckedFile:
    """Check a submission by itself.

    Args:
        path: JSON, plain, gzip or packed; or CSV or columnar HDF5 (which have no header to check).
        protocol: whose rules count.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is none of them, or JSON in which a key is there twice, such as the id of
            a video: readers keep the last one without a word.
    """
    from evaluation.files.read import is_json_file, read_predictions_file
    from evaluation.files.refusals import not_finite_predictions
    from evaluation.files.rules import Findings
    from video_datasets.annotations import read_json_object

    predictions: Predictions | None
    if is_json_file(path):
        predictions, findings = check_content(read_json_object(path, refuse_duplicates=True), protocol.rules)
    else:
        predictions, findings = read_predictions_file(path, protocol), Findings()
    if predictions is not None:
        findings.errors += not_finite_predictions(predictions)
    return CheckedFile(path, predictions, findings)


def check_content(content: Mapping[str, Any], rules: Rules) -> tuple[Predictions | None, Findings]:
    """Check the parsed content of a submission: its predictions, if they are readable, and the
    findings."""
    from video_datasets.formats.submission_entries import read_entries

    findings = rules.check(content)
    predictions, errors = read_entries(content, rules.entry)
    findings.errors += errors
    return predictions, findings


def _look_at(predictions: Predictions, findings: Findings) -> None:
    """Add what the columns show without a ground truth."""
    import numpy as np

    from evaluation.files.sanity import count_duplicates, count_outside, oddity_notes
    from evaluation.files.units import unit_suspicion_alone

    findings.warnings += oddity_notes(
        len(predictions),
        inverted=int(np.count_nonzero(predictions.end_s < predictions.start_s)),
        zero_length=int(np.count_nonzero(predictions.end_s == predictions.start_s)),
        outside_duration=count_outside(predictions, np.full(len(predictions), np.nan)),
        duplicates=count_duplicates(predictions),
    )
    suspicion = unit_suspicion_alone(predictions)
    findings.warnings += [suspicion] if suspicion else []
    if not len(predictions):
        findings.warnings.append("the file has no predictions at all")


def _compare(
    predictions: Predictions, findings: Findings, protocol: Protocol, arguments: argparse.Namespace
) -> str:
    """Add what the columns show against a ground truth, and return the table of an evaluation."""
    from evaluation.files.evaluate import evaluate_tables, subset_of
    from evaluation.files.read import read_ground_truth
    from evaluation.files.watched import only_watched
    from evaluation.report.tables import data_table
    from video_datasets.predictions import NO_LABEL

    truth = read_ground_truth(arguments.ground_truth, protocol, arguments.format)
    truth, predictions = only_watched(truth, predictions)
    subset = arguments.subset or subset_of(truth, protocol)
    task = "proposals" if (predictions.label == NO_LABEL).all() else "detection"
    try:
        evaluation = evaluate_tables(truth, predictions, protocol, subset=subset, task=task)
    except InputError as error:  # e.g. no video in common
        findings.errors.append(str(error))
        return ""
    findings.warnings += evaluation.notes
    return data_table(evaluation)


def render_check(checked: CheckedFile, protocol: str) -> str:
    """Render the findings, the first 20 of each kind, and the verdict."""
    from runtime.errors import MAX_SHOWN_ERRORS

    findings, predictions = checked.findings, checked.predictions
    lines = [f"{checked.path}: checked by the rules of {protocol}"]
    if predictions is not None:
        lines.append(f"{len(predictions)} predictions in {len(predictions.videos)} videos")
    for kind in ("errors", "warnings", "notes"):
        found = getattr(findings, kind)
        more = f", the first {MAX_SHOWN_ERRORS}" if len(found) > MAX_SHOWN_ERRORS else ""
        lines.append(f"{kind}: {len(found)}{more}")
        lines += [f"  {text}" for text in found[:MAX_SHOWN_ERRORS]]
    lines.append("not ready: correct the errors" if findings.errors else "ready")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
