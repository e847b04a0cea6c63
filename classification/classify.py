"""Classify the proposals of a run and write its detections: the work of the stage `classification`."""

from __future__ import annotations

import itertools
from collections.abc import Mapping

import numpy as np
import torch

from classification.labelling import class_probabilities, features_inside, label_proposals
from feature_extraction import FeatureStore
from feature_extraction.backbone import load_backbone
from feature_extraction.checks import check_store
from feature_extraction.store import FeatureRecord
from runtime.items import Arrays, FinishedItems
from runtime.progress import progress
from runtime.schema import ClassificationConfig
from runtime.stage import StageRun
from training.device import prepare_device
from video_datasets.dataset import load_dataset
from video_datasets.predictions import Predictions, read_predictions, select_videos, write_detections_json
from video_datasets.time_grid import TimeGrid


def classify(run: StageRun) -> None:
    """Label the proposals of every video with the finetuned head.

    Leaves detections.json for the validation subset, and detections_<subset>.json for each other subset that
    has detections (testing: the file for a challenge server).
    """
    config = run.config.classification
    prepare_device(run.config.runtime)
    store = FeatureStore(run.upstream("features"))
    backbone = load_backbone(run.upstream("finetune") / "weights.pt")
    check_store(store, TimeGrid.from_config(run.config.grid), backbone.sha256)
    proposals = read_predictions(run.upstream("proposals") / "proposals.h5")
    segments_s = np.stack([proposals.start_s, proposals.end_s], axis=1)
    rows_of_video = _rows_of_videos(proposals)
    finished = FinishedItems(run.folder / "videos")
    labelled = [video_id for video_id, rows in zip(proposals.videos, rows_of_video, strict=True) if len(rows)]
    for index, video_id in enumerate(progress(proposals.videos, description="classification", unit="video")):
        rows = rows_of_video[index]
        if len(rows) and finished.load(video_id) is None:
            probabilities = _class_probabilities(
                store[video_id], segments_s[rows], backbone.model.head, config
            )
            found = label_proposals(
                segments_s[rows],
                proposals.score[rows],
                probabilities,
                top_classes=config.top_classes,
                max_detections=config.max_detections,
            )
            finished.save(video_id, dict(zip(("segments_s", "scores", "classes"), found, strict=True)))
    detections = _table(backbone.labels, {video_id: finished.load(video_id) or {} for video_id in labelled})
    _write_subsets(run, detections)
    finished.clear()
    run.counts.update({"videos": len(labelled), "detections": len(detections)})
    run.summary = f"{len(detections)} detections in {len(labelled)} videos"


def _write_subsets(run: StageRun, detections: Predictions) -> None:
    videos, validation = load_dataset(run.config.data).videos, run.config.data.validation_subset
    for subset in {validation} | {videos[video_id].subset for video_id in detections.videos}:
        name = "detections.json" if subset == validation else f"detections_{subset}.json"
        ids = {video_id for video_id in detections.videos if videos[video_id].subset == subset}
        write_detections_json(run.folder / name, select_videos(detections, ids))


def _rows_of_videos(proposals: Predictions) -> list[np.ndarray]:
    """Rows of every video, in file order, which is descending score."""
    order = np.argsort(proposals.video_index, kind="stable")
    bounds = np.searchsorted(proposals.video_index[order], np.arange(len(proposals.videos) + 1))
    return [order[first:last] for first, last in itertools.pairwise(bounds)]


def _class_probabilities(
    record: FeatureRecord, segments_s: np.ndarray, head: torch.nn.Module, config: ClassificationConfig
) -> np.ndarray:
    """Class probabilities (K,) of a video; the head is linear, so a mean feature gives the mean logits."""
    looked_at = segments_s[: config.top_proposals] if config.source == "proposals" else segments_s[:0]
    feature = record.features[features_inside(record.times, looked_at)].mean(axis=0)
    with torch.inference_mode():
        logits: torch.Tensor = head(torch.from_numpy(feature)[None])
    return class_probabilities(logits[0].double().numpy(), config.temperature)


def _table(labels: tuple[str, ...], found: Mapping[str, Arrays]) -> Predictions:
    """Columns of the detections of many videos."""
    counts = [len(arrays["scores"]) for arrays in found.values()]
    segments_s = np.concatenate([np.zeros((0, 2)), *(arrays["segments_s"] for arrays in found.values())])
    return Predictions(
        videos=tuple(found),
        labels=labels,
        video_index=np.repeat(np.arange(len(found)), counts),
        start_s=segments_s[:, 0],
        end_s=segments_s[:, 1],
        score=np.concatenate([np.zeros(0), *(arrays["scores"] for arrays in found.values())]),
        label=np.concatenate([np.zeros(0, int), *(arrays["classes"] for arrays in found.values())]),
    )
