"""Finetuning of the video model: the work of the stage `finetune`."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from classification.finetune.clips import (
    ClipSource,
    LabelledSegment,
    SegmentClips,
    VideoFiles,
    labelled_segments,
    middle_clip,
)
from classification.finetune.frame_cache import FRAMES_FOLDER, build_frame_cache
from feature_extraction.backbone import save_backbone
from runtime.errors import InputError
from runtime.schema import FinetuneConfig, RunConfig
from runtime.stage import StageRun
from tadaconv import create_model, load_weights
from training.batches import derived_seed
from training.device import prepare_device
from training.loop import stage_trainer
from video_datasets.dataset import Video, load_dataset
from video_datasets.reader import VideoError
from video_datasets.time_grid import TimeGrid


class FinetuneTask:
    """Model, clips and cross-entropy, for the training loop.

    Attributes:
        damaged: video id -> reason, for clips that could not be decoded.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        clips: SegmentClips,
        validation: list[LabelledSegment],
        validation_source: ClipSource,
        config: FinetuneConfig,
    ) -> None:
        self.model, self.dataset, self.config = model, clips, config
        self.num_items = len(clips)
        self.validation, self.validation_source = validation, validation_source
        self.damaged: dict[str, str] = {}

    def losses(
        self, model: torch.nn.Module, batch: dict[str, Any], generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Return cross-entropy and the accuracy on the batch."""
        self.damaged.update(
            {video_id: reason for video_id, reason in zip(*batch["damaged"], strict=True) if video_id}
        )
        logits = model(batch["clip"].to(memory_format=torch.channels_last_3d))
        loss = F.cross_entropy(logits, batch["label"])
        return {"loss": loss, "accuracy": (logits.argmax(1) == batch["label"]).float().mean()}

    def validate(self) -> dict[str, float]:
        """Return the accuracy on the middle clips of the validation segments."""
        device = next(self.model.parameters()).device
        hits = []
        for item in self.validation:
            try:
                clip = middle_clip(
                    item, self.validation_source, self.dataset.grid, self.config.test_short_side_px
                )
            except VideoError as error:
                self.damaged[item.video.video_id] = error.reason
                continue
            hits.append(int(self.model(clip[None].to(device)).argmax()) == item.class_index)
        return {"validation_accuracy": sum(hits) / len(hits)} if hits else {}


def finetune(run: StageRun) -> None:
    """Train the classifier; leaves weights.pt, checkpoint.pt and metrics.jsonl in the folder."""
    config, data = run.config.finetune, run.config.data
    device = prepare_device(run.config.runtime)
    dataset = load_dataset(data)
    run.skipped.update(dataset.problems)
    grid = TimeGrid.from_config(run.config.grid)
    class_indices = {label: index for index, label in enumerate(dataset.labels)}
    training_videos = _on_disk(list(dataset.subset(data.training_subset)), run)
    validation_videos = _on_disk(list(dataset.subset(data.validation_subset)), run)
    model = initial_model(run.config, num_classes=len(dataset.labels))
    files = VideoFiles(grid, config.min_decoded_share)
    source: ClipSource = files
    if config.frame_cache_step:
        source = build_frame_cache(run, training_videos, grid)
        training_videos = [video for video in training_videos if video.video_id not in run.skipped]
    task = FinetuneTask(
        model,
        SegmentClips(
            labelled_segments(training_videos, class_indices), source, grid, config, run.config.seed
        ),
        labelled_segments(validation_videos, class_indices),
        files,
        config,
    )
    trainer = stage_trainer(run, task, config, device, remembered=task.damaged)
    last = trainer.run("finetune")
    save_backbone(run.folder / "weights.pt", model, run.config.model, dataset.labels, trainer.resolved)
    shutil.rmtree(run.folder / FRAMES_FOLDER, ignore_errors=True)  # large, and of no further use
    run.skipped.update(task.damaged)
    run.counts.update({"training_segments": len(task.dataset.segments), "classes": len(dataset.labels)})
    run.summary = (
        f"{config.epochs} epochs of {task.num_items} clips, training accuracy {100 * last['accuracy']:.1f} %"
    )
    if "validation_accuracy" in last:
        run.summary += f", validation {100 * last['validation_accuracy']:.1f} %"


def initial_model(config: RunConfig, num_classes: int) -> torch.nn.Module:
    """Return the network that training starts from: random from the seed, or with `finetune.init_weights`.

    Raises:
        FileNotFoundError: if the weights are not there.
        InputError: if there is no such network, or the weights do not fit it.
    """
    torch.manual_seed(derived_seed(config.seed, 0))
    try:
        model = create_model(config.model, num_classes=num_classes)
        if config.finetune.init_weights:
            report = load_weights(model, Path(config.finetune.init_weights), drop_mismatched_head=True)
            print(report, file=sys.stderr)
    except ValueError as error:
        raise InputError(f"model or finetune.init_weights: {error}") from error
    return model


def _on_disk(videos: list[Video], run: StageRun) -> list[Video]:
    """Keep the videos that have a file; list the others."""
    for video in videos:
        if video.path is None:
            run.skip(video.video_id, "video file not found")
    return [video for video in videos if video.path is not None]
