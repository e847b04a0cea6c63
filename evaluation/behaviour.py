"""Numbers of people who watch behaviour: a labelling against a reference, frame by frame and bout
by bout.

    python -m evaluation --protocol behaviour --ground-truth FILE --predictions FILE

Compared are the videos that both files name. They are of any labelling tool (docs/labels.md): two
annotators, or an annotator and a model, of whose detections --min-score keeps the sure ones.
Printed, and written as CSV (--csv) and as a page (--report):

- of every label precision, recall and F1 over cells of time (--cell, 0.1 s), and their mean;
- bouts, their durations, the time budget, and the latency of the first bout, of both;
  of partly labelled videos in the stretches that both have watched, one behind the other;
- of point events precision, recall and F1 of the pairs within a window of tolerance (--tolerance,
  1 s to either side), kappa, counts, rates per minute and latencies; a behaviour is of points where
  one of the files has it without any length, and bouts of the other file stand by their middle;
- Cohen's kappa over cells, and over the starts of bouts and point events within the window;
- the confusion matrix of cells.
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from evaluation.agreement import Agreement, compare
from evaluation.metrics.behaviour import NO_LABEL
from evaluation.point_events import PointAgreement, point_labels, stray_points
from runtime.atomic import write_text
from runtime.errors import InputError
from runtime.exit_codes import EXIT_CODES_HELP, EXIT_DONE, EXIT_SKIPPED_ITEMS, guarded
from runtime.help_text import CommandParser, program_name
from runtime.paths import user_path
from runtime.text import spreadsheet_text
from video_datasets.formats.tools.labelling import Labelling, LabelReading, lines
from video_datasets.formats.tools.merging import best
from video_datasets.formats.tools.table import tool_of
from video_datasets.formats.tools.tool_media import Media
from video_datasets.video.search import index_video_files

MAX_NAMED = 5
"""Videos that a line names."""
_OBSERVERS = ("reference", "other")
_EXAMPLES = """examples:
  python -m evaluation --protocol behaviour --ground-truth anna.boris --predictions ben.boris
  python -m evaluation --protocol behaviour --ground-truth labels.csv --predictions detections.json --min-score 0.4 \\
      --videos videos --csv numbers --report behaviour.html

"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = CommandParser(
        prog=f"{program_name('evaluation')} --protocol behaviour",
        description=__doc__,
        epilog=_EXAMPLES + EXIT_CODES_HELP,
    )
    parser.add_argument("--protocol", choices=["behaviour"], help=argparse.SUPPRESS)
    parser.add_argument("--ground-truth", required=True, type=user_path, metavar="FILE", help="the reference")
    parser.add_argument(
        "--predictions", required=True, type=user_path, metavar="FILE", help="what is compared with it"
    )
    parser.add_argument(
        "--cell", type=float, default=0.1, metavar="SECONDS", help="length of a cell (default 0.1)"
    )
    parser.add_argument(
        "--tolerance",
        type=float,
        default=1.0,
        metavar="SECONDS",
        help="of starts and point events (default 1)",
    )
    parser.add_argument(
        "--points",
        nargs="+",
        default=[],
        metavar="LABEL",
        help="point events to which both files give a length",
    )
    parser.add_argument("--min-score", type=float, default=-math.inf, help="least score of a detection")
    parser.add_argument(
        "--videos", type=user_path, metavar="DIR", help="the videos: their lengths and frame times"
    )
    parser.add_argument(
        "--fps", type=float, default=math.nan, help="where a format counts frames without videos"
    )
    parser.add_argument("--csv", type=user_path, metavar="DIR", help="write each table as a CSV file")
    parser.add_argument("--report", type=user_path, metavar="FILE.html", help="write a page")
    arguments = parser.parse_args(argv)
    return guarded(lambda: _run(arguments))


def _run(arguments: argparse.Namespace) -> int:
    for name in ("cell", "tolerance"):
        if not getattr(arguments, name) > 0:
            raise InputError(f"--{name}: expected seconds above 0, found {getattr(arguments, name):g}")
    media = Media(index_video_files(arguments.videos) if arguments.videos else {}, arguments.fps)
    reference = _read(arguments.ground_truth, media)
    other = best(_read(arguments.predictions, media), arguments.min_score)
    points = point_labels(reference, other, arguments.points)
    lost = [*lines(reference.notes.lost), *lines(other.notes.lost)]
    lost += _alone(arguments.ground_truth, reference, other) + _alone(arguments.predictions, other, reference)
    lost += stray_points(arguments.ground_truth, reference, points)
    lost += stray_points(arguments.predictions, other, points)
    found = compare(
        reference,
        other,
        cell_s=arguments.cell,
        tolerance_s=arguments.tolerance,
        media=media,
        points=points,
    )
    tables = tables_of(found)
    print(text_of(found))
    for name, rows in tables.items():
        print(f"\n{name}\n{_columns(rows)}")
        if arguments.csv:
            write_text(arguments.csv / f"{name}.csv", _csv(rows))
    if arguments.report:
        from evaluation.report.behaviour_page import write_behaviour_page  # jinja2 is slow to load

        write_behaviour_page(arguments.report, text_of(found), found, tables, lost)
    for line in lost:
        print(line, file=sys.stderr)
    return EXIT_SKIPPED_ITEMS if lost else EXIT_DONE


def _alone(path: Path, labelling: Labelling, other: Labelling) -> list[str]:
    """A line on the videos that one file alone names, which cannot be compared."""
    known = {video.video_id for video in other.videos}
    alone = [video.video_id for video in labelling.videos if video.video_id not in known]
    more = ", ..." if len(alone) > MAX_NAMED else ""
    names = ", ".join(alone[:MAX_NAMED]) + more
    return [f"{path}: {len(alone)} videos that the other file lacks, left out: {names}"] if alone else []


def _read(path: Path, media: Media) -> Labelling:
    return tool_of(path).read(path, LabelReading(media.clock_of, keeps_points=True))


# ---- showing


def text_of(found: Agreement) -> str:
    """A few lines of the whole."""
    text = f"{found.seconds:.1f} s observed, {len(found.labels)} labels of bouts"
    if found.labels:
        text += (
            f"\nmean F1 of cells {_number(found.mean_f1)}, Cohen's kappa of cells {_number(found.kappa)},"
            f" of starts {_number(found.event_kappa)}"
        )
    scores = found.points.scores
    if scores:
        text += (
            f"\n{len(scores)} labels of point events, within {scores[0].tolerance_s:g} s: mean F1"
            f" {_number(found.points.mean_f1)}, {sum(score.paired for score in scores)} pairs"
        )
    return text


def tables_of(found: Agreement) -> dict[str, list[list[str]]]:
    """Tables by name, each with a header; those of bouts or points where there are any."""
    tables: dict[str, list[list[str]]] = {}
    if found.labels:
        tables |= {"frames": _frames(found), "budgets": _budgets(found), "confusion": _confusion(found)}
    if found.points.scores:
        tables |= {"points": _points(found.points), "rates": _rates(found.points)}
    return tables


def _frames(found: Agreement) -> list[list[str]]:
    rows = [["label", "precision", "recall", "F1", "reference cells", "other cells", "both"]]
    for score in found.frames:
        shares = [_number(value) for value in (score.precision, score.recall, score.f1)]
        counts = (score.reference_cells, score.other_cells, score.both_cells)
        rows.append([score.label, *shares, *map(str, counts)])
    return rows


def _budgets(found: Agreement) -> list[list[str]]:
    rows = [["label", "of", "bouts", "total s", "share", "mean s", "std s", "latency s"]]
    for pair in zip(found.reference, found.other, strict=True):
        for name, one in zip(_OBSERVERS, pair, strict=True):
            numbers = (one.total_s, one.share, one.mean_s, one.std_s, one.latency_s)
            rows.append([one.label, name, str(one.bouts), *map(_number, numbers)])
    return rows


def _confusion(found: Agreement) -> list[list[str]]:
    names = [*found.labels, NO_LABEL]
    rows = [["reference \\ other", *names]]
    for name, row in zip(names, found.matrix.tolist(), strict=True):
        rows.append([name, *(f"{round(value, 3):.12g}" for value in row)])
    return rows


def _points(points: PointAgreement) -> list[list[str]]:
    rows = [["label", "precision", "recall", "F1", "kappa", "reference events", "other events", "pairs"]]
    for score in points.scores:
        shares = [_number(value) for value in (score.precision, score.recall, score.f1, score.kappa)]
        counts = (score.reference_events, score.other_events, score.paired)
        rows.append([score.label, *shares, *map(str, counts)])
    return rows


def _rates(points: PointAgreement) -> list[list[str]]:
    rows = [["label", "of", "events", "per minute", "latency s"]]
    for pair in zip(points.reference, points.other, strict=True):
        for name, one in zip(_OBSERVERS, pair, strict=True):
            rows.append([one.label, name, str(one.events), _number(one.per_minute), _number(one.latency_s)])
    return rows


def _number(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4g}"


def _columns(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows
    )


def _csv(rows: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(map(spreadsheet_text, row) for row in rows)
    return text.getvalue()
