"""Class probabilities of the proposals of one video: from stored features, clips of the video, or
released results.

Each source gives head -> (N, classes): heads are "action", or "verb" and "noun". A video at a time
is in memory: of an hour of EPIC-KITCHENS-100, 27,000 rows of logits (43 MB).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from classification.action_probabilities import POINTS_PER_SAMPLE, sample_times, sampled_probabilities
from classification.labelling import class_probabilities, features_inside
from classification.proposal_clips import clip_features
from classification.settings import ClassificationConfig
from feature_extraction import FeatureStore
from feature_extraction.extractor import Extractor
from runtime.errors import InputError
from tadaconv.heads import ClassificationHead
from video_datasets.dataset import Video
from video_datasets.time_grid import TimeGrid, frames_to_seconds, seconds_to_frames
from video_datasets.video.decoding import VideoError

Probabilities = dict[str, NDArray[np.float64]]
"""Head -> (N, classes)."""
Logits = dict[str, NDArray[np.float32]]
"""Head -> (T, R, classes): rows in time, crops of a frame."""

_LEAST = 1e-12
"""Probabilities below it count as it, so that one proposal cannot rule a class out for its
video."""
_ROWS_AT_ONCE = 2048
"""Features read at a time: 17 MB of 2048 channels."""


class Source(Protocol):
    """Class probabilities of the proposals of any video."""

    def __call__(self, video_id: str, segments_s: NDArray[np.float64]) -> Probabilities:
        """Return the probabilities of proposals (N, 2) of a video, best proposal first.

        Raises:
            InputError: if nothing can be said about this video, with the reason.
        """


@dataclass(frozen=True)
class Sampling:
    """How a proposal is sampled.

    Attributes:
        grid: of the run; the outermost points lie one of its strides inside the proposal's ends:
            the middles of BMN's first and last cell, which hold two features each
            (EPIC-KITCHENS-100).
        count: samples.
        temperature: of the softmax.
    """

    grid: TimeGrid
    count: int
    temperature: float

    @classmethod
    def from_config(cls, grid: TimeGrid, config: ClassificationConfig) -> Sampling:
        """Return what the section of the configuration says."""
        return cls(grid, config.samples_per_proposal, config.temperature)

    def places_s(self, segments_s: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the times (N, S) of samples of a single point each."""
        return sample_times(segments_s, self.count, self.grid.stride_s)

    def of_rows(
        self, logits: Logits, times_s: NDArray[np.float64], segments_s: NDArray[np.float64]
    ) -> Probabilities:
        """Return the class probabilities of proposals (N, 2) from the logits of a video's rows
        at (T,) seconds."""
        points = sample_times(segments_s, self.count * POINTS_PER_SAMPLE, self.grid.stride_s)
        return self.at_points(logits, times_s, points.reshape(-1, self.count, POINTS_PER_SAMPLE))

    def at_points(
        self, logits: Logits, times_s: NDArray[np.float64], points_NSP: NDArray[np.float64]
    ) -> Probabilities:
        """Return the class probabilities of proposals sampled at points (N, S, P), in seconds."""
        return {
            head: sampled_probabilities(values, times_s, points_NSP, self.temperature)
            for head, values in logits.items()
        }


@dataclass(frozen=True)
class VideoSource:
    """The finetuned head on the mean of a video's features: every proposal has the classes of its
    video.

    Source: the HACS post-processing of TCANet (Qing et al. 2021), to which the TAda paper refers.

    Attributes:
        store: features.
        head: in eval mode; it is linear, so a mean feature gives the mean logits.
        temperature: of the softmax.
        top_proposals: the mean is over the features inside so many best proposals, which keeps the
            background out; 0: over the whole video (paper).
    """

    store: FeatureStore
    head: ClassificationHead
    temperature: float
    top_proposals: int = 0

    def __call__(self, video_id: str, segments_s: NDArray[np.float64]) -> Probabilities:
        """Return the probabilities of a video that the store holds, once for each proposal."""
        record = self.store[video_id]
        inside = features_inside(record.times, segments_s[: self.top_proposals])
        logits = head_logits(self.head, record.features[inside].mean(axis=0)[None])
        found = {}
        for head, values in logits.items():
            of_video = class_probabilities(values[0].astype(np.float64).mean(axis=0), self.temperature)
            found[head] = np.broadcast_to(of_video, (len(segments_s), len(of_video)))
        return found


@dataclass(frozen=True)
class FeatureSource:
    """The finetuned head on the stored features; several crops side by side are averaged as samples
    are.

    Attributes:
        store: features, R times as many channels as the head takes.
        head: in eval mode.
        sampling: how.
    """

    store: FeatureStore
    head: ClassificationHead
    sampling: Sampling

    def __call__(self, video_id: str, segments_s: NDArray[np.float64]) -> Probabilities:
        """Return the probabilities of proposals of a video that the store holds."""
        logits = _joined(head_logits(self.head, rows) for rows in self._blocks(video_id))
        return self.sampling.of_rows(logits, self.store.times(video_id), segments_s)

    def _blocks(self, video_id: str) -> Iterator[NDArray[np.float32]]:
        num_rows = self.store.info(video_id).shape[0]
        for first in range(0, num_rows, _ROWS_AT_ONCE):
            yield self.store.read_range(video_id, first, min(first + _ROWS_AT_ONCE, num_rows))


@dataclass(frozen=True)
class ProposalClipSource:
    """The finetuned model on clips around the samples, decoded from the video in one pass.

    Attributes:
        videos: by id.
        extractor: the model.
        head: its head, on the CPU.
        sampling: how.
        min_decoded_share: smallest share of a video's promised frames that must decode.
        time_limit_s: a decoder that shows no progress for so long is stopped.
    """

    videos: Mapping[str, Video]
    extractor: Extractor
    head: ClassificationHead
    sampling: Sampling
    min_decoded_share: float
    time_limit_s: float

    def __call__(self, video_id: str, segments_s: NDArray[np.float64]) -> Probabilities:
        """Return the probabilities of proposals of a video; samples that share a frame share
        their clip."""
        path, fps = self.videos[video_id].path, self.sampling.grid.fps
        if path is None:
            raise VideoError(video_id, "video file not found")
        frames_NS = seconds_to_frames(self.sampling.places_s(segments_s), fps)
        centres = np.unique(frames_NS)
        features = clip_features(
            self.extractor,
            path,
            centres,
            min_decoded_share=self.min_decoded_share,
            time_limit_s=self.time_limit_s,
        )
        logits = head_logits(self.head, features)
        points_NSP = frames_to_seconds(frames_NS, fps)[..., None]
        return self.sampling.at_points(logits, frames_to_seconds(centres, fps), points_NSP)


@dataclass(frozen=True)
class WithVideoPrior:
    """Probabilities of single proposals, drawn towards those of their video.

    p(class | proposal) is multiplied by p(class | video) ** weight, and the products made to sum to
    1. The video's are the geometric mean over its best proposals: where a video shows one class,
    they decide together.

    Attributes:
        source: of single proposals.
        weight: 0 leaves them alone; the larger, the more all proposals of a video have its classes.
        top_proposals: best proposals that speak for the video.
    """

    source: Source
    weight: float
    top_proposals: int

    def __call__(self, video_id: str, segments_s: NDArray[np.float64]) -> Probabilities:
        """Return the mixed probabilities of proposals of a video, best proposal first."""
        mixed = {}
        for head, values_NK in self.source(video_id, segments_s).items():
            log_NK = np.log(np.maximum(values_NK, _LEAST))
            log_NK = log_NK + self.weight * log_NK[: self.top_proposals].mean(axis=0)
            powers_NK = np.exp(log_NK - log_NK.max(axis=1, keepdims=True))
            mixed[head] = powers_NK / powers_NK.sum(axis=1, keepdims=True)
        return mixed


def head_logits(head: ClassificationHead, features_TC: NDArray[np.float32]) -> Logits:
    """Return the logits of features, head -> (T, R, classes), for R crops side by side in the
    channels.

    Raises:
        InputError: if the channels are no multiple of what the head takes.
    """
    taken, (rows, channels) = head.num_features, features_TC.shape
    if channels % taken:
        raise InputError(
            f"features have {channels} channels, but the finetuned head takes {taken} of each crop"
        )
    with torch.inference_mode():
        found = head(torch.from_numpy(features_TC.reshape(-1, taken)))
    logits = found if isinstance(found, Mapping) else {"action": found}
    return {name: values.reshape(rows, channels // taken, -1).numpy() for name, values in logits.items()}


def _joined(blocks: Iterator[Logits]) -> Logits:
    parts = list(blocks)
    return {head: np.concatenate([part[head] for part in parts]) for head in parts[0]}
