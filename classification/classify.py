"""Classify the proposals of a run and write its detections: the stage `classification` for one set of classes."""

from __future__ import annotations

import numpy as np
import torch

from classification.labelling import class_probabilities, features_inside, label_proposals
from classification.outputs import detection_table, write_subsets
from classification.proposal_rows import ProposalRows
from feature_extraction import FeatureStore
from feature_extraction.backbone import load_backbone
from feature_extraction.checks import check_store
from feature_extraction.store import FeatureRecord
from runtime.errors import InputError
from runtime.items import FinishedItems
from runtime.progress import progress
from runtime.schema import ClassificationConfig
from runtime.stage import StageRun
from training.device import prepare_device
from video_datasets.dataset import load_dataset
from video_datasets.formats.submission_json import write_detections_json
from video_datasets.time_grid import TimeGrid


def classify(run: StageRun) -> None:
    """Label the proposals of every video with the finetuned head.

    Leaves detections.json for the validation subset, and detections_<subset>.json for each other subset that
    has detections (testing: the file for a challenge server).

    Raises:
        InputError: if the finetuned model tells verbs and nouns, or the features come from another one.
    """
    config = run.config.classification
    prepare_device(run.config.runtime)
    store = FeatureStore(run.upstream("features"))
    backbone = load_backbone(run.upstream("finetune") / "weights.pt")
    if not backbone.labels:
        raise InputError(
            f"classification.source={config.source} needs one set of classes, but the finetuned model tells "
            f"{' and '.join(backbone.heads)}; set classification.source to features or clips"
        )
    check_store(store, TimeGrid.from_config(run.config.grid), backbone.sha256)
    proposals = ProposalRows.read(run.upstream("proposals") / "proposals.h5")
    finished = FinishedItems(run.folder / "videos")
    labelled = proposals.videos_with_rows
    for video_id in progress(labelled, description="classification", unit="video"):
        if finished.load(video_id) is None:
            segments_s, scores = proposals.of_video(video_id)
            probabilities = video_probabilities(store[video_id], segments_s, backbone.model.head, config)
            found = label_proposals(
                segments_s,
                scores,
                probabilities,
                top_classes=config.top_classes,
                max_detections=config.max_detections,
            )
            finished.save(video_id, dict(zip(("segments_s", "scores", "classes"), found, strict=True)))
    found_by_video = {video_id: finished.load(video_id) or {} for video_id in labelled}
    detections = detection_table(backbone.labels, found_by_video)
    write_subsets(run, load_dataset(run.config.data), detections, write_detections_json)
    finished.clear()
    run.counts.update({"videos": len(labelled), "detections": len(detections)})
    run.summary = f"{len(detections)} detections in {len(labelled)} videos"


def video_probabilities(
    record: FeatureRecord, segments_s: np.ndarray, head: torch.nn.Module, config: ClassificationConfig
) -> np.ndarray:
    """Class probabilities (K,) of a video; the head is linear, so a mean feature gives the mean logits."""
    looked_at = segments_s[: config.top_proposals] if config.source == "proposals" else segments_s[:0]
    feature = record.features[features_inside(record.times, looked_at)].mean(axis=0)
    with torch.inference_mode():
        logits: torch.Tensor = head(torch.from_numpy(feature)[None])
    return class_probabilities(logits[0].double().numpy(), config.temperature)
