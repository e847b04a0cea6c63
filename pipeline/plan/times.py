"""Hours of the stages of a run that are still to do: items, times the seconds of measured steps."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import torch
from joblib import cpu_count

from classification.auto import choose
from classification.pretrain.pictures import find_pictures, held_out
from classification.pretrain.stage import pictures_folder
from classification.source_table import AUTO, TRAINED
from classification.training_segments import MOVED, TRIES
from pipeline.plan import reading, steps
from pipeline.plan.amounts import Amounts
from proposals.heads import head_of
from runtime.sections import RunConfig
from training.device import prepare_device
from training.settings import TrainingConfig
from video_datasets.dataset import Video, VideoDataset

if TYPE_CHECKING:
    from tadaconv import VideoNetwork

FORWARD_SHARE = 1 / 3
"""Of a training step that is its forward pass; the backward pass costs about twice as much."""
BUSY = 1.2
"""From so many processes for each core on, a machine is busy."""


@dataclass(frozen=True)
class Measuring:
    """What estimates are made from.

    Attributes:
        dataset: of the run.
        config: of the run.
        work: what there is to do.
        model: the network; None where features are imported.
        channels: of the features.
        device: of training.
    """

    dataset: VideoDataset
    config: RunConfig
    work: Amounts
    model: VideoNetwork | None
    channels: int
    device: torch.device

    @cached_property
    def decoding_share(self) -> float:
        """Seconds of decoding, on one core, for a second of video."""
        return reading.decoding_share(list(self.dataset.videos.values()), self.config)

    @cached_property
    def bmn_window_s(self) -> float:
        """Seconds of training BMN on a window, or whole video."""
        return steps.bmn_training_s(self.channels, self.config, self.device)

    @cached_property
    def one_stage_row_s(self) -> float:
        """Seconds of training a one-stage head on a feature of a crop."""
        rows = min(self.work.rows, self.config.one_stage.max_length)
        return steps.one_stage_training_s(self.channels, rows, self.dataset, self.config, self.device) / rows

    def labelled(self, subset: str) -> list[Video]:
        """Return the videos of a subset that teach or test something."""
        return [video for video in self.dataset.subset(subset) if video.segments and video.path is not None]

    def together(self, network_s: float, reading_s: float, helpers: int) -> float:
        """Return the seconds of a network that is fed by `helpers` processes; 0: it reads
        itself."""
        return together(network_s, reading_s, helpers, cores=cpu_count(), gpu=self.device.type == "cuda")


def together(network_s: float, reading_s: float, helpers: int, *, cores: int, gpu: bool) -> float:
    """Return the seconds that a network and what reads for it take together.

    On a GPU the slower of the two counts, on processors they share the cores.

    >>> together(60, 40, 0, cores=4, gpu=False), together(60, 40, 2, cores=4, gpu=False)
    (100, 70.0)
    >>> together(10, 40, 2, cores=4, gpu=True)
    20.0
    """
    if not helpers:
        return network_s + reading_s
    if gpu:
        return max(network_s, reading_s / min(helpers, cores))
    return network_s + reading_s / cores


def _pretrain(of: Measuring) -> float:
    settings = of.config.pretrain
    files = held_out(find_pictures(pictures_folder(of.config)))
    pictures = settings.epochs * len(files.training)
    pictures += FORWARD_SHARE * _validations(settings) * len(files.validation)
    return pictures * steps.picture_training_s(of.config, of.device)


def _finetune(of: Measuring) -> float:
    if of.model is None:
        return 0.0
    settings, data, runtime = of.config.finetune, of.config.data, of.config.runtime
    clips = settings.epochs * of.work.segments * settings.clips_per_segment
    validated = _validations(settings) * of.work.validation_segments
    step_s = steps.clip_training_s(of.model, of.config, of.device)
    made_s = reading.training_clip_s(of.dataset, of.labelled(data.training_subset), of.config)
    read_s = reading.validation_clip_s(of.dataset, of.labelled(data.validation_subset), of.config)
    cached_s = of.work.training_video_s * of.decoding_share if settings.frame_cache_step else 0.0
    return (
        of.together(clips * step_s, clips * made_s, runtime.loader_workers)
        + of.together(FORWARD_SHARE * validated * step_s, validated * read_s, runtime.test_decoders)
        + of.together(0.0, cached_s, runtime.workers)
    )


def _features(of: Measuring) -> float:
    if of.config.features.store is not None or of.model is None:
        return 0.0
    short_px = of.config.features.short_side_px
    network_s = of.work.features * steps.clip_features_s(of.model, short_px, of.config, of.device)
    return of.together(network_s, of.work.video_s * of.decoding_share, of.config.runtime.workers)


def _bmn(of: Measuring) -> float:
    settings, work = of.config.bmn, of.work
    validated = _validations(settings) * work.validation_windows
    return (settings.epochs * work.windows + FORWARD_SHARE * validated) * of.bmn_window_s


def _one_stage(of: Measuring) -> float:
    settings, work = of.config.one_stage, of.work
    validated = _validations(settings) * work.validation_videos
    videos = settings.epochs * work.training_videos + FORWARD_SHARE * validated
    return videos * of.one_stage_row_s * min(work.rows, settings.max_length)


PROPOSING: dict[str, Callable[[Measuring], float]] = {
    "bmn": lambda of: FORWARD_SHARE * of.work.judged_windows * of.bmn_window_s,
    "one_stage": lambda of: FORWARD_SHARE * of.work.judged_features * of.one_stage_row_s,
}
"""By the stage that trains the head: seconds of its forward passes over the judged videos."""


def _proposals(of: Measuring) -> float:
    measured = PROPOSING.get(head_of(of.config).stage)
    return measured(of) if measured else 0.0


def _classification(of: Measuring) -> float:
    settings = of.config.classification
    source = settings.source if settings.source != AUTO else choose(of.dataset, of.config).source
    if source == TRAINED:
        return steps.classifier_training_s(of.work.segments * (1 + MOVED + TRIES), of.channels, of.dataset)
    if source == "clips" and of.model is not None:
        # As many clips as proposals want, but none twice.
        wanted = of.work.judged_videos * of.config.proposals.max_proposals * settings.samples_per_proposal
        clips = min(wanted, of.work.judged_features * of.config.grid.stride_frames)
        network_s = clips * steps.clip_features_s(of.model, settings.short_side_px, of.config, of.device)
        judged_s = of.work.judged_features * of.config.grid.stride_s
        return of.together(network_s, judged_s * of.decoding_share, 1)
    return 0.0


def _validations(settings: TrainingConfig) -> int:
    return -(-settings.epochs // settings.validate_every_epochs)


MEASURED: dict[str, Callable[[Measuring], float]] = {
    "pretrain": _pretrain,
    "finetune": _finetune,
    "features": _features,
    "bmn": _bmn,
    "one_stage": _one_stage,
    "proposals": _proposals,
    "classification": _classification,
}
"""Stage -> its estimated seconds."""


def stage_seconds(
    todo: Collection[str],
    dataset: VideoDataset,
    config: RunConfig,
    work: Amounts,
    model: VideoNetwork | None,
    channels: int,
) -> dict[str, float]:
    """Return the estimated seconds, decoding included, of each stage of `todo` that can be
    measured.

    Args:
        todo: names of stages.
        dataset: of the run.
        config: of the run.
        work: what there is to do.
        model: the network, None where features are imported.
        channels: of the features.
    """
    of = Measuring(dataset, config, work, model, channels, prepare_device(config.runtime))
    if of.device.type != "cuda" and is_busy():
        torch.set_num_threads(1)  # several would mostly wait for one another
    return {name: estimate(of) for name, estimate in MEASURED.items() if name in todo}


def in_words(seconds: float) -> str:
    """Return a length of time in the unit that fits.

    >>> in_words(7), in_words(150), in_words(9000)
    ('7 s', '2.5 min', '2.5 h')
    """
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.1f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def estimate_line(seconds: Mapping[str, float], *, busy: bool = False) -> str:
    """Say estimated seconds by stage in a line; empty for none.

    >>> estimate_line({"finetune": 150, "features": 30})
    'time: about 3.0 min, decoding included (finetune 2.5 min, features 30 s)'

    Args:
        seconds: of each stage.
        busy: whether other work kept the machine busy.
    """
    if not seconds:
        return ""
    parts = ", ".join(f"{name} {in_words(value)}" for name, value in seconds.items())
    line = f"time: about {in_words(sum(seconds.values()))}, decoding included ({parts})"
    return f"{line}; this machine is busy, so that is what one free core would take" if busy else line


def is_busy() -> bool:
    """Whether more processes have lately wanted the cores than there are."""
    return os.getloadavg()[0] > BUSY * cpu_count()
