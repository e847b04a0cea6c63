"""Proposals for every video that BMN was not trained on: the work of the stage `proposals`."""

from __future__ import annotations

import numpy as np
import torch

from bmn.samples import rescaled_features
from bmn.train import load_bmn
from feature_extraction import FeatureStore
from proposals.from_maps import ProposalConstants, proposals_from_maps
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
    """Run BMN over the features of all videos outside the training subset; leaves proposals.h5."""
    device = prepare_device(run.config.runtime)
    store = FeatureStore(run.upstream("features"))
    model = load_bmn(run).to(device)
    constants = proposal_constants(run.config.proposals)
    dataset = load_dataset(run.config.data)
    videos = [v.video_id for v in dataset.videos.values() if v.subset != run.config.data.training_subset]
    finished = FinishedItems(run.folder / "videos")
    for video_id in progress(videos, description="proposals", unit="video"):
        if video_id not in store:
            run.skip(video_id, "no features (the features stage says why)")
        elif finished.load(video_id) is None:
            features_TC, duration_s = rescaled_features(store, video_id, model.tscale)
            maps = bmn_maps(model, features_TC, device)
            segments_s, scores = proposals_from_maps(*maps, duration_s, constants)
            finished.save(video_id, {"segments_s": segments_s, "scores": scores})
    proposals = _columns(videos, [finished.load(video_id) or _NONE for video_id in videos])
    write_predictions(run.folder / OUTPUT_NAME, proposals)
    finished.clear()
    run.counts.update({"videos": len(videos), "proposals": len(proposals)})
    run.summary = f"{len(proposals)} proposals in {len(videos)} videos"


def bmn_maps(
    model: torch.nn.Module, features_TC: np.ndarray, device: torch.device
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return BMN's maps of one video: start (T,), end (T,), confidence_map (2, D, T)."""
    feats_BCT = torch.from_numpy(np.ascontiguousarray(features_TC.T))[None].to(device)
    with torch.inference_mode():
        outputs = model(feats_BCT)
    return tuple(outputs[name][0].float().cpu().numpy() for name in ("start", "end", "confidence_map"))


def proposal_constants(config: ProposalsConfig) -> ProposalConstants:
    """Translate the config section for the arithmetic."""
    return ProposalConstants(
        cls_power=config.clr_power,
        reg_power=config.reg_power,
        select_score=config.min_score,
        alpha=config.soft_nms_alpha,
        low_threshold=config.soft_nms_low_threshold,
        high_threshold=config.soft_nms_high_threshold,
        iou_power=config.soft_nms_iou_power,
        max_proposals=config.max_proposals,
    )


def _columns(videos: list[str], found: list[Arrays]) -> Predictions:
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
