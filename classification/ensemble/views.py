"""Logits of many views from several networks: TAda2D_En (TAda!, Table 7) is the 8-frame and the
16-frame network.

Each network's softmax is averaged over its own views, then over the networks, so that a network
that was asked more often weighs no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classification.finetune.accuracy import Ranking, rank_all
from classification.finetune.test import LOGITS_NAME
from runtime.errors import InputError
from runtime.hdf5 import open_hdf5
from runtime.hdf5_texts import read_texts

Key = tuple[str, float, float]
"""Video id, start and end in seconds of a labelled segment."""


@dataclass(frozen=True, eq=False)
class ViewLogits:
    """What a network said about the labelled segments of a data set.

    Attributes:
        path: of the file.
        segments: N segments.
        labels: head -> names of the classes.
        classes: head -> right class (N,).
        logits: head -> (N, views, classes); NaN where nothing was decoded.
    """

    path: Path
    segments: tuple[Key, ...]
    labels: dict[str, tuple[str, ...]]
    classes: dict[str, NDArray[np.int64]]
    logits: dict[str, NDArray[np.float32]]

    def answered(self) -> set[Key]:
        """Return the segments that every head has logits for."""
        finite = np.all([np.isfinite(values).all(axis=(1, 2)) for values in self.logits.values()], axis=0)
        return {segment for segment, known in zip(self.segments, finite, strict=True) if known}

    def rows(self, wanted: Sequence[Key]) -> NDArray[np.int64]:
        """Return the places of segments."""
        places = {segment: place for place, segment in enumerate(self.segments)}
        return np.array([places[segment] for segment in wanted], dtype=np.int64)


def logits_file(path: Path) -> Path:
    """Return the file of logits that a member names: itself, or the only one of a run.

    Raises:
        InputError: if there is none, or there are several.
    """
    if path.is_file():
        return path
    found = sorted(path.glob(f"*/{LOGITS_NAME}"))
    if len(found) == 1:
        return found[0]
    several = f"found {', '.join(str(each) for each in found)}: name one of them" if found else "found none"
    raise InputError(
        f"{path}: expected {LOGITS_NAME} of `python -m classification.finetune.test --config ...`, {several}"
    )


def read_view_logits(path: Path) -> ViewLogits:
    """Read what `python -m classification.finetune.test` left.

    Raises:
        InputError: if it is not such a file.
    """
    try:
        with open_hdf5(path) as file:
            columns = (read_texts(file["video_id"]), file["start_s"][()], file["end_s"][()])
            heads = tuple(file["logits"])
            return ViewLogits(
                path,
                tuple(
                    (str(name), float(start), float(end)) for name, start, end in zip(*columns, strict=True)
                ),
                {head: read_texts(file[f"labels/{head}"]) for head in heads},
                {head: file[f"classes/{head}"][()] for head in heads},
                {head: file[f"logits/{head}"][()] for head in heads},
            )
    except (KeyError, OSError, ValueError) as error:
        raise InputError(f"{path}: not a file of {LOGITS_NAME} ({error}); test the network again") from error


def common_segments(members: Sequence[ViewLogits]) -> list[Key]:
    """Return the segments about which all members have an answer, in the order of the first.

    Raises:
        InputError: if classes differ, or no segment is common.
    """
    first = members[0]
    for member in members[1:]:
        if member.labels != first.labels:
            raise InputError(f"{member.path}: other classes, or in another order, than {first.path}")
    answered = set.intersection(*(member.answered() for member in members))
    found = [segment for segment in first.segments if segment in answered]
    if not found:
        raise InputError(f"{first.path}: no segment that the other members were tested on, too")
    return found


def rank_members(members: Sequence[ViewLogits], shares: NDArray[np.float64]) -> list[list[Ranking]]:
    """Rank the right classes by the softmax of each network, and last by their mean.

    Args:
        members: of the same classes; they may have different numbers of views.
        shares: weight of each, sum 1.

    Returns:
        As `accuracy.rank_all`, all over the segments that every member answered.
    """
    wanted = common_segments(members)
    rows = [member.rows(wanted) for member in members]
    names = members[0].labels
    classes = {head: values[rows[0]] for head, values in members[0].classes.items()}
    logits = [
        {head: values[row] for head, values in member.logits.items()}
        for member, row in zip(members, rows, strict=True)
    ]
    num_views = [next(iter(each.values())).shape[1] for each in logits]
    joined = {head: np.concatenate([each[head] for each in logits], axis=1) for head in names}
    weights = np.repeat(shares / num_views, num_views)
    alone = [rank_all(each, classes, names) for each in logits]
    return [*alone, rank_all(joined, classes, names, weights)]
