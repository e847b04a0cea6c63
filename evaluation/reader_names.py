"""Names of labels and classes for readers, from the lists that lie beside a data set's
annotations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from evaluation.files.protocols import Protocol
from video_datasets.formats import format_of
from video_datasets.settings import DataConfig


@dataclass(frozen=True)
class ReaderNames:
    """Labels and classes that are missing here stand for themselves.

    Attributes:
        labels: label of the files -> its name.
        classes: per task, class that counts -> its name.
    """

    labels: Mapping[str, str] = field(default_factory=dict)
    classes: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


def reader_names(data: DataConfig, protocol: Protocol, labels: Iterable[str]) -> ReaderNames:
    """Name the classes of each task: after the lists of the data set's heads, or after the labels
    of the files.

    Raises:
        InputError: if a list is there and damaged.
    """
    names = format_of(data).label_names(data, dict.fromkeys(labels))
    if all(label == name for label, name in names.items()):
        return ReaderNames(names)
    lists = format_of(data).class_names(data)
    classes = {
        task: {str(number): name for number, name in enumerate(lists[task])}
        if task in lists
        else {class_name(label): name for label, name in names.items()}
        for task, class_name in protocol.class_names.items()
    }
    return ReaderNames(names, classes)
