"""Finetuning of the video model (stage `finetune`)."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from classification.finetune.accuracy import Ranking, cross_entropy, rank_all
from classification.finetune.clips import LabelledSegment, SegmentClips, labelled_segments
from classification.finetune.frame_cache import FRAMES_FOLDER, FrameCache, build_frame_cache
from classification.finetune.heads import by_head, head_losses
from classification.finetune.mirror import mirrored_labels
from classification.finetune.mixing import draw_mix
from classification.finetune.stage import OF_PRETRAINING
from classification.finetune.video_files import TIMES_FOLDER, ClipSource, VideoFiles
from classification.finetune.views import TestClips, ViewsConfig, ask
from feature_extraction.backbone import head_sizes, save_backbone
from runtime.config import config_to_dict
from runtime.errors import InputError
from runtime.sections import RunConfig
from runtime.stage import StageRun
from tadaconv import VideoNetwork, create_model, load_weights
from tadaconv.network import parameter_depths, router_parameters
from training import checkpoint
from training.batches import derived_seed
from training.device import prepare_device
from training.distributed import is_main, main_first, shard, sum_over_ranks
from training.loop import Trainer, stage_trainer
from video_datasets.dataset import Video, VideoDataset, load_dataset
from video_datasets.notes import data_notes
from video_datasets.time_grid import TimeGrid

LARGE_MILLIONS = 5.0
"""Parameters, in millions, above which training from random weights is warned of; the mini
networks have 0.7."""
WITHOUT_WEIGHTS = (
    "Two ways out: (1) start from released weights, finetune.init_weights=FILE (`python -m tadaconv --weights` lists "
    "where to get them); (2) take a small network and a higher rate: model=tada2d_mini finetune.learning_rate=0.004"
)


class FinetuneTask:
    """Model, clips, cross-entropy and validation, for the training loop.

    Args:
        model: the network.
        clips: to train on.
        validation: to validate on: this process's share of the segments.
        heads: head -> class names.
        decoders: threads that decode for the validation.
        new_parameters: names of parameters that the initial weights did not have.
        rate_factors: multiples of the learning rate by name, see `rate_factors`.

    Attributes:
        damaged: video id -> reason, for clips that could not be decoded.
        best_metric: which figure of `validate` tells the best epoch, and whether the largest or
            smallest does.
    """

    best_metric = ("validation_accuracy", "max")

    def __init__(
        self,
        model: VideoNetwork,
        clips: SegmentClips,
        validation: TestClips,
        heads: Mapping[str, tuple[str, ...]],
        *,
        decoders: int = 1,
        new_parameters: set[str] | None = None,
        rate_factors: dict[str, float] | None = None,
    ) -> None:
        self.model, self.dataset, self.validation, self.heads = model, clips, validation, heads
        self.decoders, self.new_parameters = decoders, new_parameters or set()
        self.rate_factors = rate_factors or {}
        self.num_items = len(clips)
        self.damaged: dict[str, str] = {}

    def losses(
        self, model: torch.nn.Module, batch: dict[str, Any], generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Return loss and accuracies on the batch (`heads.head_losses`), and the share of clips
        that were replaced."""
        damaged = {video_id: reason for video_id, reason in zip(*batch["damaged"], strict=True) if video_id}
        self.damaged.update(damaged)
        replaced = torch.tensor([bool(video_id) for video_id in batch["damaged"][0]])
        config = self.dataset.config
        mix = draw_mix(config, tuple(batch["clip"].shape[3:]), generator)
        clips = mix.clips(batch["clip"]) if mix.share < 1 else batch["clip"]
        logits = model(clips.to(memory_format=torch.channels_last_3d))
        figures = head_losses(by_head(logits), batch["classes"], mix, config.label_smoothing)
        return {**figures, "replaced": replaced.float().mean()}

    def validate(self) -> dict[str, float]:
        """Return loss and accuracies on the middle clips of all processes' validation segments.

        Returns:
            validation_loss, validation_accuracy and validation_top5 (of actions), and for two heads
            also validation_verb_accuracy and so on. Empty if there is no clip.
        """
        counts = {head: len(labels) for head, labels in self.heads.items()}
        answers = ask(self.model, self.validation, counts, self.decoders)
        self.damaged.update(answers.damaged)
        rows = answers.answered()
        logits = {head: values[rows] for head, values in answers.logits.items()}
        classes = classes_of(self.validation.segments, tuple(self.heads))
        classes = {head: indices[rows] for head, indices in classes.items()}
        figures = {"clips": float(len(rows)), "loss": float(cross_entropy(logits, classes).sum())}
        for ranking in rank_all(logits, classes, self.heads):
            figures.update(_hits(ranking))
        totals = sum_over_ranks(figures)
        clips = totals.pop("clips")
        return {f"validation_{name}": total / clips for name, total in totals.items()} if clips else {}


def classes_of(segments: Sequence[LabelledSegment], heads: tuple[str, ...]) -> dict[str, np.ndarray]:
    """Return the right class of every segment, head -> int (N,)."""
    return {head: np.array([segment.classes[head] for segment in segments], dtype=np.int64) for head in heads}


def _hits(ranking: Ranking) -> dict[str, float]:
    """Hits of a task among the first and the first five; actions need no prefix."""
    if ranking.task == "action, by view":
        return {}  # as "action", with one view
    prefix = "" if ranking.task == "action" else f"{ranking.task}_"
    return {
        f"{prefix}accuracy": float((ranking.ranks < 1).sum()),
        f"{prefix}top5": float((ranking.ranks < 5).sum()),
    }


def finetune(run: StageRun) -> None:
    """Train the classifier; leaves weights.pt, checkpoint.pt and metrics.jsonl in the folder.

    Counts `replaced_clips` over all epochs: clips that another segment stood in for.
    """
    config = run.config.finetune
    device = prepare_device(run.config.runtime)
    dataset = load_dataset(run.config.data)
    run.skipped.update(dataset.problems)
    for note in data_notes(dataset, run.config.data):
        run.note(note)
    if not config.epochs:
        _keep(run, dataset)
        return
    task = build_task(run, dataset)
    trainer = stage_trainer(run, task, config, device, remembered=task.damaged)
    last = trainer.run("finetune")
    kept = _take_best_weights(task, trainer) if config.weights == "best" else ""
    save_backbone(run.folder / "weights.pt", task.model, run.config.model, dataset.heads, trainer.resolved)
    if is_main():
        for folder in (FRAMES_FOLDER, TIMES_FOLDER):  # large, and of no further use
            shutil.rmtree(run.folder / folder, ignore_errors=True)
    run.skipped.update(task.damaged)
    replaced = sum(line["replaced"] for line in trainer.metrics) * task.num_items
    run.counts.update({"training_segments": len(task.dataset.segments), "replaced_clips": round(replaced)})
    run.counts.update({f"{head}_classes": len(labels) for head, labels in dataset.heads.items()})
    run.summary = (
        f"{config.epochs} epochs of {task.num_items} clips, training accuracy {100 * last['accuracy']:.1f} %"
    )
    if "validation_accuracy" in last:
        run.summary += f", validation {100 * last['validation_accuracy']:.1f} %"
    run.summary += kept


def _keep(run: StageRun, dataset: VideoDataset) -> None:
    """Leave the network as it begins, with the names of the classes."""
    model, _ = initial_model(run.config, dataset.heads)
    save_backbone(
        run.folder / "weights.pt", model, run.config.model, dataset.heads, config_to_dict(run.config)
    )
    run.summary = f"{run.config.model} as it is, frozen (finetune.epochs=0)"


def _take_best_weights(task: FinetuneTask, trainer: Trainer) -> str:
    """Put the weights of the best epoch into the model, if there is one; return what the summary
    says about it."""
    if trainer.best_path.is_file():
        task.model.load_state_dict(checkpoint.load(trainer.best_path)["model"])
        return "; kept: the epoch with the best validation accuracy"
    if is_main():
        print(
            "warning: finetune.weights=best, but no epoch has a validation accuracy, since no validation clip could be "
            "decoded; the weights of the last epoch are kept",
            file=sys.stderr,
        )
    return "; kept: the last epoch, since no validation clip could be decoded"


def build_task(run: StageRun, dataset: VideoDataset) -> FinetuneTask:
    """Return what the stage trains; videos without a file, or that cannot be decoded to the
    cache, are listed."""
    config, data = run.config.finetune, run.config.data
    grid = run.config.grid
    training_videos = videos_on_disk(run, dataset, data.training_subset)
    validation_videos = videos_on_disk(run, dataset, data.validation_subset)
    model, new_parameters = initial_model(run.config, dataset.heads)
    refuse_unfit_clips(model, run.config)
    files = VideoFiles(grid, config.min_decoded_share, run.folder / TIMES_FOLDER)
    source: ClipSource = files
    if config.frame_cache_step:
        source = cache = _frame_cache(run, training_videos, grid)
        training_videos = [video for video in training_videos if cache.holds(video)]
    mirrored = mirrored_labels(dataset.labels, swap=config.flip_left_right == "swap")
    segments = labelled_segments(training_videos, dataset.class_indices, mirrored)
    validation = labelled_segments(validation_videos, dataset.class_indices)
    if config.weights == "best" and not validation:
        raise InputError(
            "finetune.weights=best needs labelled segments with a video file in the subset "
            f"'{data.validation_subset}', found none; take finetune.weights=last"
        )
    return FinetuneTask(
        model,
        SegmentClips(segments, source, grid, config, run.config.seed, model.input),
        TestClips(shard(validation), files, grid, ViewsConfig.of_validation(config), model.input),
        dataset.heads,
        decoders=run.config.runtime.test_decoders,
        new_parameters=new_parameters,
        rate_factors=rate_factors(model, run.config),
    )


def _frame_cache(run: StageRun, videos: list[Video], grid: TimeGrid) -> FrameCache:
    """Return the cache that process 0 fills, alone."""
    with main_first():
        if is_main():
            return build_frame_cache(run, videos, grid)
    return FrameCache(run.folder / FRAMES_FOLDER, run.config.finetune.frame_cache_step)


def initial_model(config: RunConfig, heads: Mapping[str, tuple[str, ...]]) -> tuple[VideoNetwork, set[str]]:
    """Return the network that training starts from: random from the seed, or with
    `finetune.init_weights`.

    Returns:
        The network, and the names of its parameters that the weights did not have: the head for
        other classes, routers on top of a plain ResNet. None are new where all are random.

    Raises:
        FileNotFoundError: if the weights are not there.
        InputError: if there is no such network, or the weights do not fit it.
    """
    torch.manual_seed(derived_seed(config.seed, 0))
    new_parameters: set[str] = set()
    try:
        crop_px = config.finetune.crop_px
        model = create_model(config.model, head_sizes(heads), (config.grid.clip_frames, crop_px, crop_px))
        if config.finetune.init_weights:
            report = load_weights(model, _weights_file(config), drop_mismatched_head=True)
            print(report, file=sys.stderr)
            new_parameters = {name for name, _ in model.named_parameters()} & set(report.missing)
        else:
            if not model.weights:
                _warn_of_random_weights(model, config.model)
    except ValueError as error:
        raise InputError(f"model or finetune.init_weights: {error}") from error
    return model, new_parameters


def rate_factors(model: VideoNetwork, config: RunConfig) -> dict[str, float]:
    """Return the multiple of the learning rate of each parameter that has one: d ** (L + 1 - depth)
    for L blocks as TAdaFormer is trained, times that of the routers.

    Raises:
        InputError: if rates are to fall by depth and the network's blocks do not stand in a row.
    """
    decay, of_routers = config.finetune.layer_rate_decay, config.finetune.router_rate_factor
    factors: dict[str, float] = {}
    if decay != 1:
        try:
            depths = parameter_depths(model)
        except ValueError as error:
            raise InputError(
                f"finetune.layer_rate_decay={decay} with model={config.model}: {error}"
            ) from error
        last = max(depths.values())
        factors = {name: decay ** (last - depth) for name, depth in depths.items()}
    if of_routers != 1:
        factors |= {name: factors.get(name, 1.0) * of_routers for name in router_parameters(model)}
    return factors


def _weights_file(config: RunConfig) -> Path:
    weights = config.finetune.init_weights
    if weights == OF_PRETRAINING:
        return Path(config.run_dir) / "pretrain" / "weights.pt"
    if not Path(weights).is_file():
        raise FileNotFoundError(
            f"finetune.init_weights={weights}: there is no such weights file. {WITHOUT_WEIGHTS}"
        )
    return Path(weights)


def _warn_of_random_weights(model: VideoNetwork, name: str) -> None:
    millions = sum(parameter.numel() for parameter in model.parameters()) / 1e6
    if millions > LARGE_MILLIONS and is_main():
        print(
            f"WARNING: finetune.init_weights=null: all {millions:.0f} million weights of {name} start at random, and a "
            f"network of this size learns next to nothing from a small data set that way. {WITHOUT_WEIGHTS}",
            file=sys.stderr,
        )


def refuse_unfit_clips(model: torch.nn.Module, config: RunConfig) -> None:
    """Try a training and a validation clip before an epoch is spent: some networks take one size or
    length only.

    Raises:
        InputError: if the network does not take them.
    """
    settings, n_frames = config.finetune, config.grid.clip_frames
    short_px = settings.test_short_side_px
    test_width_px = short_px if settings.test_crops else 4 * short_px // 3  # whole frames are seldom square
    was_training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            for height, width in ((settings.crop_px, settings.crop_px), (short_px, test_width_px)):
                model(torch.zeros(1, 3, n_frames, height, width))
    except ValueError as error:
        raise InputError(
            f"model={config.model} does not take the clips of this configuration: {error}. They have "
            f"grid.clip_frames={n_frames} frames; finetune.crop_px={settings.crop_px} pixels in training, in "
            f"validation finetune.test_short_side_px={short_px}, square where finetune.test_crops is 1 or 3"
        ) from error
    model.train(was_training)


def videos_on_disk(run: StageRun, dataset: VideoDataset, subset: str) -> list[Video]:
    """Return the videos of a subset that have a file; the others are listed in the run."""
    videos = list(dataset.subset(subset))
    for video in videos:
        if video.path is None:
            run.skip(video.video_id, "video file not found")
    return [video for video in videos if video.path is not None]
