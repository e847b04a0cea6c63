"""Verbs, nouns and actions for the proposals of a run: the stage `classification` for EPIC-KITCHENS-100.

Every proposal is classified by itself. Its likeliest pairs of verb and noun become detections, with the score

    proposal score * (probability of the verb * probability of the noun) ** action_score_power

(TAdaConv, `epic_video_post_process`). They are written in the format of the challenge, and checked by its rules.
verbs.h5 and nouns.h5 beside them hold the likeliest verbs and nouns alone, for the protocol that scores the two tasks
separately; no submission holds them.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path

import numpy as np

from classification.action_sources import (
    ActionSource,
    ClipSource,
    FeatureSource,
    Probabilities,
    ReleasedSource,
    Sampling,
)
from classification.class_scores import class_score_files
from classification.outputs import detection_table, supervision_levels, write_subsets
from classification.proposal_rows import ProposalRows
from classification.verb_noun import fuse_verb_noun
from evaluation.check import check_file
from evaluation.files.protocols import PROTOCOLS
from feature_extraction import FeatureStore
from feature_extraction.backbone import Backbone, load_backbone
from feature_extraction.checks import check_store
from feature_extraction.extractor import Extractor
from feature_extraction.zoo.released import find_pieces
from runtime.errors import InputError, error_list
from runtime.items import Arrays, FinishedItems
from runtime.progress import progress
from runtime.schema import ClassificationConfig
from runtime.stage import StageRun
from tadaconv import optimize_for_inference
from training.device import prepare_device
from video_datasets.dataset import VideoDataset, load_dataset
from video_datasets.formats.ek100_labels import NUM_NOUNS, NUM_VERBS, action_name
from video_datasets.formats.ek100_submission import write_ek100_json
from video_datasets.predictions import Predictions, select_videos, write_predictions
from video_datasets.time_grid import TimeGrid

CLASS_NAMES: dict[str, tuple[str, ...]] = {
    "action": tuple(action_name(action) for action in range(NUM_VERBS * NUM_NOUNS)),
    "verb": tuple(f"{verb},0" for verb in range(NUM_VERBS)),
    "noun": tuple(f"0,{noun}" for noun in range(NUM_NOUNS)),
}
"""Per task, the labels "verb,noun" by class number; of one task alone, the other class means nothing."""
SEPARATE_FILES = {"verb": "verbs.h5", "noun": "nouns.h5"}


def classify_actions(run: StageRun) -> None:
    """Classify the proposals of every video; leaves detections.json, one for each other subset, verbs.h5, nouns.h5.

    A video that cannot be classified is listed. A cut-off stage goes on with the first one that is not finished.

    Raises:
        InputError: if the data set has no verbs and nouns, a supervision level is not set, the upstream results
            do not fit together, or what was written breaks a rule of the challenge.
    """
    config = run.config.classification
    levels = supervision_levels(config)
    dataset = load_dataset(run.config.data, for_training=False)
    _refuse_one_head(dataset, run)
    source = make_source(run, dataset)
    proposals = ProposalRows.read(run.upstream("proposals") / "proposals.h5")
    finished = FinishedItems(run.folder / "videos")
    labelled = []
    for video_id in progress(proposals.videos_with_rows, description="classification", unit="video"):
        if finished.load(video_id) is None:
            segments_s, scores = proposals.of_video(video_id)
            try:
                probabilities = source(video_id, segments_s)
            except InputError as error:  # a VideoError, or classification results that do not fit
                run.skip(video_id, getattr(error, "reason", str(error)))
                continue
            finished.save(video_id, _detections(segments_s, scores, probabilities, config))
        labelled.append(video_id)
    if not labelled:
        raise InputError(_nothing_labelled(run))
    tables = {task: _table(task, labelled, finished) for task in CLASS_NAMES}
    write_subsets(run, dataset, tables["action"], partial(write_checked_json, levels=levels))
    validation = {video.video_id for video in dataset.subset(run.config.data.validation_subset)}
    for task, name in SEPARATE_FILES.items():
        write_predictions(run.folder / name, select_videos(tables[task], validation))
    finished.clear()
    run.counts.update({"videos": len(labelled), "detections": len(tables["action"])})
    run.summary = f"{len(tables['action'])} detections in {len(labelled)} videos"


def _refuse_one_head(dataset: VideoDataset, run: StageRun) -> None:
    if set(dataset.heads) != {"verb", "noun"}:
        raise InputError(
            f"classification.source={run.config.classification.source} gives verbs and nouns, but data.format="
            f"{run.config.data.format} has one set of classes; set classification.source to video or proposals"
        )


def _nothing_labelled(run: StageRun) -> str:
    reasons = "; ".join(f"{video_id}: {reason}" for video_id, reason in list(run.skipped.items())[:3])
    return f"no video could be classified: {reasons or 'there are no proposals'}"


def make_source(run: StageRun, dataset: VideoDataset) -> ActionSource:
    """Return what `classification.source` names, ready for all videos of the run.

    Raises:
        InputError: if the finetuned model has other classes than the data set, the features come from another
            model or grid, or there are no classification results.
    """
    config = run.config.classification
    device = prepare_device(run.config.runtime)
    grid = TimeGrid.from_config(run.config.grid)
    sampling = Sampling.from_config(grid, config)
    if config.source == "scores":
        return _released_source(config, dataset, sampling)
    backbone = load_backbone(run.upstream("finetune") / "weights.pt")
    _refuse_other_classes(backbone, dataset)
    if config.source == "features":
        store = FeatureStore(run.upstream("features"))
        check_store(store, grid, backbone.sha256)
        return FeatureSource(store, backbone.model.head, sampling)
    model = optimize_for_inference(backbone.model, device=device)
    return ClipSource(
        dataset.videos,
        Extractor(model, grid, config.short_side_px, device),
        backbone.model.head,
        sampling,
        run.config.features.min_decoded_share,
        run.config.runtime.video_time_limit_s,
    )


def _released_source(
    config: ClassificationConfig, dataset: VideoDataset, sampling: Sampling
) -> ReleasedSource:
    assert config.class_scores is not None
    pieces = find_pieces(class_score_files(config.class_scores))
    durations_s = {video_id: video.duration_s for video_id, video in dataset.videos.items()}
    class_counts = {head: len(names) for head, names in dataset.heads.items()}
    return ReleasedSource(pieces, durations_s, class_counts, sampling)


def _refuse_other_classes(backbone: Backbone, dataset: VideoDataset) -> None:
    if backbone.heads != dataset.heads:
        raise InputError(
            "the finetuned model was trained on other classes than the data set has; is data.root another one?"
        )


def _detections(
    segments_s: np.ndarray, scores: np.ndarray, probabilities: Probabilities, config: ClassificationConfig
) -> Arrays:
    """Detections of one video for each task; per task, proposal by proposal, the likeliest class first."""
    count = config.actions_per_proposal
    actions = fuse_verb_noun(
        probabilities["verb"],
        probabilities["noun"],
        num_verbs=config.top_verbs,
        num_nouns=config.top_nouns,
        num_actions=count,
    )
    found = {"action": (actions.verb * NUM_NOUNS + actions.noun, actions.score)}
    for head, values in probabilities.items():
        best = np.argsort(-values, axis=1, kind="stable")[:, :count]
        found[head] = best, np.take_along_axis(values, best, axis=1)
    arrays: Arrays = {}
    for task, (classes, probability) in found.items():
        arrays[f"{task}.segments_s"] = np.repeat(segments_s, classes.shape[1], axis=0)
        arrays[f"{task}.scores"] = (scores[:, None] * probability**config.action_score_power).ravel()
        arrays[f"{task}.classes"] = classes.ravel()
    return arrays


def _table(task: str, video_ids: list[str], finished: FinishedItems) -> Predictions:
    """Detections of one task in all videos; labels that do not occur are left out."""
    found = {}
    for video_id in video_ids:
        arrays = finished.load(video_id) or {}
        found[video_id] = {name: arrays[f"{task}.{name}"] for name in ("segments_s", "scores", "classes")}
    used = np.unique(np.concatenate([arrays["classes"] for arrays in found.values()]))
    for arrays in found.values():
        arrays["classes"] = np.searchsorted(used, arrays["classes"])
    return detection_table(tuple(CLASS_NAMES[task][number] for number in used), found)


def write_checked_json(path: Path, detections: Predictions, levels: Mapping[str, int]) -> None:
    """Write a submission to the challenge and check it by the challenge's rules.

    Raises:
        InputError: if it breaks one; the file stays, to be looked at.
    """
    write_ek100_json(path, detections, **levels)
    findings = check_file(path, PROTOCOLS["ek100"]).findings
    for warning in findings.warnings:
        print(f"warning: {path.name}: {warning}", file=sys.stderr)
    if findings.errors:
        raise InputError(error_list(str(path), findings.errors))
