"""Everything that was scored together: what a page of figures is made of, from files or from a
run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TypeVar

from evaluation.diagnosis.tasks import TaskAnalysis, analyse_tasks
from evaluation.files.evaluate import Evaluation
from evaluation.files.protocols import Protocol
from evaluation.metrics.detection import DetectionMetrics
from evaluation.metrics.matches import Matches
from evaluation.reader_names import ReaderNames
from video_datasets.annotations import AnnotationTable
from video_datasets.predictions import Predictions

Named = TypeVar("Named", DetectionMetrics, Matches)


@dataclass(frozen=True, eq=False)
class Scored:
    """Predictions and their figures; a mapping where each task has predictions of its own."""

    predictions: Predictions | Mapping[str, Predictions]
    evaluation: Evaluation

    @property
    def table(self) -> Predictions:
        """The predictions, where all tasks share them.

        Raises:
            TypeError: if each task has its own.
        """
        if not isinstance(self.predictions, Predictions):
            raise TypeError("each task has predictions of its own")
        return self.predictions


@dataclass(frozen=True, eq=False)
class Results:
    """What was scored against one ground truth.

    Attributes:
        protocol: of the detections.
        truth: videos of the subset only.
        detections: if there are any.
        proposals: likewise.
        separate: detections of each task alone, scored by the protocol beside this one.
        files: role -> file that the figures follow from.
        names: of labels and classes.
    """

    protocol: Protocol
    truth: AnnotationTable
    detections: Scored | None = None
    proposals: Scored | None = None
    separate: Scored | None = None
    files: Mapping[str, Path] = field(default_factory=dict)
    names: ReaderNames = field(default_factory=ReaderNames)

    @cached_property
    def analyses(self) -> dict[str, TaskAnalysis]:
        """Matching and diagnosis of every task of the detections; {} without detections."""
        if self.detections is None:
            return {}
        found = analyse_tasks(self.truth, self.detections.predictions, self.protocol)
        return {task: replace(each, matches=self._shown(task, each.matches)) for task, each in found.items()}

    @property
    def shown_detection(self) -> dict[str, DetectionMetrics]:
        """Figures of every task with names of classes for readers; {} without detections."""
        if self.detections is None:
            return {}
        return {
            task: self._shown(task, found) for task, found in self.detections.evaluation.detection.items()
        }

    def _shown(self, task: str, found: Named) -> Named:
        names = self.names.classes.get(task, {})
        return replace(found, labels=tuple(names.get(str(label), str(label)) for label in found.labels))

    def named(self, labels: Iterable[str]) -> tuple[str, ...]:
        """Name labels for readers."""
        return tuple(self.names.labels.get(label, label) for label in labels)

    @property
    def evaluations(self) -> list[Evaluation]:
        """Of detections and proposals, whichever are there."""
        return [found.evaluation for found in (self.detections, self.proposals) if found is not None]
