"""Class scores of whole videos from a file of others: JSON as challenge winners publish it, or a
CSV.

    {"class": [names], "results": {video id: [score, ..]}}      CUHK's of ActivityNet (probabilities); OpenTAD;
                                                                TCANet's of HACS (logits, in one
                                                                more list)
    video,label,score                                           CSV, a line for each video and class; what has
                                                                no line scores nothing

How published code turns them into detections (the settings are of section `classification`):

                          class_scores_are  temperature  top_classes  score_power
    ActionFormer, CUHK    probabilities     -            2            0.5: sqrt(class score * segment score)
    OpenTAD, CUHK         probabilities     -            by config    1: class score * segment score
    TCANet, HACS          logits            2            3            1
    OpenTAD, HACS         logits            1            3            1

OpenTAD multiplies TCANet's softmax by 2 where TCANet multiplies the logits, which changes no order
among its own detections. ActionFormer takes the best 200 segments of a video
(`proposals.max_proposals`) with each class.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputError, error_list
from video_datasets.annotations import read_json_object, short_repr
from video_datasets.formats.csv_table import Column, read_csv

MAX_NAMED = 10
"""Classes or errors that a message names."""
_COLUMNS = (Column(("video", "video_id")), Column(("label", "class")), Column(("score",)))


@dataclass(frozen=True)
class VideoScores:
    """Scores of classes for whole videos.

    Attributes:
        path: of the file.
        classes: names of the columns.
        scores: video id, as in the file -> (K,); NaN where the file says nothing.
    """

    path: Path
    classes: tuple[str, ...]
    scores: dict[str, NDArray[np.float64]]

    def of_video(self, video_id: str) -> NDArray[np.float64]:
        """Return the scores (K,) of a video; a leading "v_" may stand on either side.

        Raises:
            InputError: if there are none.
        """
        for name in (video_id, f"v_{video_id}", video_id.removeprefix("v_")):
            if name in self.scores:
                return self.scores[name]
        raise InputError(f"no class scores in {self.path.name}")

    def for_classes(self, names: Sequence[str], *, outside: float) -> tuple[VideoScores, list[str]]:
        """Put the columns in the order of a data set's classes, mapped by name.

        Names are equal if their letters and digits are, whatever the case.

        Args:
            names: of the data set's classes.
            outside: score of classes that the file does not know.

        Returns:
            The scores, and remarks that list unknown and missing classes.

        Raises:
            InputError: if no class is known, or two classes of either side have one name.
        """
        columns, wanted = (_by_plain_name(side, self.path) for side in (self.classes, names))
        unknown = [name for plain, name in zip(columns, self.classes, strict=True) if plain not in wanted]
        missing = [name for plain, name in zip(wanted, names, strict=True) if plain not in columns]
        if len(missing) == len(names):
            raise InputError(
                f"{self.path}: none of its {len(self.classes)} classes ({_listed(self.classes)}) is one of the data "
                f"set's {len(names)} ({_listed(names)}); is it for another data set?"
            )
        remarks = []
        if unknown:
            remarks.append(
                f"{len(unknown)} classes that the data set does not have are left out: {_listed(unknown)}"
            )
        if missing:
            remarks.append(
                f"no scores for {len(missing)} classes, which get no detections: {_listed(missing)}"
            )
        index = np.array([columns.get(plain, -1) for plain in wanted])
        padded = {video_id: np.append(row, outside)[index] for video_id, row in self.scores.items()}
        scores = {video_id: np.where(np.isnan(row), outside, row) for video_id, row in padded.items()}
        return VideoScores(self.path, tuple(names), scores), remarks


def read_video_scores(path: Path) -> VideoScores:
    """Read class scores of whole videos: JSON, or a CSV by its suffix.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is damaged; the message lists what is wrong with which videos.
    """
    return _read_csv(path) if path.suffix.lower() == ".csv" else _read_json(path)


def file_of_video_scores(path: Path) -> Path:
    """Return the path if there is such a file.

    Raises:
        InputError: if there is none.
    """
    if not path.is_file():
        raise InputError(
            f"classification.class_scores={path}: no such file or folder; expected a JSON or CSV of video scores, or "
            f"a folder with files <video>_<start ms>_<end ms>.pkl"
        )
    return path


def _read_json(path: Path) -> VideoScores:
    content = read_json_object(path)
    classes, results = content.get("class"), content.get("results")
    if not (isinstance(classes, list) and all(isinstance(name, str) for name in classes)):
        raise InputError(f"{path}: expected a list of class names under 'class', found {short_repr(classes)}")
    if not isinstance(results, dict):
        raise InputError(
            f"{path}: expected an object 'results' of video id -> scores, found {short_repr(results)}"
        )
    scores, errors = {}, []
    for video_id, values in results.items():
        try:
            scores[video_id] = _row(values, len(classes))
        except (ValueError, TypeError) as error:
            errors.append(f"video '{video_id}': {error}")
    if errors:
        raise InputError(error_list(str(path), errors))
    return VideoScores(path, tuple(classes), scores)


def _row(values: object, count: int) -> NDArray[np.float64]:
    """Return one video's scores; published files have them in one list more, or less."""
    row = np.ravel(np.asarray(values, dtype=np.float64))
    if row.shape != (count,):
        raise ValueError(f"expected {count} scores, one for each class, found {len(row)}")
    if not np.isfinite(row).all():
        raise ValueError("scores must be finite")
    return row


def _read_csv(path: Path) -> VideoScores:
    table = read_csv(path, _COLUMNS)
    found: dict[str, dict[str, float]] = {}
    for line, (video_id, label, text) in table.rows:
        if not video_id or not label:
            table.error(line, "expected a video and a label")
        elif label in found.setdefault(video_id, {}):
            table.error(line, f"a second score of '{label}' for video '{video_id}'")
        else:
            found[video_id][label] = table.number(line, text, "score")
    table.refuse_errors()
    classes = tuple(dict.fromkeys(label for row in found.values() for label in row))
    scores = {
        video_id: np.array([row.get(label, np.nan) for label in classes]) for video_id, row in found.items()
    }
    return VideoScores(path, classes, scores)


def _by_plain_name(names: Sequence[str], path: Path) -> dict[str, int]:
    """Number names by their letters and digits in lower case."""
    plain = {"".join(filter(str.isalnum, name.casefold())): index for index, name in enumerate(names)}
    if len(plain) != len(names):
        raise InputError(f"{path}: two classes whose names differ by case or signs only cannot be told apart")
    return plain


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:MAX_NAMED]) + (", ..." if len(names) > MAX_NAMED else "")
