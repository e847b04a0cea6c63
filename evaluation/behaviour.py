"""Numbers of people who watch behaviour: a labelling against a reference, frame by frame and bout
by bout.

    python -m evaluation --protocol behaviour --ground-truth FILE --predictions FILE

Compared are the videos that both files name. They are of any labelling tool (docs/labels.md): two
annotators, or an annotator and a model, of whose detections --min-score keeps the sure ones.
Printed, and written as CSV (--csv) and as a page (--report):

- of every label precision, recall and F1 over cells of time (--cell, 0.1 s), and their mean;
- bouts, their durations, the time budget, and the latency of the first bout, of both;
  of partly labelled videos in the stretches that both have watched, one behind the other;
- Cohen's kappa over cells, and over the starts of bouts with a window of tolerance (--tolerance, 1
  s);
- the confusion matrix of cells.
"""

from __future__ import annotations

import argparse
import csv
import io
import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from evaluation.metrics.behaviour import (
    NO_LABEL,
    Budget,
    FrameScore,
    active_cells,
    budget,
    cell_confusion,
    cohens_kappa,
    event_kappa,
    frame_score,
)
from evaluation.metrics.observed import Pairs, common, on_observed_time
from runtime.atomic import write_text
from runtime.errors import InputError
from runtime.exit_codes import EXIT_CODES_HELP, EXIT_DONE, EXIT_SKIPPED_ITEMS, guarded
from runtime.help_text import HelpText, program_name
from runtime.paths import user_path
from runtime.text import spreadsheet_text
from video_datasets.formats.tools.labelling import AnnotatedVideo, Labelling, LabelReading, best, lines
from video_datasets.formats.tools.table import tool_of
from video_datasets.formats.tools.tool_media import Media
from video_datasets.video.search import index_video_files
from video_datasets.watched import WATCHED

MAX_NAMED = 5
"""Videos that a line names."""
_EXAMPLES = """examples:
  python -m evaluation --protocol behaviour --ground-truth anna.boris --predictions ben.boris
  python -m evaluation --protocol behaviour --ground-truth labels.csv --predictions detections.json --min-score 0.4 \\
      --videos videos --csv numbers --report behaviour.html

"""


@dataclass(frozen=True)
class Agreement:
    """All numbers of two labellings.

    Attributes:
        labels: that either has, sorted.
        frames: per label.
        matrix: (K + 1, K + 1), see `confusion`.
        kappa: over cells.
        event_kappa: over starts of bouts.
        reference: budget per label.
        other: likewise.
        seconds: observed time.
    """

    labels: tuple[str, ...]
    frames: tuple[FrameScore, ...]
    matrix: np.ndarray
    kappa: float
    event_kappa: float
    reference: tuple[Budget, ...]
    other: tuple[Budget, ...]
    seconds: float

    @property
    def mean_f1(self) -> float:
        """Mean F1 of the labels, each with the same weight."""
        return float(np.mean([score.f1 for score in self.frames])) if self.frames else math.nan


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog=f"{program_name('evaluation')} --protocol behaviour",
        description=__doc__,
        formatter_class=HelpText,
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
        "--tolerance", type=float, default=1.0, metavar="SECONDS", help="of starts (default 1)"
    )
    parser.add_argument("--min-score", type=float, default=-math.inf, help="least score of a detection")
    parser.add_argument(
        "--videos", type=user_path, metavar="DIR", help="the videos: their lengths and frame times"
    )
    parser.add_argument(
        "--fps", type=float, default=math.nan, help="where a format counts frames without videos"
    )
    parser.add_argument(
        "--csv", type=user_path, metavar="DIR", help="write frames.csv, budgets.csv, confusion.csv"
    )
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
    lost = [*lines(reference.notes.lost), *lines(other.notes.lost)]
    lost += _alone(arguments.ground_truth, reference, other) + _alone(arguments.predictions, other, reference)
    found = compare(reference, other, cell_s=arguments.cell, tolerance_s=arguments.tolerance, media=media)
    tables = tables_of(found)
    print(text_of(found))
    for name, rows in tables.items():
        print(f"\n{name}\n{_columns(rows)}")
        if arguments.csv:
            write_text(arguments.csv / f"{name}.csv", _csv(rows))
    if arguments.report:
        from evaluation.report.behaviour_page import write_behaviour_page  # jinja2 is slow to load

        write_behaviour_page(arguments.report, text_of(found), tables, lost)
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
    return tool_of(path).read(path, LabelReading(media.clock_of))


def compare(
    reference: Labelling, other: Labelling, *, cell_s: float, tolerance_s: float, media: Media | None = None
) -> Agreement:
    """Compare a labelling with a reference, over the videos that both name.

    Args:
        reference: one observer's.
        other: another's, or a model's.
        cell_s: length of a cell.
        tolerance_s: half width of the window in which starts agree.
        media: the videos, for lengths that no labelling tells; without them a video ends with its
            last bout.

    Raises:
        InputError: if there is none.
    """
    by_id = {video.video_id: video for video in other.videos}
    pairs = [(video, by_id[video.video_id]) for video in reference.videos if video.video_id in by_id]
    if not pairs:
        raise InputError(
            "expected two labellings with a video in common, found none; compare their videos' names"
        )
    firsts, seconds = ([pair[side] for pair in pairs] for side in (0, 1))
    labels = tuple(sorted({bout.label for video in (*firsts, *seconds) for bout in video.bouts} - {WATCHED}))
    durations_s = [_duration_s(*pair, media) for pair in pairs]
    cells = [math.ceil(duration_s / cell_s - 1e-9) for duration_s in durations_s]
    known = np.concatenate(
        [
            _watched(video, n, cell_s) & _watched(by_id[video.video_id], n, cell_s)
            for video, n in zip(firsts, cells, strict=True)
        ]
    )
    first, second = (
        _all_active(videos, labels, cells, cell_s)[known] for videos in (firsts, seconds)
    )  # T x K
    stretches = [_observed(*pair, duration_s) for pair, duration_s in zip(pairs, durations_s, strict=True)]
    starts, other_starts = (
        _starts(videos, stretches, durations_s, tolerance_s) for videos in (firsts, seconds)
    )
    matrix = cell_confusion(first, second)
    return Agreement(
        labels=labels,
        frames=tuple(frame_score(label, first[:, k], second[:, k]) for k, label in enumerate(labels)),
        matrix=matrix,
        kappa=cohens_kappa(matrix),
        event_kappa=event_kappa(starts, other_starts, tolerance_s),
        reference=_budgets(firsts, labels, stretches),
        other=_budgets(seconds, labels, stretches),
        seconds=len(first) * cell_s,
    )


def _duration_s(reference: AnnotatedVideo, other: AnnotatedVideo, media: Media | None) -> float:
    """Length of a video: its file's, else as told, and never less than its last bout."""
    last_s = max((bout.end_s for video in (reference, other) for bout in video.bouts), default=0.0)
    clock = None if media is None else media.clock_of(reference.video_id)
    if clock is not None and clock.edges_s is not None:
        return max(float(clock.edges_s[-1]), last_s)
    told_s = [video.duration_s for video in (reference, other) if video.duration_s > 0]
    return max([last_s, *told_s])


def _segments(video: AnnotatedVideo, label: str) -> np.ndarray:
    """Start and end of the bouts of a label, (n, 2)."""
    rows = [(bout.start_s, bout.end_s) for bout in video.bouts if bout.label == label]
    return np.array(rows, dtype=np.float64).reshape(-1, 2)


def _all_active(
    videos: Sequence[AnnotatedVideo], labels: Sequence[str], cells: Sequence[int], cell_s: float
) -> np.ndarray:
    """Which labels hold in each cell, one video behind the other: bool, (T, K)."""
    active = np.zeros((sum(cells), len(labels)), dtype=bool)
    first = 0
    for video, n_cells in zip(videos, cells, strict=True):
        for column, label in enumerate(labels):
            active[first : first + n_cells, column] = active_cells(_segments(video, label), n_cells, cell_s)
        first += n_cells
    return active


def _watched(video: AnnotatedVideo, n_cells: int, cell_s: float) -> np.ndarray:
    """Cells that somebody has looked at: all, unless the video is labelled in part. Bool, (T,)."""
    stretches = _segments(video, WATCHED)
    return active_cells(stretches, n_cells, cell_s) if len(stretches) else np.ones(n_cells, dtype=bool)


def _observed(reference: AnnotatedVideo, other: AnnotatedVideo, duration_s: float) -> Pairs:
    """Stretches of a video that both have watched."""
    whole = [(0.0, duration_s)]
    one, another = (
        [(bout.start_s, bout.end_s) for bout in video.bouts if bout.label == WATCHED] or whole
        for video in (reference, other)
    )
    return common(one, another)


def _starts(
    videos: Sequence[AnnotatedVideo],
    stretches: Sequence[Pairs],
    durations_s: Sequence[float],
    tolerance_s: float,
) -> list[tuple[float, str]]:
    """Starts of all bouts where both have watched, the videos one behind the other with a gap that
    no window spans."""
    offset_s, starts = 0.0, []
    for video, observed, duration_s in zip(videos, stretches, durations_s, strict=True):
        starts += [
            (offset_s + bout.start_s, bout.label)
            for bout in video.bouts
            if bout.label != WATCHED and any(start <= bout.start_s < end for start, end in observed)
        ]
        offset_s += duration_s + 2 * tolerance_s + 1
    return starts


def _budgets(
    videos: Sequence[AnnotatedVideo], labels: Sequence[str], stretches: Sequence[Pairs]
) -> tuple[Budget, ...]:
    observed_s = [sum(end_s - start_s for start_s, end_s in one) for one in stretches]

    def segments(label: str) -> list[np.ndarray]:
        return [
            on_observed_time(_segments(video, label), one)
            for video, one in zip(videos, stretches, strict=True)
        ]

    return tuple(budget(label, segments(label), observed_s) for label in labels)


# ---- showing


def text_of(found: Agreement) -> str:
    """A few lines of the whole."""
    return (
        f"{found.seconds:.1f} s observed, {len(found.labels)} labels\n"
        f"mean F1 of cells {_number(found.mean_f1)}, Cohen's kappa of cells {_number(found.kappa)},"
        f" of starts {_number(found.event_kappa)}"
    )


def tables_of(found: Agreement) -> dict[str, list[list[str]]]:
    """Tables by name, each with a header."""
    frames = [["label", "precision", "recall", "F1", "reference cells", "other cells", "both"]]
    for score in found.frames:
        shares = [_number(value) for value in (score.precision, score.recall, score.f1)]
        frames.append(
            [score.label, *shares, *map(str, (score.reference_cells, score.other_cells, score.both_cells))]
        )
    budgets = [["label", "of", "bouts", "total s", "share", "mean s", "std s", "latency s"]]
    for pair in zip(found.reference, found.other, strict=True):
        for name, one in zip(("reference", "other"), pair, strict=True):
            numbers = (one.total_s, one.share, one.mean_s, one.std_s, one.latency_s)
            budgets.append([one.label, name, str(one.bouts), *map(_number, numbers)])
    names = [*found.labels, NO_LABEL]
    matrix = [["reference \\ other", *names]]
    matrix += [
        [name, *(f"{value:g}" for value in row)]
        for name, row in zip(names, found.matrix.tolist(), strict=True)
    ]
    return {"frames": frames, "budgets": budgets, "confusion": matrix}


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
