"""Labels of any labelling tool, of people and models: bouts with label, subject, source and score.

Every tool's reader gives a `Labelling` and every writer takes one, so ten tools need ten files and
no hundred converters. Training and evaluation know less: `annotation_table` leaves them video,
times and label.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from runtime.errors import InputError
from video_datasets.annotations import AnnotationTable
from video_datasets.formats.tools.frame_clock import FrameClock
from video_datasets.predictions import Predictions

DEFAULT_SUBSET = "training"
"""Of videos in files that know no subsets."""


@dataclass(frozen=True)
class Bout:
    """A labelled stretch of a video.

    Attributes:
        start_s: seconds from the first shown frame.
        end_s: likewise.
        subject: who acts; "" where nobody is named.
        source: who says so: a model or a person; "" where nobody is named.
        score: higher is surer; None for labels.
    """

    start_s: float
    end_s: float
    label: str
    subject: str = ""
    source: str = ""
    score: float | None = None


@dataclass(frozen=True)
class AnnotatedVideo:
    """One video and its bouts.

    Attributes:
        file: as the labelling file names it; "" where it names the id alone. Never opened.
        duration_s: NaN where the file does not tell.
        fps: frames per second, NaN where the file does not tell.
    """

    video_id: str
    bouts: tuple[Bout, ...] = ()
    file: str = ""
    subset: str = DEFAULT_SUBSET
    duration_s: float = math.nan
    fps: float = math.nan


@dataclass
class Notes:
    """Lines for the user, in order; the same line many times becomes one with a count.

    Attributes:
        lost: what was left out.
        remarks: what was kept in a way that one should know of.
    """

    lost: Counter[str] = field(default_factory=Counter)
    remarks: Counter[str] = field(default_factory=Counter)

    def lose(self, line: str) -> None:
        """Note something that was left out."""
        self.lost[line] += 1

    def remark(self, line: str) -> None:
        """Note something that was kept, and how."""
        self.remarks[line] += 1


@dataclass(frozen=True)
class Labelling:
    """The content of one file (or folder) of a labelling tool.

    Attributes:
        videos: no id twice.
        labels: all that the file declares, used or not; where it declares none, those used.
        notes: what a rule has done with them, where more than one thing could be meant.
    """

    videos: tuple[AnnotatedVideo, ...]
    labels: tuple[str, ...] = ()
    notes: Notes = field(default_factory=Notes)


@dataclass(frozen=True)
class LabelReading:
    """What a reader may need beside its file.

    Attributes:
        clock_of: video id -> its frames' times, for formats that count frames; None: not known.
        point_half_width_s: how far a point event is widened to either side; 0: point events are
            left out.
        keeps_points: point events stay what they are, bouts without length.
    """

    clock_of: Callable[[str], FrameClock | None] = lambda _: None
    point_half_width_s: float = 0.0
    keeps_points: bool = False


def lines(notes: Counter[str]) -> list[str]:
    """Return each note once, with how often it came.

    >>> lines(Counter({"left out": 2}))
    ['left out (2 times)']
    """
    return [line if n == 1 else f"{line} ({n} times)" for line, n in notes.items()]


def point_bout(time_s: float, label: str, where: str, reading: LabelReading, notes: Notes) -> Bout | None:
    """Keep a point event as it is, widen it, or leave it out; the latter two are noted."""
    if reading.keeps_points:
        return Bout(time_s, time_s, label)
    half_s = reading.point_half_width_s
    if half_s <= 0:
        notes.lose(
            f"{where}: point event '{label}' left out; a half width (--point-half-width SECONDS, "
            f"data.point_half_width_s) makes it a segment"
        )
        return None
    notes.remark(f"{where}: point event '{label}' widened by {half_s:g} s to either side")
    return Bout(max(time_s - half_s, 0.0), time_s + half_s, label)


def collect(
    path: object, videos: Iterable[AnnotatedVideo], notes: Notes, labels: Iterable[str] = ()
) -> Labelling:
    """Join the parts of one video, sort its bouts, and note what a reader of any tool should know.

    Noted are videos that stand there twice (their bouts are joined), several subjects (kept, as
    bouts of one label), overlapping bouts of one label (kept), and declared labels that are never
    used.

    Raises:
        InputError: if two entries of one video stand in two subsets.
    """
    joined: dict[str, AnnotatedVideo] = {}
    for video in videos:
        earlier = joined.get(video.video_id)
        joined[video.video_id] = video if earlier is None else _joined(path, earlier, video, notes)
    sorted_videos = tuple(replace(video, bouts=in_order(video.bouts)) for video in joined.values())
    used = dict.fromkeys(bout.label for video in sorted_videos for bout in video.bouts)
    declared = tuple(dict.fromkeys([*labels, *used]))
    unused = [label for label in declared if label not in used]
    if unused:
        notes.remark(f"{path}: never used for a segment: {', '.join(unused)}")
    for video in sorted_videos:
        _note_subjects_and_overlaps(f"{path}: video '{video.video_id}'", video.bouts, notes)
    return Labelling(sorted_videos, declared, notes)


def _joined(path: object, earlier: AnnotatedVideo, video: AnnotatedVideo, notes: Notes) -> AnnotatedVideo:
    if earlier.subset != video.subset:
        raise InputError(
            f"{path}: video '{video.video_id}' stands in two subsets, '{earlier.subset}' and '{video.subset}'"
        )
    notes.remark(f"{path}: video '{video.video_id}' stands there more than once, bouts joined")
    return replace(earlier, bouts=earlier.bouts + video.bouts)


def _note_subjects_and_overlaps(where: str, bouts: Sequence[Bout], notes: Notes) -> None:
    subjects = sorted({bout.subject for bout in bouts})
    if len(subjects) > 1:
        names = ", ".join(subject or "(none)" for subject in subjects)
        notes.remark(f"{where}: {len(subjects)} subjects ({names}), all kept under the same labels")
    overlaps = sum(len(track) for tracks in tracks_of(bouts).values() for track in tracks[1:])
    if overlaps:
        notes.remark(
            f"{where}: {overlaps} bouts overlap another of their label and subject, kept as they are"
        )


def remark_subsets(path: object, labelling: Labelling, notes: Notes) -> None:
    """Note, for a format without a place for them, that subsets are lost."""
    lost = sorted({video.subset for video in labelling.videos} - {DEFAULT_SUBSET})
    if lost:
        notes.remark(
            f"{path}: this format has no place for subsets ({', '.join(lost)}): read again, all videos are for"
            f" {DEFAULT_SUBSET}"
        )


def in_order(bouts: Iterable[Bout]) -> tuple[Bout, ...]:
    """Return bouts by time, then label, subject and source."""
    return tuple(
        sorted(bouts, key=lambda bout: (bout.start_s, bout.end_s, bout.label, bout.subject, bout.source))
    )


def tracks_of(bouts: Iterable[Bout]) -> dict[tuple[str, str, str], list[list[Bout]]]:
    """Divide bouts into tracks without overlap, for tools whose rows cannot hold any.

    Returns:
        (label, subject, source) -> tracks, each sorted by time; the first track takes what it can,
        and so on.

    >>> tracks_of([Bout(0, 2, "run"), Bout(1, 3, "run"), Bout(2, 4, "run")])[("run", "", "")][1]
    [Bout(start_s=1, end_s=3, label='run', subject='', source='', score=None)]
    """
    tracks: dict[tuple[str, str, str], list[list[Bout]]] = {}
    for bout in in_order(bouts):
        of_kind = tracks.setdefault((bout.label, bout.subject, bout.source), [])
        free = next((track for track in of_kind if track[-1].end_s <= bout.start_s), None)
        if free is None:
            of_kind.append([bout])
        else:
            free.append(bout)
    return tracks


def writable(labelling: Labelling, notes: Notes) -> Labelling:
    """Leave out, and note, bouts that no tool can hold: not finite, without length or label,
    reversed, before 0 s."""
    videos = []
    for video in labelling.videos:
        kept = []
        for bout in video.bouts:
            is_text = _is_text(bout.label + bout.subject + bout.source)
            if 0 <= bout.start_s < bout.end_s < math.inf and bout.label.strip() and is_text:
                kept.append(bout)
            else:
                notes.lose(
                    f"video '{video.video_id}': '{bout.label}' at {bout.start_s:g}-{bout.end_s:g} s left out:"
                    " expected a label and 0 <= start < end"
                )
        videos.append(replace(video, bouts=tuple(kept)))
    return replace(labelling, videos=tuple(videos), labels=tuple(filter(_is_text, labelling.labels)))


def _is_text(text: str) -> bool:
    """False for halves of characters, which JSON can spell and no file can hold."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


# ---- between this record and the others


def annotation_table(labelling: Labelling) -> AnnotationTable:
    """Return what training and evaluation read: every bout as a row, subjects, sources and
    scores left out."""
    rows = [(index, bout) for index, video in enumerate(labelling.videos) for bout in video.bouts]
    return AnnotationTable(
        video_ids=tuple(video.video_id for video in labelling.videos),
        subsets=tuple(video.subset for video in labelling.videos),
        durations_s=np.array([video.duration_s for video in labelling.videos], dtype=np.float64),
        video_index=np.array([index for index, _ in rows], dtype=np.int32),
        start_s=np.array([bout.start_s for _, bout in rows], dtype=np.float64),
        end_s=np.array([bout.end_s for _, bout in rows], dtype=np.float64),
        labels=tuple(bout.label for _, bout in rows),
    )


def labelling_of_table(table: AnnotationTable) -> Labelling:
    """Return annotations as a labelling."""
    bouts: list[list[Bout]] = [[] for _ in table.video_ids]
    columns = (table.video_index.tolist(), table.start_s.tolist(), table.end_s.tolist(), table.labels)
    for index, start_s, end_s, label in zip(*columns, strict=True):
        bouts[index].append(Bout(start_s, end_s, label))
    names = zip(table.video_ids, table.subsets, table.durations_s.tolist(), bouts, strict=True)
    videos = tuple(
        AnnotatedVideo(video_id, tuple(rows), subset=subset or DEFAULT_SUBSET, duration_s=duration_s)
        for video_id, subset, duration_s, rows in names
    )
    return Labelling(videos, tuple(dict.fromkeys(table.labels)))


def labelling_of_predictions(predictions: Predictions, source: str) -> Labelling:
    """Return detections as a labelling.

    Raises:
        InputError: if they are proposals, which have no labels.
    """
    if (predictions.label < 0).any():
        raise InputError("expected detections, found proposals: rows without a label")
    bouts: list[list[Bout]] = [[] for _ in predictions.videos]
    names = ("video_index", "start_s", "end_s", "score", "label")
    columns = (getattr(predictions, name).tolist() for name in names)
    for video, start_s, end_s, score, label in zip(*columns, strict=True):
        bouts[video].append(Bout(start_s, end_s, predictions.labels[label], "", source, score))
    videos = zip(predictions.videos, bouts, strict=True)
    return Labelling(tuple(AnnotatedVideo(name, tuple(rows)) for name, rows in videos), predictions.labels)
