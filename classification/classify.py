"""Classify the proposals of a run and write its detections: the work of the stage `classification`."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch

from classification.labelling import class_probabilities, features_inside, label_proposals
from feature_extraction import FeatureStore
from feature_extraction.backbone import load_backbone
from runtime.progress import progress
from runtime.schema import ClassificationConfig
from runtime.stage import StageRun
from training.device import prepare_device
from video_datasets.dataset import load_dataset
from video_datasets.predictions import Predictions, read_predictions, select_videos, write_detections_json


def classify(run: StageRun) -> None:
    """Label the proposals of every video with the finetuned head.

    Leaves detections.json for the validation subset, and detections_<subset>.json for each other subset that
    has proposals (testing: the file for a challenge server).
    """
    config = run.config.classification
    prepare_device(run.config.runtime)
    store = FeatureStore(run.upstream("features"))
    backbone = load_backbone(run.upstream("finetune") / "weights.pt")
    proposals = read_predictions(run.upstream("proposals") / "proposals.h5")
    segments_s = np.stack([proposals.start_s, proposals.end_s], axis=1)
    rows_of_video = _rows_of_videos(proposals)
    columns = []
    for index, video_id in enumerate(progress(proposals.videos, description="classification", unit="video")):
        rows = rows_of_video[index]
        if len(rows) == 0:
            continue
        record = store[video_id]
        chosen = (
            segments_s[rows[: config.top_proposals]] if config.source == "proposals" else np.zeros((0, 2))
        )
        feature = record.features[features_inside(record.times, chosen)].mean(axis=0)
        logits = _head_logits(backbone.model.head, feature)
        found = _detections(segments_s[rows], proposals.score[rows], logits, config)
        columns.append((np.full(len(found[1]), index), *found))
    detections = _table(proposals.videos, backbone.labels, columns)
    _write_subsets(run, detections)
    run.counts.update({"videos": len(columns), "detections": len(detections)})
    run.summary = f"{len(detections)} detections in {len(columns)} videos"


def _write_subsets(run: StageRun, detections: Predictions) -> None:
    videos = load_dataset(run.config.data).videos
    for subset in dict.fromkeys(videos[video_id].subset for video_id in detections.videos):
        name = "detections.json"
        if subset != run.config.data.validation_subset:
            name = f"detections_{subset}.json"
        ids = {video_id for video_id in detections.videos if videos[video_id].subset == subset}
        write_detections_json(run.folder / name, select_videos(detections, ids))


def _rows_of_videos(proposals: Predictions) -> list[np.ndarray]:
    """Rows of every video, in file order, which is descending score."""
    order = np.argsort(proposals.video_index, kind="stable")
    bounds = np.searchsorted(proposals.video_index[order], np.arange(len(proposals.videos) + 1))
    return [order[first:last] for first, last in itertools.pairwise(bounds)]


def _head_logits(head: torch.nn.Module, feature: np.ndarray) -> np.ndarray:
    """Logits of a mean feature; the head is linear, so these are the mean logits."""
    with torch.inference_mode():
        logits: torch.Tensor = head(torch.from_numpy(feature)[None])
    return logits[0].double().numpy()


def _detections(
    segments_s: np.ndarray, scores: np.ndarray, logits: np.ndarray, config: ClassificationConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return label_proposals(
        segments_s,
        scores,
        class_probabilities(logits, config.temperature),
        top_classes=config.top_classes,
        max_detections=config.max_detections,
    )


def _table(
    videos: tuple[str, ...], labels: tuple[str, ...], columns: Sequence[tuple[np.ndarray, ...]]
) -> Predictions:
    empty: tuple[np.ndarray, ...] = (np.zeros(0, int), np.zeros((0, 2)), np.zeros(0), np.zeros(0, int))
    index, segments_s, scores, classes = map(np.concatenate, zip(*(columns or [empty]), strict=True))
    return Predictions(
        videos=videos,
        labels=labels,
        video_index=index,
        start_s=segments_s[:, 0],
        end_s=segments_s[:, 1],
        score=scores,
        label=classes,
    )
