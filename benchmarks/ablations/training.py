"""Training one network of the study on mini-HACS, or finding it trained; its figures go to one
file.

Clips as in the paper's ablations (on Something-Something V2): one frame of each of T equal parts of
a labelled segment. Trained from random weights with AdamW by the common loop, on frames that are
decoded once. Validated on three clips of every segment, each of them counted: a segment's clips
differ in where in its part a frame lies.

    <out>/frames/                 decoded frames, one file a video
    <out>/results/<key>.json      figures of a finished training; the key is a hash of all that shapes them
    <out>/training/<key>/         checkpoints of a training under way
"""

from __future__ import annotations

import functools
import io
import json
import shutil
import sys
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch

from benchmarks.ablations.variants import Variant, of_branch
from classification.finetune.clips import SegmentClips, labelled_segments
from classification.finetune.frame_cache import FRAMES_FOLDER, FrameCache, build_frame_cache
from classification.finetune.settings import FinetuneConfig
from classification.finetune.train import FinetuneTask, classes_of
from classification.finetune.views import TestClips, ViewsConfig, ask
from runtime.atomic import write_json
from runtime.errors import InputError
from runtime.fingerprint import digest
from runtime.sections import RunConfig, run_config
from runtime.settings import RuntimeConfig
from runtime.stage import StageRun
from tadaconv.branches import R2D
from training.batches import derived_seed
from training.loop import Trainer
from video_datasets.dataset import Video, VideoDataset, load_dataset
from video_datasets.mini import MiniSize, ensure_mini
from video_datasets.mini.motions import MOTIONS
from video_datasets.settings import DataConfig
from video_datasets.time_grid import TimeGrid

EPOCHS = 24
CLIPS_PER_SEGMENT = 3
"""Validation clips."""
SIDE_PX = 32
CACHE_STEP = 4
"""Every 4th frame at 30 fps is kept."""


@dataclass(frozen=True)
class Job:
    """One training.

    Attributes:
        out: folder of the study.
        data: folder of the data set.
    """

    variant: Variant
    seed: int
    epochs: int
    out: Path
    data: Path

    @property
    def key(self) -> str:
        """Hash of the network, the recipe, the data set and the seed."""
        recipe = asdict(self.config.finetune)
        data = (self.data / "mini.json").read_text(encoding="utf-8")
        return digest({"network": self.variant.parts(), "recipe": recipe, "data": data, "seed": self.seed})

    @property
    def result_path(self) -> Path:
        """Where its figures go."""
        return self.out / "results" / f"{self.key}.json"

    @property
    def config(self) -> RunConfig:
        """The recipe, the same for every network but for the length of its clips."""
        return run_config(
            run_dir=str(self.out),
            seed=self.seed,
            data=DataConfig(root=str(self.data)),
            grid=TimeGrid(clip_frames=self.variant.clip_frames),
            finetune=FinetuneConfig(
                epochs=self.epochs,
                warmup_epochs=1,
                learning_rate=6e-3,
                weight_decay=1e-2,
                batch_size=32,
                sampling="segments",
                short_side_px=(SIDE_PX, SIDE_PX),
                crop_px=SIDE_PX,
                flip=False,
                test_short_side_px=SIDE_PX,
                test_clips=CLIPS_PER_SEGMENT,
                test_crops=1,
                frame_cache_step=CACHE_STEP,
                validate_every_epochs=self.epochs,
            ),
            runtime=RuntimeConfig(threads=1),
        )


def prepare(out: Path, data: Path, size: MiniSize, workers: int) -> None:
    """Render the data set and decode its segments, where that is not done yet.

    Raises:
        InputError: if `data` holds another data set, or a video cannot be decoded.
    """
    ensure_mini(data, size=size, workers=workers)
    config = Job(of_branch(R2D), 0, EPOCHS, out, data).config
    run = StageRun(replace(config, runtime=RuntimeConfig(workers=workers)), _cache_folder(out))
    build_frame_cache(run, _videos(load_dataset(config.data)), config.grid)
    if run.skipped:
        raise InputError(f"{data}: videos cannot be decoded: {run.skipped}; render the data set again")


def finished(job: Job) -> dict[str, float] | None:
    """Return the figures of a training that is finished."""
    if not job.result_path.is_file():
        return None
    figures: dict[str, float] = json.loads(job.result_path.read_text(encoding="utf-8"))["figures"]
    return figures


def train(job: Job) -> dict[str, float]:
    """Train the network of a job, from its checkpoint where there is one, and return its figures.

    Returns:
        "accuracy" of the validation clips, "within_pair": the share of them whose class scores
        better than its time reversal, "of_pair": the share of them that are told to be of the right
        pair, "training_accuracy" of the last epoch; all from 0 to 1.
    """
    earlier = finished(job)
    if earlier is not None:
        return earlier
    torch.set_num_threads(1)
    config, (task, dataset) = job.config, _task(job)
    folder = job.out / "training" / job.key
    with redirect_stderr(io.StringIO()):
        trainer = Trainer(
            task,
            config.finetune,
            config.runtime,
            folder=folder,
            seed=job.seed,
            device=torch.device("cpu"),
            resolved={},
        )
        last = trainer.run("ablation")
    figures = {**validate(task, dataset), "training_accuracy": last["accuracy"]}
    write_json(job.result_path, {"network": job.variant.parts(), "seed": job.seed, "figures": figures})
    shutil.rmtree(folder)
    return figures


def validate(task: FinetuneTask, dataset: VideoDataset) -> dict[str, float]:
    """Return the figures of a trained network on the validation clips."""
    (head, labels), *_ = dataset.heads.items()
    task.model.eval()
    logits = ask(task.model, task.validation, {head: len(labels)}, 1).logits[head]  # N x views x classes
    classes = classes_of(task.validation.segments, (head,))[head]
    return pair_figures(logits, classes[:, None], reversals(labels))


def pair_figures(logits: np.ndarray, classes: np.ndarray, reversal_of: np.ndarray) -> dict[str, float]:
    """Count clips told right, told right within their pair, and told to be of their pair.

    Args:
        logits: (N, views, K).
        classes: right classes, broadcast to (N, views).
        reversal_of: (K,), the class that is each class's time reversal.

    >>> logits = np.array([[[3.0, 1, 0, 0], [2, 0, 0, 4]]])  # right within the pair both times, once fooled by class 3
    >>> pair_figures(logits, np.array([[0]]), np.array([1, 0, 3, 2]))
    {'accuracy': 0.5, 'within_pair': 1.0, 'of_pair': 0.5}
    """
    right = np.broadcast_to(classes, logits.shape[:2])
    reverse, told = reversal_of[right], logits.argmax(axis=2)
    own_score, reverse_score = (np.take_along_axis(logits, c[..., None], axis=2) for c in (right, reverse))
    return {
        "accuracy": float((told == right).mean()),
        "within_pair": float((own_score > reverse_score).mean()),
        "of_pair": float(((told == right) | (told == reverse)).mean()),
    }


def reversals(labels: Sequence[str]) -> np.ndarray:
    """Return the class that is each class's time reversal, int (K,)."""
    position = {label: index for index, label in enumerate(labels)}
    reverse = np.arange(len(labels))
    for forward, backward in (motion.labels for motion in MOTIONS):
        reverse[[position[forward], position[backward]]] = position[backward], position[forward]
    return reverse


def _task(job: Job) -> tuple[FinetuneTask, VideoDataset]:
    config = job.config.finetune
    dataset, source = _loaded(job.out, job.data)
    grid = job.config.grid
    training, validation = (
        labelled_segments(list(dataset.subset(name)), dataset.class_indices)
        for name in ("training", "validation")
    )
    torch.manual_seed(derived_seed(job.seed, 0))
    model = job.variant.spec.build(len(dataset.labels))
    clips = SegmentClips(training, source, grid, config, job.seed, model.input)
    views = TestClips(validation, source, grid, ViewsConfig.of_test(config), model.input)
    return FinetuneTask(model, clips, views, dataset.heads), dataset


@functools.lru_cache(maxsize=1)
def _loaded(out: Path, data: Path) -> tuple[VideoDataset, FrameCache]:
    """The data set and its frames, once a process."""
    dataset = load_dataset(DataConfig(root=str(data)))
    return dataset, FrameCache(_cache_folder(out) / FRAMES_FOLDER, CACHE_STEP, held_bytes=sys.maxsize)


def _cache_folder(out: Path) -> Path:
    return out / f"cache_{SIDE_PX}px"


def _videos(dataset: VideoDataset) -> list[Video]:
    return [video for subset in ("training", "validation") for video in dataset.subset(subset)]
