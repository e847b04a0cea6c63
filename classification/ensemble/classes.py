"""Class scores of proposals from several runs: one run's proposals, labelled by the mean of what
all runs' sources of labels say about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from classification.auto import decided_config
from classification.classify import labeller_of
from classification.labels import CODES, LabelVideo
from classification.source_table import source_kind
from classification.sources import Probabilities, Source
from runtime.config import load_config
from runtime.errors import InputError
from runtime.sections import RunConfig
from video_datasets.dataset import VideoDataset
from video_datasets.predictions import Predictions, concatenate


@dataclass(frozen=True)
class MeanSource:
    """The weighted mean of several sources' class probabilities.

    Attributes:
        sources: of the same classes, in the same order.
        shares: weight of each, sum 1.
    """

    sources: Sequence[Source]
    shares: NDArray[np.float64]

    def __call__(self, video_id: str, segments_s: NDArray[np.float64]) -> Probabilities:
        """Return the mean probabilities of proposals (N, 2) of a video."""
        told = [source(video_id, segments_s) for source in self.sources]
        return {
            head: np.tensordot(self.shares, np.stack([each[head] for each in told]), axes=1)
            for head in told[0]
        }


def open_label_video(run: Path, dataset: VideoDataset) -> LabelVideo:
    """Open what labels the proposals of a run whose classification is complete.

    Args:
        run: its folder.
        dataset: of the ensemble.

    Raises:
        InputError: if it is no such run, has other classes, or its head gives the labels itself.
    """
    folder = run / "classification"
    config = decided_config(run_config(run), folder)
    labeller = labeller_of(source_kind(config), config, folder, dataset)
    if not isinstance(labeller, LabelVideo):
        raise InputError(f"{run}: its head gives the labels itself; average the detections of such runs")
    if dict(labeller.classes) != dataset.heads:
        raise InputError(f"{run}: other classes, or in another order, than the data set of the first run")
    return labeller


def mean_labeller(members: Sequence[LabelVideo], shares: NDArray[np.float64]) -> LabelVideo:
    """Return the first member's labeller with the mean of all members' probabilities."""
    return replace(members[0], source=MeanSource([member.source for member in members], shares))


def label_all(proposals: Mapping[str, Predictions], label_video: LabelVideo) -> Predictions:
    """Label the proposals of all videos; returns the detections that a submission holds."""
    found = [label_video(part)["action"] for part in proposals.values()]
    return concatenate(found, order=CODES["action"] if len(label_video.classes) > 1 else ())


def run_config(run: Path) -> RunConfig:
    """Read the configuration of a run folder.

    Raises:
        InputError: if it has none.
    """
    path = run / "config.yaml"
    if not path.is_file():
        raise InputError(f"{run}: no config.yaml; class scores are averaged over folders of runs")
    return load_config(path)
