"""Proposals for every video that BMN was not trained on: the work of the stage `proposals`."""

from __future__ import annotations

import numpy as np

from bmn.samples import features_problem
from bmn.weights import load_bmn
from feature_extraction import FeatureStore
from feature_extraction.checks import check_store
from proposals.from_maps import ProposalConstants, proposals_from_maps
from proposals.inference import video_maps
from runtime.items import Arrays, FinishedItems
from runtime.progress import progress
from runtime.schema import ProposalsConfig
from runtime.stage import StageRun
from training.device import prepare_device
from video_datasets.dataset import load_dataset
from video_datasets.predictions import NO_LABEL, Predictions, write_predictions

OUTPUT_NAME = "proposals.h5"
_NONE: Arrays = {"segments_s": np.zeros((0, 2)), "scores": np.zeros(0)}


def propose(run: StageRun) -> None:
    """Run BMN over the features of all videos outside the training subset; leaves proposals.h5.

    Videos are taken one at a time, and a cut-off stage goes on with the first one that is not finished. (The
    TAdaConv code finishes a video when the windows of the next one begin, and loses videos whose windows do not
    follow one another.)
    """
    device = prepare_device(run.config.runtime)
    store = FeatureStore(run.upstream("features"))
    bmn = load_bmn(run.upstream("bmn") / "weights.pt")
    bmn.model.to(device)
    check_store(store, bmn.grid)
    dataset = load_dataset(run.config.data, for_training=False)
    videos = [v.video_id for v in dataset.videos.values() if v.subset != run.config.data.training_subset]
    finished = FinishedItems(run.folder / "videos")
    for video_id in progress(videos, description="proposals", unit="video"):
        problem = features_problem(store, video_id, bmn.grid)
        if problem:
            run.skip(video_id, problem)
        elif finished.load(video_id) is None:
            maps = video_maps(bmn, store, video_id, device)
            constants = proposal_constants(run.config.proposals, maps.duration_s)
            segments_s, scores = proposals_from_maps(
                maps.start, maps.end, maps.confidence_map, maps.duration_s, constants, span_s=maps.span_s
            )
            finished.save(video_id, {"segments_s": segments_s, "scores": scores})
    proposals = _columns(videos, [finished.load(video_id) or _NONE for video_id in videos])
    write_predictions(run.folder / OUTPUT_NAME, proposals)
    finished.clear()
    run.counts.update({"videos": len(videos), "proposals": len(proposals)})
    run.summary = f"{len(proposals)} proposals in {len(videos)} videos"


def proposal_constants(config: ProposalsConfig, duration_s: float) -> ProposalConstants:
    """Translate the config section for the arithmetic on one video."""
    per_s = config.proposals_per_s
    return ProposalConstants(
        peak_share=config.peak_share,
        cls_power=config.clr_power,
        reg_power=config.reg_power,
        select_score=config.min_score,
        alpha=config.soft_nms_alpha,
        low_threshold=config.soft_nms_low_threshold,
        high_threshold=config.soft_nms_high_threshold,
        iou_power=config.soft_nms_iou_power,
        max_proposals=int(duration_s * per_s) + 1 if per_s else config.max_proposals,
    )


def _columns(videos: list[str], found: list[Arrays]) -> Predictions:
    """Columns of the proposals of all videos: some 40 bytes a proposal, 50 MB for HACS."""
    counts = [len(arrays["scores"]) for arrays in found]
    found = found or [_NONE]
    stacked = np.concatenate([arrays["segments_s"] for arrays in found])
    return Predictions(
        videos=tuple(videos),
        labels=(),
        video_index=np.repeat(np.arange(len(videos)), counts),
        start_s=stacked[:, 0],
        end_s=stacked[:, 1],
        score=np.concatenate([arrays["scores"] for arrays in found]),
        label=np.full(len(stacked), NO_LABEL),
    )
