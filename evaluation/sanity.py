"""What is refused before scoring, and what a reader of the figures should know about the data."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from runtime.errors import InputError
from video_datasets.annotations import AnnotationTable
from video_datasets.predictions import NO_LABEL, Predictions

EXAMPLES = 3


def check_annotations(truth: AnnotationTable) -> None:
    """Refuse annotations whose times are NaN or infinite.

    Raises:
        InputError: naming the video and the annotation.
    """
    for name in ("start_s", "end_s"):
        _check_finite(getattr(truth, name), name, "ground truth", truth.video_ids, truth.video_index)


def check_predictions(truth: AnnotationTable, predictions: Predictions, *, needs_labels: bool) -> None:
    """Refuse predictions that the official code would turn into a meaningless score.

    Raises:
        InputError: if a time or score is NaN or infinite, if no predicted video is in `truth`, or if labels
            are needed and missing.
    """
    for name in ("start_s", "end_s", "score"):
        column = getattr(predictions, name)
        _check_finite(column, name, "predictions", predictions.videos, predictions.video_index)
    predicted = [predictions.videos[video] for video in np.unique(predictions.video_index)]
    if set(truth.video_ids).isdisjoint(predicted):
        raise InputError(
            f"predictions: none of the {len(predicted)} predicted videos is among the {len(truth.video_ids)}"
            f" of the ground truth; ids look like {_examples(predicted)} and {_examples(truth.video_ids)}"
            f" (wrong file, wrong subset, or a 'v_' in front?)"
        )
    unlabelled = np.flatnonzero(predictions.label == NO_LABEL)
    if needs_labels and unlabelled.size:
        raise InputError(
            f"predictions: {unlabelled.size} of {len(predictions)} have no label, first of"
            f" {_entry(unlabelled[0], predictions.videos, predictions.video_index)};"
            f" to score proposals use --task proposals"
        )


def _check_finite(
    column: np.ndarray, name: str, what: str, videos: Sequence[str], video_index: np.ndarray
) -> None:
    bad = np.flatnonzero(~np.isfinite(column))
    if bad.size:
        raise InputError(
            f"{what}: {_entry(bad[0], videos, video_index)}: {name} is {column[bad[0]]}, expected a finite"
            f" number ({bad.size} such {'entry' if bad.size == 1 else 'entries'}); correct the file"
        )


def _entry(row: int, videos: Sequence[str], video_index: np.ndarray) -> str:
    """Name a row by its video and its number among the entries of the video, as in the JSON."""
    number = np.count_nonzero(video_index[:row] == video_index[row])
    return f"video '{videos[video_index[row]]}', entry {number}"


def video_notes(truth: AnnotationTable, predictions: Predictions) -> list[str]:
    """Say which videos are predicted but unknown, or annotated but not predicted."""
    counts = np.bincount(predictions.video_index, minlength=len(predictions.videos))
    rows = dict(zip(predictions.videos, counts.tolist(), strict=True))
    known = set(truth.video_ids)
    unknown = [video for video, count in rows.items() if count and video not in known]
    annotated = [truth.video_ids[video] for video in np.unique(truth.video_index)]
    missing = [video for video in annotated if not rows.get(video)]
    notes = []
    if unknown:
        total = sum(rows[video] for video in unknown)
        notes.append(
            f"{len(unknown)} predicted videos are not in the ground truth ({total} predictions,"
            f" all false positives): {_examples(unknown)}"
        )
    if missing:
        notes.append(
            f"{len(missing)} of {len(annotated)} annotated videos have no predictions: {_examples(missing)}"
        )
    return notes


def label_notes(task: str, unknown_labels: Sequence[str], ignored_predictions: int) -> list[str]:
    """Say which predicted classes do not occur in the ground truth."""
    if not ignored_predictions:
        return []
    return [
        f"{task}: {ignored_predictions} predictions of {len(unknown_labels)} classes without annotations are"
        f" ignored: {_examples(unknown_labels)}"
    ]


def tie_notes(task: str, tied_scores: int, total: int) -> list[str]:
    """Say how many scores are tied, since the official figures are arbitrary there."""
    if not tied_scores:
        return []
    group = "video" if task == "proposals" else "class"
    return [
        f"{task}: {tied_scores} of {total} scores are tied within their {group}; ties rank later in the file"
        f" first, the official code leaves them to an unstable sort"
    ]


def _examples(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:EXAMPLES]) + (", ..." if len(names) > EXAMPLES else "")
