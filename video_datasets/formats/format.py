"""The seam between the pipeline and a data set's files: all that differs from one format to
another.

A format whose annotations are one file (or the files of one folder) with one set of classes is an
object of `Format` with a reader; others override what differs (`formats.ek100`). `data` is always
the section of the configuration.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runtime.errors import InputError
from video_datasets.annotations import AnnotationTable
from video_datasets.formats.submission_json import read_detections_json, write_detections_json
from video_datasets.predictions import Predictions

if TYPE_CHECKING:
    from video_datasets.settings import DataConfig

Classes = Mapping[str, tuple[str, ...]]
"""Head of a network -> names of its classes, in order of their indices."""


@dataclass(frozen=True, kw_only=True)
class Format:
    """One format of annotations, with what the pipeline asks about data sets in it.

    Attributes:
        name: value of `data.format`.
        title: what such a file is, in a few words.
        read: raw reader of one annotation file (or folder of files), all rows as they stand.
        localizes: False where every file is cut to one action, for finetuning alone.
        rounding_s: annotated times are rounded: an end so little behind the video's is clipped
            without a word.
        heads: what a network tells apart.
        tasks: what detections are scored for.
        declares: keys of the section `classification` that a submission must declare, with what is
            usual.
    """

    name: str
    title: str
    read: Callable[[str | Path], AnnotationTable]
    localizes: bool = True
    rounding_s: float = 0.1
    heads: tuple[str, ...] = ("action",)
    tasks: tuple[str, ...] = ("action",)
    declares: Mapping[str, int] = field(default_factory=dict)

    def annotation_files(self, data: DataConfig) -> tuple[Path, ...]:
        """Return the annotation files of all subsets, also those that are not there."""
        path = self.ground_truth_file(data)
        return tuple(sorted(file for file in path.iterdir() if file.is_file())) if path.is_dir() else (path,)

    def ground_truth_file(self, data: DataConfig) -> Path:
        """Return the file that detections are evaluated against."""
        return Path(data.root) / data.annotations

    def subset_file(self, data: DataConfig, subset: str) -> Path:
        """Return the file that a subset's videos stand in, for messages."""
        return self.ground_truth_file(data)

    def read_ground_truth(self, data: DataConfig) -> AnnotationTable:
        """Read what detections are evaluated against: rows as they stand, subsets filled in."""
        return self.read(self.ground_truth_file(data))

    def read_all(self, data: DataConfig, problems: dict[str, str]) -> AnnotationTable:
        """Read all subsets.

        Args:
            data: where the files are.
            problems: gets what is odd, file or video -> what.
        """
        return self.read_ground_truth(data)

    def class_names(self, data: DataConfig) -> dict[str, tuple[str, ...]]:
        """Return the classes of each head that files of the data set list; {}: those of the
        training segments."""
        return {}

    def class_indices(self, label: str, classes: Classes) -> dict[str, int]:
        """Return the class index of a label for each head.

        Raises:
            InputError: if a head does not know the label.
        """
        (head,) = self.heads
        names = classes[head]
        if label not in names:
            close = difflib.get_close_matches(label, names, n=2)
            raise InputError(
                f"label '{label}' is not among the {len(names)} classes of the training subset;"
                f" closest known: {', '.join(close or names[:2])}"
            )
        return {head: names.index(label)}

    def label_names(self, data: DataConfig, labels: Iterable[str]) -> dict[str, str]:
        """Name labels for readers, label -> name."""
        return {label: label for label in labels}

    def describe(self, data: DataConfig, video_ids: Sequence[str]) -> list[str]:
        """Return lines about what only data sets in this format have."""
        return []

    def read_detections(self, path: str | Path) -> Predictions:
        """Read a submission."""
        return read_detections_json(path)

    def write_detections(self, path: str | Path, predictions: Predictions, notes: Mapping[str, Any]) -> None:
        """Write a submission.

        Args:
            path: JSON file to write.
            predictions: the detections.
            notes: what `declares` names, and what else the file may say of its origin where the
                format lets it.
        """
        write_detections_json(path, predictions, external_data=notes)
