"""State events of BORIS as bouts: two events of one behaviour, subject and modifiers are its
start and its stop."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from video_datasets.formats.tools.labelling import AnnotatedVideo, Bout, LabelReading, Notes, point_bout

NO_SUBJECT = "No focal subject"
"""How exports write an empty subject."""
_REMARK = re.compile(r"\b(score|source)=([^;]*)")


@dataclass(frozen=True)
class Event:
    """One line of an observation; `is_point` unless it starts or stops a state."""

    time_s: float
    subject: str
    label: str
    modifiers: str
    comment: str
    is_point: bool


def remark_of(bout: Bout) -> str:
    """Source and score as a comment.

    >>> remark_of(Bout(0, 1, "run", source="runs/own", score=0.5))
    'score=0.5; source=runs/own'
    """
    parts = [] if bout.score is None else [f"score={bout.score!r}"]
    return "; ".join([*parts, f"source={bout.source}"] if bout.source else parts)


def with_remark(bout: Bout, comment: str) -> Bout:
    """Return the bout with the source and score that a comment tells, where it does.

    >>> with_remark(Bout(0, 1, "run"), "late; score=0.5").score
    0.5
    """
    found = {key: value.strip() for key, value in _REMARK.findall(comment)}
    score: float | None
    try:
        score = float(found["score"])
    except (KeyError, ValueError):
        score = None
    return replace(bout, source=found.get("source", ""), score=score)


def bouts_of(events: Iterable[Event], where: str, reading: LabelReading, notes: Notes) -> list[Bout]:
    """Pair starts and stops; a point event is widened or left out, a state without its stop is left
    out, both noted.

    BORIS marks neither start nor stop: in order of time, the events of one behaviour, subject and
    modifiers take turns.
    """
    bouts: list[Bout] = []
    begun: dict[tuple[str, str, str], Event] = {}
    for event in sorted(events, key=lambda event: event.time_s):
        if event.modifiers.strip("|"):
            notes.remark(f"{where}: modifiers of '{event.label}' are no part of its label, left out")
        if event.is_point:
            point = point_bout(event.time_s, event.label, where, reading, notes)
            bouts += [] if point is None else [_described(point, event)]
            continue
        start = begun.pop((event.label, event.subject, event.modifiers), None)
        if start is None:
            begun[event.label, event.subject, event.modifiers] = event
        else:
            bouts.append(_described(Bout(start.time_s, event.time_s, event.label), start))
    for event in begun.values():
        notes.lose(f"{where}: '{event.label}' begins at {event.time_s:g} s and never stops, left out")
    return bouts


def _described(bout: Bout, event: Event) -> Bout:
    return with_remark(replace(bout, subject=event.subject), event.comment)


def per_file(
    bouts: Iterable[Bout], files: list[AnnotatedVideo], where: str, notes: Notes
) -> list[AnnotatedVideo]:
    """Divide bouts of an observation over the files that it plays one after the other.

    A bout that goes on in the next file is cut there, and noted.

    Args:
        bouts: times from the start of the first file.
        files: in order, each with its duration; that of the last is not needed.
        where: of the observation, for notes.
        notes: to add to.
    """
    starts_s = [0.0]
    for file in files[:-1]:
        starts_s.append(starts_s[-1] + file.duration_s)
    ends_s = [*starts_s[1:], math.inf]
    parts: list[list[Bout]] = [[] for _ in files]
    for bout in bouts:
        number = max(index for index, start_s in enumerate(starts_s) if index == 0 or start_s <= bout.start_s)
        while bout.end_s > ends_s[number]:
            notes.remark(
                f"{where}: '{bout.label}' at {bout.start_s:g} s goes on in the next file, cut in two"
            )
            parts[number].append(_shifted(replace(bout, end_s=ends_s[number]), starts_s[number]))
            bout, number = replace(bout, start_s=ends_s[number]), number + 1
        parts[number].append(_shifted(bout, starts_s[number]))
    return [replace(file, bouts=tuple(own)) for file, own in zip(files, parts, strict=True)]


def _shifted(bout: Bout, by_s: float) -> Bout:
    return replace(bout, start_s=bout.start_s - by_s, end_s=bout.end_s - by_s) if by_s else bout
