"""A classifier of segments on stored features: `classification.source=trained`.

One linear layer over what `classification.segment_features` sees of a segment, with background as
the last class of each head (softmax regression), trained on the labelled segments of the training
subset and on background between them. It needs no video and no finetuned network, so imported
features get labels in seconds to minutes on a CPU. The probability of background takes score away
from false proposals, since only the classes become detections.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from classification.segment_features import REGIONS, segment_features
from classification.source_table import Parts
from classification.sources import Probabilities
from classification.training_segments import draw_training_segments
from feature_extraction import FeatureStore
from runtime.config import config_to_dict
from runtime.errors import InputError
from runtime.progress import progress
from training import checkpoint
from training.fitting import fitted, weights_of
from video_datasets.dataset import VideoDataset
from video_datasets.formats.format import Classes

FILE_NAME = "classifier.pt"
PENALTY = 40.0
"""Half of it times the sum of squared weights is added to the sum of the losses of all segments: a
Gaussian prior of the weights, which counts for less the more segments there are."""
MAX_ITERATIONS = 100
"""Of L-BFGS; it ends earlier where nothing changes any more."""


class SegmentClassifier(nn.Module):
    """Logits of each head's classes, and of background behind them.

    Args:
        channels: C of the features.
        classes: head -> names.
    """

    mean: Tensor
    scale: Tensor

    def __init__(self, channels: int, classes: Classes) -> None:
        super().__init__()
        self.channels, self.classes = channels, {head: tuple(names) for head, names in classes.items()}
        self.register_buffer("mean", torch.zeros(REGIONS * channels))
        self.register_buffer("scale", torch.ones(REGIONS * channels))
        sizes = {head: len(names) + 1 for head, names in self.classes.items()}
        self.layers = nn.ModuleDict(
            {head: nn.Linear(REGIONS * channels, size) for head, size in sizes.items()}
        )
        for parameter in self.parameters():
            nn.init.zeros_(parameter)

    def forward(self, features_NF: Tensor) -> dict[str, Tensor]:
        """Return the logits of segments, head -> (N, classes + 1)."""
        normalised = (features_NF - self.mean) * self.scale
        return {head: layer(normalised) for head, layer in self.layers.items()}


@dataclass(frozen=True)
class SegmentSource:
    """The classifier's probabilities of proposals.

    Attributes:
        store: features.
        classifier: trained.
    """

    store: FeatureStore
    classifier: SegmentClassifier

    def __call__(self, video_id: str, segments_s: NDArray[np.float64]) -> Probabilities:
        """Return the probabilities of the classes; what is missing to 1 is background's."""
        record = self.store[video_id]
        seen = torch.from_numpy(segment_features(record.features, record.times, segments_s))
        with torch.inference_mode():
            logits = self.classifier(seen)
        return {head: values.double().softmax(dim=1)[:, :-1].numpy() for head, values in logits.items()}


class Samples:
    """Features and class numbers of training segments, gathered video by video."""

    def __init__(self, heads: Classes) -> None:
        self.background = {head: len(names) for head, names in heads.items()}
        self.features: list[NDArray[np.float32]] = []
        self.targets: dict[str, list[int]] = {head: [] for head in heads}

    def add(
        self, dataset: VideoDataset, labels: list[str], rows: NDArray[np.int64], seen: NDArray[np.float32]
    ) -> None:
        """Add segments that have the label of a row, or of none."""
        classes = [dataset.class_indices(label) for label in labels]
        self.features.append(seen)
        for head, targets in self.targets.items():
            targets += [classes[row][head] if row >= 0 else self.background[head] for row in rows.tolist()]


def gather_samples(store: FeatureStore, dataset: VideoDataset, subset: str, seed: int) -> Samples:
    """Gather what the labelled videos of a subset that have features teach.

    Raises:
        InputError: if there are none.
    """
    samples, generator = Samples(dataset.heads), np.random.default_rng(seed)
    for video in progress(list(dataset.subset(subset)), description="classifier", unit="video"):
        if not video.segments or video.video_id not in store or not store.info(video.video_id).shape[0]:
            continue
        record, duration_s = store[video.video_id], store.duration_s(video.video_id)
        segments_s = np.array([(segment.start_s, segment.end_s) for segment in video.segments])
        watched_s = np.reshape(video.watched_s, (-1, 2))
        drawn = draw_training_segments(segments_s, duration_s, generator, watched_s)
        seen = segment_features(record.features, record.times, drawn.segments_s)
        samples.add(dataset, [segment.label for segment in video.segments], drawn.row, seen)
    if not samples.features:
        raise InputError(
            f"{store.path}: features of no labelled video of subset '{subset}'; classification.source=trained learns "
            f"from them"
        )
    return samples


def fit(samples: Samples, classes: Classes, penalty: float = PENALTY) -> SegmentClassifier:
    """Fit the classifier: softmax regression with an L2 penalty, by L-BFGS from zero, so the
    same every time."""
    features_NF = torch.from_numpy(np.concatenate(samples.features))
    targets = {head: torch.tensor(numbers) for head, numbers in samples.targets.items()}
    classifier = SegmentClassifier(features_NF.shape[1] // REGIONS, classes)
    classifier.mean.copy_(features_NF.mean(dim=0))
    classifier.scale.copy_(1 / features_NF.std(dim=0, correction=0).clamp(min=1e-6))
    optimizer = torch.optim.LBFGS(
        classifier.parameters(), max_iter=MAX_ITERATIONS, line_search_fn="strong_wolfe", tolerance_change=1e-7
    )

    share = penalty / len(features_NF)

    def loss() -> Tensor:
        optimizer.zero_grad()
        logits = classifier(features_NF)
        parts = [F.cross_entropy(logits[head], target) for head, target in targets.items()]
        parts += [share / 2 * (weight**2).sum() for weight in classifier.parameters() if weight.dim() == 2]
        total = torch.stack(parts).sum()
        total.backward()
        return total

    optimizer.step(loss)
    return classifier.eval()


def trained_classifier(parts: Parts) -> SegmentClassifier:
    """Return the classifier of a run: that of an earlier, cut-off start of the stage, or a new one.

    Raises:
        InputError: if there is nothing to learn from.
    """
    assert parts.folder is not None
    path = parts.folder / FILE_NAME
    if not path.is_file():
        config = parts.config
        samples = gather_samples(parts.features, parts.annotations, config.data.training_subset, config.seed)
        save_classifier(path, fit(samples, parts.annotations.heads), config_to_dict(config))
    return load_classifier(path)


def save_classifier(path: Path, classifier: SegmentClassifier, config: dict[str, object]) -> None:
    """Write a classifier with its class names and the run's configuration, whole or not at all."""
    content = {
        "model": classifier.state_dict(),
        "channels": classifier.channels,
        "classes": {head: list(names) for head, names in classifier.classes.items()},
        "config": config,
    }
    checkpoint.save(path, content)


def load_classifier(path: Path) -> SegmentClassifier:
    """Read what `save_classifier` wrote.

    Raises:
        InputError: if the file is missing or damaged.
    """
    content = checkpoint.load(path)
    with weights_of(path, "a classifier of segments"):
        sizes = content["channels"], content["classes"]
        return fitted(lambda: SegmentClassifier(*sizes), content["model"]).eval()
