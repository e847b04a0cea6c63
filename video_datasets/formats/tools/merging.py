"""Choosing among detections, and telling what a person corrected from what the model wrote."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from video_datasets.formats.tools.labelling import Bout, Labelling, Notes

PERSON = "person"
"""Source of what a person has touched, where the file does not tell who."""


def best(labelling: Labelling, min_score: float = -math.inf, top: int | None = None) -> Labelling:
    """Keep the `top` highest scores of each video, none below `min_score`; bouts without a score
    all stay."""

    def chosen(bouts: Sequence[Bout]) -> tuple[Bout, ...]:
        scores = sorted(
            ((bout.score, i) for i, bout in enumerate(bouts) if bout.score is not None), reverse=True
        )
        kept = {i for score, i in scores[:top] if score >= min_score}
        return tuple(bout for i, bout in enumerate(bouts) if bout.score is None or i in kept)

    videos = tuple(replace(video, bouts=chosen(video.bouts)) for video in labelling.videos)
    return replace(labelling, videos=videos)


def merged(corrected: Labelling, written: Labelling, tolerance_s: float, notes: Notes) -> Labelling:
    """Tell what a person touched from what the model wrote.

    A bout of `corrected` with video, label and times of one in `written` is the model's still: it
    has that one's source and score. Any other was drawn, moved or relabelled: its score goes, and
    if its source is one of the model's, it becomes "person". How many of the model's bouts are gone
    is noted.

    Args:
        corrected: as a person saved it.
        written: as the model wrote it.
        tolerance_s: ends that differ by no more are the same; tools round to milliseconds or
            frames.
    """
    by_id = {video.video_id: video for video in written.videos}
    models = {bout.source for video in written.videos for bout in video.bouts}
    videos = []
    for video in corrected.videos:
        left = list(by_id[video.video_id].bouts) if video.video_id in by_id else []
        bouts = []
        for bout in video.bouts:
            same = min(left, key=lambda other: _difference(bout, other), default=None)
            if same is not None and _difference(bout, same) <= tolerance_s:
                left.remove(same)
                bouts.append(replace(bout, source=same.source, score=same.score))
            else:
                by_person = bout.source in models or not bout.source
                bouts.append(replace(bout, source=PERSON if by_person else bout.source, score=None))
        touched = sum(bout.score is None for bout in bouts)
        notes.remark(
            f"video '{video.video_id}': {touched} bouts by a person, {len(bouts) - touched} as the model wrote them,"
            f" {len(left)} of the model's moved, relabelled or deleted"
        )
        videos.append(replace(video, bouts=tuple(bouts)))
    kept = {video.video_id for video in videos}
    for video in written.videos:
        if video.bouts and video.video_id not in kept:
            notes.remark(
                f"video '{video.video_id}': not in the corrected file, all {len(video.bouts)} of the model's gone"
            )
    labels = tuple(dict.fromkeys([*corrected.labels, *written.labels]))
    return Labelling(tuple(videos), labels, corrected.notes)


def _difference(bout: Bout, other: Bout) -> float:
    """How far two bouts lie apart, in seconds; infinite for two labels."""
    if bout.label != other.label:
        return math.inf
    return max(abs(bout.start_s - other.start_s), abs(bout.end_s - other.end_s))
