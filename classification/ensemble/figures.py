"""Figures of the members of an ensemble beside its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import Any

from classification.finetune.accuracy import TOP_K, Ranking
from evaluation.comparison.compared import Compared
from evaluation.files.evaluate import Evaluation, evaluate_tables
from evaluation.files.metrics_json import evaluation_to_json
from evaluation.files.watched import only_watched
from evaluation.report.tables import align, precision_rows
from video_datasets.predictions import Predictions

ENSEMBLE = "ensemble"


def member_names(count: int) -> list[str]:
    """Name the rows of a table: A, B, ..., ensemble."""
    return [*ascii_uppercase[:count], ENSEMBLE]


def legend(paths: Sequence[Path], shares: Sequence[float]) -> str:
    """Say which letter is which member, and its weight."""
    letters = ascii_uppercase[: len(paths)]
    return "\n".join(
        f"{letter}  weight {share:.3f}  {path}"
        for letter, share, path in zip(letters, shares, paths, strict=True)
    )


def score(found: Predictions, compared: Compared) -> Evaluation:
    """Score detections by the protocol of the runs."""
    truth, watched = only_watched(compared.truth, found)
    return evaluate_tables(truth, watched, compared.protocol, subset=compared.subset)


def detection_table(evaluations: Sequence[Evaluation]) -> str:
    """Render mAP in percent: a block for each task, a row for each member and for the ensemble."""
    names = member_names(len(evaluations) - 1)
    blocks = []
    for task in evaluations[0].detection:
        rows = [precision_rows({task: each.detection[task]}) for each in evaluations]
        head = [f"{task}: {rows[0][0][0]}", *rows[0][0][1:]]
        body = [[name, *found[1][1:]] for name, found in zip(names, rows, strict=True)]
        blocks.append(align([head, *body]))
    return "\n\n".join(blocks)


def accuracy_rows(rankings: Sequence[Sequence[Ranking]]) -> str:
    """Render accuracies in percent, likewise."""
    names = member_names(len(rankings) - 1)
    blocks = []
    for of_task in zip(*rankings, strict=True):
        head = [f"{of_task[0].task}: accuracy (%)", *(f"top-{k}" for k in TOP_K), "mean class"]
        body = [
            [name, *(f"{100 * share:.2f}" for share in _shares(ranking))]
            for name, ranking in zip(names, of_task, strict=True)
        ]
        blocks.append(align([head, *body]))
    return "\n\n".join(blocks)


def detection_json(evaluations: Sequence[Evaluation]) -> dict[str, Any]:
    """Return the figures of `--json` by name of the member."""
    names = member_names(len(evaluations) - 1)
    return {name: evaluation_to_json(each) for name, each in zip(names, evaluations, strict=True)}


def accuracy_json(rankings: Sequence[Sequence[Ranking]]) -> dict[str, Mapping[str, Any]]:
    """Return {member: {task: {"top1", "top5", "mean_class", "segments"}}}, fractions."""
    keys = (*(f"top{k}" for k in TOP_K), "mean_class")
    return {
        name: {
            ranking.task: {
                **dict(zip(keys, _shares(ranking), strict=True)),
                "segments": len(ranking.ranks),
            }
            for ranking in found
        }
        for name, found in zip(member_names(len(rankings) - 1), rankings, strict=True)
    }


def _shares(ranking: Ranking) -> list[float]:
    return [*(ranking.top(k) for k in TOP_K), ranking.mean_class_accuracy()]
