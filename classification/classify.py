"""Classification of the proposals of a run, and its detections: the work of the stage
`classification`."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from classification.auto import settled_source
from classification.labels import CODES, VideoLabeller
from classification.outputs import declared_levels, write_subsets
from classification.source_table import Parts, SourceKind
from evaluation.check import check_file
from evaluation.files.protocols import PROTOCOLS
from feature_extraction import FeatureStore
from feature_extraction.backbone import Backbone, load_backbone
from feature_extraction.checks import check_store
from proposals.video_loop import finish_videos
from runtime.errors import InputError, error_list
from runtime.sections import RunConfig
from runtime.stage import StageRun
from training.device import prepare_device
from video_datasets.dataset import VideoDataset, load_dataset
from video_datasets.predictions import (
    Predictions,
    by_video,
    concatenate,
    read_predictions,
    select_videos,
    write_predictions,
)

SEPARATE_FILES = {task: name for entry in PROTOCOLS.values() for task, name in entry.task_files.items()}
"""Detections of one task alone, for protocols that score tasks separately; no submission holds
them."""


def classify(run: StageRun) -> None:
    """Label the proposals of every video.

    Leaves detections.json for the validation subset, and detections_<subset>.json for each other
    subset that has detections (testing: the file for a challenge server); where verbs and nouns are
    told apart verbs.h5 and nouns.h5, too. A video that cannot be classified is listed. A cut-off
    stage goes on with the first one that is not finished.

    Raises:
        InputError: if the upstream results do not fit together, no video could be classified, or
            what was written breaks a rule of the challenge.
    """
    dataset = load_dataset(run.config.data, for_training=False)
    levels = declared_levels(run.config)
    label_video = open_labeller(run, dataset)
    proposals = by_video(read_predictions(run.upstream("proposals") / "proposals.h5"))
    with finish_videos(
        run, {name: part for name, part in proposals.items() if len(part)}, label_video
    ) as found:
        if run.skipped and not found:
            reasons = "; ".join(f"{video_id}: {reason}" for video_id, reason in list(run.skipped.items())[:3])
            raise InputError(f"no video could be classified: {reasons}")
        tasks = next(iter(found.values()), {"action": Predictions.of_video("none")})
        tables = {
            task: concatenate([labels[task] for labels in found.values()], order=CODES.get(task, ()))
            for task in tasks
        }
        write_subsets(run, dataset, tables["action"], partial(write_checked, dataset=dataset, levels=levels))
        validation = {video.video_id for video in dataset.subset(run.config.data.validation_subset)}
        for task, name in SEPARATE_FILES.items():
            if task in tables:
                write_predictions(run.folder / name, select_videos(tables[task], validation))
    run.counts.update({"videos": len(found), "detections": len(tables["action"])})
    run.summary = f"{len(tables['action'])} detections in {len(found)} videos"


def open_labeller(run: StageRun, dataset: VideoDataset) -> VideoLabeller:
    """Return the function that labels the proposals of a video, as `classification.source` says.

    Raises:
        InputError: if upstream results, data set and source do not fit together.
    """
    kind, config = settled_source(run, dataset)
    return labeller_of(kind, config, run.folder, dataset)


def labeller_of(kind: SourceKind, config: RunConfig, folder: Path, dataset: VideoDataset) -> VideoLabeller:
    """Return the function that labels the proposals of a video, of a source that is settled.

    Args:
        kind: the source.
        config: of the run.
        folder: of its stage `classification`, beside those that the source reads.
        dataset: of the run.

    Raises:
        InputError: if upstream results, data set and source do not fit together.
    """
    reads = kind.reads(config)
    device = prepare_device(config.runtime)
    backbone = load_backbone(folder.parent / "finetune" / "weights.pt") if "finetune" in reads else None
    store = FeatureStore(folder.parent / "features") if "features" in reads else None
    if backbone:
        _refuse_other_classes(backbone, dataset)
    if store:
        check_store(store, config.grid, backbone.sha256 if backbone else None)
    return kind.open(Parts(config, device, folder, store, backbone, dataset=dataset))


def _refuse_other_classes(backbone: Backbone, dataset: VideoDataset) -> None:
    if set(backbone.heads) != set(dataset.heads) or (
        all(dataset.heads.values()) and backbone.heads != dataset.heads
    ):
        raise InputError(
            "the finetuned model was trained on other classes than the data set has; is data.root another one?"
        )


def write_checked(
    path: Path, detections: Predictions, dataset: VideoDataset, levels: Mapping[str, Any]
) -> None:
    """Write detections in the data set's format; a submission that declares something is checked by
    its rules.

    Raises:
        InputError: if it breaks one; the file stays, to be looked at.
    """
    dataset.format.write_detections(path, detections, levels)
    if not levels:
        return
    findings = check_file(path, PROTOCOLS[dataset.format.name]).findings
    for warning in findings.warnings:
        print(f"warning: {path.name}: {warning}", file=sys.stderr)
    if findings.errors:
        raise InputError(error_list(str(path), findings.errors))
