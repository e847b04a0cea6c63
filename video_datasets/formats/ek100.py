"""The annotation files of EPIC-KITCHENS-100 together: one table with subsets and durations, and the
class names.

    EPIC_100_train.csv, EPIC_100_validation.csv     labelled segments
    EPIC_100_test_timestamps.csv                    segments without labels; only its videos are of use here
    EPIC_100_video_info.csv                         duration, frame rate and resolution of all 700 videos
    EPIC_100_verb_classes.csv, ..._noun_classes     names of the 97 verbs and 300 nouns

They lie in `data.root`, or in the folder below it that `data.annotations` names, such as a clone of
the repository that they come from. Each may be compressed (`.csv.gz`). Times come from the
timestamps, never from the frame numbers: these count at 60 fps for videos PXX_YY, whatever the
file's own rate, and at 50 fps for those of the extension, PXX_1YY.

Source: epic-kitchens/epic-kitchens-100-annotations.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from runtime.errors import InputError
from video_datasets.annotations import AnnotationTable, join_tables
from video_datasets.formats.csv_table import Column, CsvTable, read_csv
from video_datasets.formats.ek100_csv import read_ek100_csv
from video_datasets.formats.ek100_labels import NUM_NOUNS, NUM_VERBS, split_label
from video_datasets.formats.ek100_submission import read_ek100_json, write_ek100_json
from video_datasets.formats.format import Classes, Format
from video_datasets.predictions import Predictions

if TYPE_CHECKING:
    from video_datasets.settings import DataConfig

TRAINING = "EPIC_100_train.csv"
VALIDATION = "EPIC_100_validation.csv"
TESTING = "EPIC_100_test_timestamps.csv"
VIDEO_INFO = "EPIC_100_video_info.csv"
VERB_CLASSES = "EPIC_100_verb_classes.csv"
NOUN_CLASSES = "EPIC_100_noun_classes.csv"
TESTING_SUBSET = "testing"
EXTENSION_ID = re.compile(r"P\d+_1\d\d")


@dataclass(frozen=True)
class Ek100VideoInfo:
    """One line of EPIC_100_video_info.csv; `resolution` is text such as "1920x1080"."""

    duration_s: float
    fps: float
    resolution: str


def is_extension(video_id: str) -> bool:
    """Say whether a video was recorded for the extension of 2020: 50 fps, and frame numbers that
    count so.

    >>> is_extension("P01_101"), is_extension("P01_11")
    (True, False)
    """
    return EXTENSION_ID.fullmatch(video_id) is not None


def _file(data: DataConfig, name: str) -> Path:
    """Return the path of an annotation file, or of its `.gz` where only that is there."""
    named = Path(data.root) / data.annotations
    path = (named if named.is_dir() else Path(data.root)) / name
    compressed = path.with_name(path.name + ".gz")
    return compressed if compressed.is_file() and not path.is_file() else path


def read_ek100_subsets(data: DataConfig, problems: dict[str, str]) -> AnnotationTable:
    """Read all subsets into one table with durations, rows of training before those of validation.

    Args:
        data: where the files are.
        problems: gets what is odd: a missing training or validation file, videos without video
            info.

    Raises:
        FileNotFoundError: if neither training nor validation segments are there, or no video info.
        InputError: if a file cannot be read, or a video is in two of the files.
    """
    training, validation, testing, video_info = EK100.annotation_files(data)
    tables = []
    for path, subset in ((training, data.training_subset), (validation, data.validation_subset)):
        if path.is_file():
            tables.append(_with_subset(read_ek100_csv(path), subset))
        else:
            problems[path.name] = f"no such file, so there are no {subset} videos"
    if not tables:
        raise FileNotFoundError(
            f"{training} and {validation}: no such files; they are in epic-kitchens/epic-kitchens-100-annotations"
        )
    if testing.is_file():
        tables.append(_unlabelled(read_test_videos(testing)))
    table = join_tables(tables)
    _refuse_double_videos(table, (training, validation, testing))
    infos = read_video_info(video_info)
    for video_id in table.video_ids:
        if video_id not in infos:
            problems[video_id] = f"not in {video_info.name}, so its duration is unknown"
    durations_s = [infos[v].duration_s if v in infos else np.nan for v in table.video_ids]
    return replace(table, durations_s=np.array(durations_s, dtype=np.float64))


def read_class_names(path: Path, count: int) -> tuple[str, ...]:
    """Read EPIC_100_verb_classes.csv or EPIC_100_noun_classes.csv.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it does not hold the classes 0 to `count` - 1, each once.
    """
    table = read_csv(path, (Column(("id",)), Column(("key",))))
    names: dict[int, str] = {}
    for line, (number, key) in _full_rows(table):
        if not number.isdecimal() or len(number) > len(str(count)):
            table.error(line, f"'id' must be a whole number, found '{number}'")
        elif int(number) in names:
            table.error(line, f"'id' {number} is there twice")
        else:
            names[int(number)] = key
    table.refuse_errors()
    if names.keys() != set(range(count)):
        found = f"{len(names)} classes, {min(names)} to {max(names)}" if names else "none"
        raise InputError(
            f"{path}: expected the classes 0 to {count - 1}, found {found}"
            f" (of the two noun files take the one of 300 classes, not EPIC_100_noun_classes_v2.csv)"
        )
    return tuple(names[number] for number in range(count))


def read_video_info(path: Path) -> dict[str, Ek100VideoInfo]:
    """Read EPIC_100_video_info.csv: video id -> duration, frame rate and resolution.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if a column is missing, a number is not positive, or a video is there twice with
            other values; the message lists all of them by line.
    """
    columns = ("video_id", "duration", "fps", "resolution")
    table = read_csv(path, [Column((name,)) for name in columns])
    infos: dict[str, Ek100VideoInfo] = {}
    for line, (video_id, duration, fps, resolution) in _full_rows(table):
        numbers = (_positive(table, line, duration, "duration"), _positive(table, line, fps, "fps"))
        info = Ek100VideoInfo(*numbers, resolution)
        if infos.setdefault(video_id, info) != info and not np.isnan(numbers).any():
            table.error(
                line,
                f"video '{video_id}' is there twice with other values, first {infos[video_id]}, now {info};"
                f" remove one of the lines",
            )
    table.refuse_errors()
    return infos


def read_test_videos(path: Path) -> tuple[str, ...]:
    """Read which videos EPIC_100_test_timestamps.csv names, in order of first appearance."""
    table = read_csv(path, (Column(("video_id",)),))
    videos = dict.fromkeys(video_id for _, (video_id,) in _full_rows(table))
    table.refuse_errors()
    return tuple(videos)


def _counts(counts: Counter[str]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in counts.most_common())


def _full_rows(table: CsvTable) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Yield line number and cells of all rows but those that lack one, which are errors."""
    for line, cells in table.rows:
        if all(cells):
            yield line, cells
        else:
            table.error(line, f"expected a value in every column, found {', '.join(cells)}")


def _positive(table: CsvTable, line: int, text: str, column: str) -> float:
    value = table.number(line, text, column, "a positive number")
    if math.isfinite(value) and value > 0:
        return value
    if not math.isnan(value):
        table.error(line, f"'{column}' must be a positive number, found '{text}'")
    return math.nan


def _with_subset(table: AnnotationTable, subset: str) -> AnnotationTable:
    return replace(table, subsets=(subset,) * len(table.video_ids))


def _unlabelled(video_ids: tuple[str, ...]) -> AnnotationTable:
    """Videos without rows."""
    none = np.zeros(0)
    return AnnotationTable(
        video_ids=video_ids,
        subsets=(TESTING_SUBSET,) * len(video_ids),
        durations_s=np.full(len(video_ids), np.nan),
        video_index=none.astype(np.int32),
        start_s=none,
        end_s=none,
        labels=(),
    )


def _refuse_double_videos(table: AnnotationTable, files: Sequence[Path]) -> None:
    twice = [video_id for video_id, count in Counter(table.video_ids).items() if count > 1]
    if twice:
        raise InputError(
            f"{', '.join(path.name for path in files)}: a video may be in one of them only, but"
            f" {len(twice)} are in two, the first is '{twice[0]}'"
        )


class Ek100(Format):
    """EPIC-KITCHENS-100: a file a subset, durations and names of classes in files of their own,
    verbs and nouns."""

    def annotation_files(self, data: DataConfig) -> tuple[Path, ...]:
        """Return the files of training, validation and testing, and the video info."""
        names = (TRAINING, VALIDATION, TESTING, VIDEO_INFO)
        return tuple(_file(data, name) for name in names)

    def ground_truth_file(self, data: DataConfig) -> Path:
        """Return the validation file."""
        return _file(data, VALIDATION)

    def subset_file(self, data: DataConfig, subset: str) -> Path:
        """Return the file of a subset."""
        names = {
            TESTING_SUBSET: TESTING,
            data.training_subset: TRAINING,
            data.validation_subset: VALIDATION,
        }
        return _file(data, names[subset])

    def read_ground_truth(self, data: DataConfig) -> AnnotationTable:
        """Read the validation file: its rows as they stand, the subset filled in."""
        return _with_subset(self.read(self.ground_truth_file(data)), data.validation_subset)

    def read_all(self, data: DataConfig, problems: dict[str, str]) -> AnnotationTable:
        """Read all subsets, see `read_ek100_subsets`."""
        return read_ek100_subsets(data, problems)

    def class_names(self, data: DataConfig) -> dict[str, tuple[str, ...]]:
        """Read the names of all verbs and nouns: {"verb": 97 names, "noun": 300 names}."""
        verbs, nouns = self._class_files(data)
        return {"verb": read_class_names(verbs, NUM_VERBS), "noun": read_class_names(nouns, NUM_NOUNS)}

    def _class_files(self, data: DataConfig) -> tuple[Path, Path]:
        return _file(data, VERB_CLASSES), _file(data, NOUN_CLASSES)

    def class_indices(self, label: str, classes: Classes) -> dict[str, int]:
        """Return verb and noun of a label "verb,noun"."""
        verb, noun, _ = split_label(label)
        return {"verb": verb, "noun": noun}

    def label_names(self, data: DataConfig, labels: Iterable[str]) -> dict[str, str]:
        """Name labels: "open door" for "3,12"; as they are where the class files are missing."""
        if not all(path.is_file() for path in self._class_files(data)):
            return super().label_names(data, labels)
        verbs, nouns = self.class_names(data).values()
        classes = {label: split_label(label)[:2] for label in labels}
        return {label: f"{verbs[verb]} {nouns[noun]}" for label, (verb, noun) in classes.items()}

    def describe(self, data: DataConfig, video_ids: Sequence[str]) -> list[str]:
        """Return lines about the extension's videos, hours, frame rates and resolutions."""
        infos = read_video_info(_file(data, VIDEO_INFO))
        known = [infos[video_id] for video_id in video_ids if video_id in infos]
        rates = Counter(f"{info.fps:.5g}" for info in known)
        sizes = Counter(info.resolution for info in known)
        return [
            f"extension videos (PXX_1YY): {sum(map(is_extension, video_ids))}",
            f"hours: {sum(info.duration_s for info in known) / 3600:.2f}",
            f"frame rates: {_counts(rates)}",
            f"resolutions: {_counts(sizes)}",
            f"videos in {VIDEO_INFO} without annotations: {len(infos.keys() - set(video_ids))}",
        ]

    def read_detections(self, path: str | Path) -> Predictions:
        """Read a submission to the challenge."""
        return read_ek100_json(path)

    def write_detections(self, path: str | Path, predictions: Predictions, notes: Mapping[str, Any]) -> None:
        """Write a submission to the challenge, which has room for nothing but the supervision
        levels."""
        write_ek100_json(path, predictions, **{name: notes[name] for name in self.declares})


EK100 = Ek100(
    name="ek100",
    title="EPIC_100_*.csv",
    read=read_ek100_csv,
    rounding_s=0.005,  # timestamps are given in hundredths of a second
    heads=("verb", "noun"),
    tasks=("verb", "noun", "action"),
    declares={
        "sls_pt": 2,
        "sls_tl": 3,
        "sls_td": 3,
    },  # the supervision levels of the TAdaConv code's submissions
)
