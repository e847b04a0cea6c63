"""Class scores that others have computed: of videos for one set of classes, or over time for
verbs and nouns."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classification.class_scores import class_score_files, read_class_scores
from classification.labelling import class_probabilities
from classification.settings import ClassificationConfig
from classification.sources import Probabilities, Sampling, Source
from classification.video_scores import VideoScores, file_of_video_scores, read_video_scores
from feature_extraction.zoo.released import ReleasedPiece, find_pieces, refuse_missing_end
from runtime.errors import InputError
from video_datasets.dataset import VideoDataset


@dataclass(frozen=True)
class ReleasedSource:
    """Released classification results: logits of verbs and nouns on the run's grid, in pieces of
    some seconds.

    Attributes:
        pieces: of every video.
        durations_s: of every video, NaN where it is unknown.
        class_counts: head -> classes.
        sampling: how; its grid is that of the rows.
    """

    pieces: Mapping[str, list[ReleasedPiece]]
    durations_s: Mapping[str, float]
    class_counts: Mapping[str, int]
    sampling: Sampling

    def __call__(self, video_id: str, segments_s: NDArray[np.float64]) -> Probabilities:
        """Return the probabilities of proposals of a video."""
        if video_id not in self.pieces:
            raise InputError("no classification results")
        grid, pieces = self.sampling.grid, self.pieces[video_id]
        refuse_missing_end(pieces, self.durations_s[video_id])
        logits = read_class_scores(pieces, grid, self.class_counts)
        times_s = grid.feature_to_seconds(np.arange(len(next(iter(logits.values())))))
        return self.sampling.of_rows(logits, times_s, segments_s)


@dataclass(frozen=True)
class VideoScoreSource:
    """Scores of whole videos: all proposals of a video have the same probabilities.

    Attributes:
        scores: by video, columns in the order of the data set's classes.
        temperature: scores are logits, of which softmax(temperature * logits) is taken; None: they
            are probabilities, taken as they are.
    """

    scores: VideoScores
    temperature: float | None

    def __call__(self, video_id: str, segments_s: NDArray[np.float64]) -> Probabilities:
        """Return the probabilities of a video, once for each proposal."""
        values = self.scores.of_video(video_id)
        if self.temperature is not None:
            values = class_probabilities(values, self.temperature)
        return {"action": np.broadcast_to(values, (len(segments_s), len(values)))}


def score_files(path: Path) -> list[Path]:
    """Return the files that `classification.class_scores` names: one of videos, or a folder over
    time.

    Raises:
        InputError: if there are none.
    """
    return class_score_files(path) if path.is_dir() else [file_of_video_scores(path)]


def open_scores(
    path: Path, dataset: VideoDataset, sampling: Sampling, config: ClassificationConfig
) -> Source:
    """Open the scores that `classification.class_scores` names.

    Raises:
        InputError: if they do not fit the data set's classes, or cannot be read.
    """
    if path.is_dir():
        pieces = find_pieces(class_score_files(path))
        durations_s = {video_id: video.duration_s for video_id, video in dataset.videos.items()}
        class_counts = {head: len(names) for head, names in dataset.heads.items()}
        return ReleasedSource(pieces, durations_s, class_counts, sampling)
    if set(dataset.heads) != {"action"}:
        raise InputError(
            f"classification.class_scores={path}: scores of whole videos are for one set of classes; expected a "
            f"folder of results over time for {' and '.join(dataset.heads)}"
        )
    logits = config.class_scores_are == "logits"
    scores, remarks = read_video_scores(path).for_classes(
        dataset.heads["action"], outside=-np.inf if logits else 0.0
    )
    for remark in remarks:
        print(f"classification.class_scores={path}: {remark}", file=sys.stderr)
    return VideoScoreSource(scores, config.temperature if logits else None)
