"""File names and annotations as EPIC-KITCHENS-100 has them
(epic-kitchens/epic-kitchens-100-annotations).

DIR/P01/videos/P01_01.MP4             59.94 or 29.97 fps; of the extension, DIR/P01/videos/P01_103.MP4, 50 fps
DIR/EPIC_100_train.csv                one labelled action a line; likewise EPIC_100_validation.csv
DIR/EPIC_100_test_timestamps.csv      the first eight columns of it
DIR/EPIC_100_video_info.csv           duration, frame rate, resolution
DIR/EPIC_100_verb_classes.csv         all 97 numbers, most of them of no verb here; likewise 300 nouns
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

from runtime.atomic import write_text
from video_datasets.formats.ek100 import is_extension
from video_datasets.formats.ek100_labels import NUM_NOUNS, NUM_VERBS
from video_datasets.mini.ek100_plan import (
    NOUNS,
    STANDARD_SIZE,
    VERB_NUMBERS,
    Action,
    KitchenTwins,
    KitchenVideo,
    draw_plan,
)
from video_datasets.mini.ek100_scene import draw_pictures, picture_size
from video_datasets.mini.layout import TwinFiles
from video_datasets.mini.plan import MiniSize

__all__ = ["COMPLETE_NAME", "STANDARD_SIZE", "plan_files", "write_annotations"]

COMPLETE_NAME = "EPIC_100_validation.csv"
TIME_COLUMNS = (
    "narration_id", "participant_id", "video_id", "narration_timestamp",
    "start_timestamp", "stop_timestamp", "start_frame", "stop_frame",
)  # fmt: skip
LABEL_COLUMNS = (
    "narration", "verb", "verb_class", "noun", "noun_class", "all_nouns", "all_noun_classes",
)  # fmt: skip
CLASS_COLUMNS = ("id", "key", "instances", "category")


def plan_files(root: Path, seed: int, size: MiniSize) -> list[TwinFiles]:
    """Return all files to render, in the order of the plan."""
    return [
        TwinFiles(
            partial(draw_pictures, twins),
            (video_path(root, twins.forward), video_path(root, twins.backward)),
            (twins.forward.clock, twins.backward.clock),
        )
        for twins in draw_plan(seed, size)
    ]


def video_path(root: Path, video: KitchenVideo) -> Path:
    """Return where the official downloader leaves a video, upper-case suffix included."""
    return root / participant(video) / "videos" / f"{video.video_id}.MP4"


def participant(video: KitchenVideo) -> str:
    """Return who recorded the video: "P01" for "P01_103"."""
    return video.video_id.partition("_")[0]


def write_annotations(root: Path, seed: int, size: MiniSize) -> None:
    """Write all annotation files, that of the validation subset last."""
    plan = draw_plan(seed, size)
    videos = sorted(
        (video for twins in plan for video in (twins.forward, twins.backward)), key=lambda v: v.video_id
    )
    _write(root / "EPIC_100_video_info.csv", ("video_id", "duration", "fps", "resolution"), info_rows(plan))
    verbs = {number: _key(label) for label, number in VERB_NUMBERS.items()}
    nouns = {noun.number: _key(noun.name) for noun in NOUNS}
    _write(root / "EPIC_100_verb_classes.csv", CLASS_COLUMNS, class_rows("verb", verbs, NUM_VERBS))
    _write(root / "EPIC_100_noun_classes.csv", CLASS_COLUMNS, class_rows("noun", nouns, NUM_NOUNS))
    test_rows = [row[: len(TIME_COLUMNS)] for row in action_rows(videos, "testing")]
    _write(root / "EPIC_100_test_timestamps.csv", TIME_COLUMNS, test_rows)
    columns = (*TIME_COLUMNS, *LABEL_COLUMNS)
    _write(root / "EPIC_100_train.csv", columns, action_rows(videos, "training"))
    _write(root / COMPLETE_NAME, columns, action_rows(videos, "validation"))


def info_rows(plan: Iterable[KitchenTwins]) -> list[tuple[object, ...]]:
    """Return the lines of EPIC_100_video_info.csv."""
    rows = []
    for twins in plan:
        height, width = picture_size(twins)
        for video in (twins.forward, twins.backward):
            fps = float(video.clock.ticks_per_s)
            rows.append((video.video_id, round(video.clock.duration_s, 6), fps, f"{width}x{height}"))
    return sorted(rows)


def class_rows(kind: str, names: dict[int, str], count: int) -> list[tuple[object, ...]]:
    """Return the lines of a class list; numbers that the mini data set does not use are named
    after themselves."""
    keys = [names.get(number, f"unused-{kind}-{number}") for number in range(count)]
    return [(number, key, repr([key]), "mini") for number, key in enumerate(keys)]


def action_rows(videos: Iterable[KitchenVideo], subset: str) -> list[tuple[object, ...]]:
    """Return the lines of EPIC_100_train.csv or EPIC_100_validation.csv, in their order: by
    narration id as text."""
    rows = [
        _action_row(video, number, action)
        for video in videos
        if video.subset == subset
        for number, action in enumerate(video.actions)
    ]
    return sorted(rows, key=lambda row: str(row[0]))


def _action_row(video: KitchenVideo, number: int, action: Action) -> tuple[object, ...]:
    # Whatever the file's own rate: 60 for the first videos, 50 for the extension.
    fps = 50 if is_extension(video.video_id) else 60
    verb, noun = _key(action.verb), _key(action.noun.name)
    return (
        f"{video.video_id}_{number}",
        participant(video),
        video.video_id,
        timestamp(action.start_s, decimals=3),
        timestamp(action.start_s, decimals=2),
        timestamp(action.end_s, decimals=2),
        max(1, int(action.start_s * fps)),
        int(action.end_s * fps),
        f"{verb} {noun}",
        verb,
        VERB_NUMBERS[action.verb],
        noun,
        action.noun.number,
        repr([noun]),
        repr([action.noun.number]),
    )


def timestamp(time_s: float, decimals: int) -> str:
    """Write a time as the annotations do.

    >>> timestamp(3723.5, decimals=2)
    '01:02:03.50'
    """
    whole, fraction = divmod(round(time_s * 10**decimals), 10**decimals)
    return f"{whole // 3600:02d}:{whole // 60 % 60:02d}:{whole % 60:02d}.{fraction:0{decimals}d}"


def _key(name: str) -> str:
    return name.lower().replace(" ", "-")


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    write_text(path, text.getvalue())
