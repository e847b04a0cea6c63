"""Test views of labelled segments: clips spread over the segment, squares cut from each, and the
network's answers.

The original (and the paper) averages over n clips x 3 squares; validation during training looks at
one view.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from classification.finetune.clips import LabelledSegment, segment_clip
from classification.finetune.heads import by_head
from classification.finetune.sampling import view_positions
from classification.finetune.settings import FinetuneConfig
from classification.finetune.video_files import ClipSource
from runtime.errors import InputError
from runtime.progress import progress
from tadaconv.inputs import NetworkInput
from video_datasets.time_grid import TimeGrid
from video_datasets.video.decoding import VideoError
from video_datasets.video.transforms import centre_crop, scaled_frames, three_crops

_CLIPS_PER_BATCH = 8
"""Clips that are answered together; the network sees those of one shape at once."""


@dataclass(frozen=True)
class ViewsConfig:
    """Which views of a segment are looked at.

    Attributes:
        clips: per segment, >= 1.
        crops: squares per clip: 0 (whole region), 1 or 3.
        short_side_px: of the scaled frames, and side of the squares.
        sampling: "interval" or "segments".
    """

    clips: int
    crops: int
    short_side_px: int
    sampling: str

    @classmethod
    def of_test(cls, config: FinetuneConfig) -> ViewsConfig:
        """Return all views of the configuration."""
        return cls(config.test_clips, config.test_crops, config.test_short_side_px, config.sampling)

    @classmethod
    def of_validation(cls, config: FinetuneConfig) -> ViewsConfig:
        """Return the one view that training validates on: the middle of the segment."""
        return cls(1, min(config.test_crops, 1), config.test_short_side_px, config.sampling)

    @property
    def num_views(self) -> int:
        """Views per segment."""
        return self.clips * max(self.crops, 1)


class TestClips:
    """The test clips of labelled segments, before squares are cut out; item = segment * clips +
    clip.

    An item has "clip" (3, T, h, w), normalised, or None where the video cannot be decoded, and then
    "damaged", the reason.
    """

    __test__ = False  # not a test case of pytest

    def __init__(
        self,
        segments: Sequence[LabelledSegment],
        source: ClipSource,
        grid: TimeGrid,
        views: ViewsConfig,
        network_input: NetworkInput,
    ) -> None:
        self.segments, self.source, self.grid, self.views = segments, source, grid, views
        self.network_input = network_input
        self.positions = view_positions(views.clips, views.sampling)

    def __len__(self) -> int:
        return len(self.segments) * self.views.clips

    def __getitem__(self, item: int) -> dict[str, Any]:
        """Return one clip, or why there is none."""
        segment, clip = divmod(item, self.views.clips)
        chosen = self.segments[segment]
        position, sampling = self.positions[clip], self.views.sampling
        try:
            frames = segment_clip(chosen, self.source, self.grid, position, sampling)
            images = self.source.read(chosen.video, frames)
        except VideoError as error:
            return {"clip": None, "damaged": error.reason}
        scaled = scaled_frames(images, self.views.short_side_px)
        return {"clip": self.network_input.normalise(scaled), "damaged": ""}


@dataclass
class Answers:
    """What a network said to every view of every segment.

    Attributes:
        logits: head -> float32 (N, views, classes); NaN where the video cannot be decoded.
        seen: which views could be decoded, bool (N, views).
        damaged: video id -> reason.
    """

    logits: dict[str, np.ndarray]
    seen: np.ndarray
    damaged: dict[str, str]

    def answered(self) -> np.ndarray:
        """Return which segments have an answer to all views, as their positions."""
        return np.flatnonzero(self.seen.all(axis=1))


def ask(
    model: nn.Module,
    clips: TestClips,
    class_counts: dict[str, int],
    decoders: int,
    description: str = "",
) -> Answers:
    """Show all views to a network in eval mode and collect its logits.

    Args:
        model: in eval mode, on its device.
        clips: of the segments.
        class_counts: classes of every head.
        decoders: threads that decode ahead of the network, at least 1.
        description: of a progress bar; empty: none.

    Raises:
        InputError: if an answer is not finite.
    """
    views, count = clips.views, len(clips.segments)
    logits = {
        head: np.full((count, views.num_views, classes), np.nan, dtype=np.float32)
        for head, classes in class_counts.items()
    }
    answers = Answers(logits, np.zeros((count, views.num_views), dtype=bool), {})
    decoded = _decoded(clips, decoders)
    batches = iter(lambda: list(itertools.islice(decoded, _CLIPS_PER_BATCH)), [])
    if description:
        batches = progress(batches, description=description, total=-(-len(clips) // _CLIPS_PER_BATCH))
    with torch.inference_mode():
        for first_item, batch in zip(range(0, len(clips), _CLIPS_PER_BATCH), batches, strict=True):
            _answer_batch(model, clips, first_item, batch, answers)
    if not all(np.isfinite(values[answers.seen]).all() for values in logits.values()):
        raise InputError(
            "the network's answers are not finite: its training has diverged; lower the learning rate"
        )
    return answers


def _decoded(clips: TestClips, decoders: int) -> Iterator[dict[str, Any]]:
    """Yield the clips in order, so many of the next ones ready that a batch never waits for the
    last.

    Threads are enough: FFmpeg and torch work without Python's lock, and nothing has to be copied
    from one process to another.
    """
    pool = ThreadPoolExecutor(decoders, thread_name_prefix="clip")
    try:
        coming = (pool.submit(clips.__getitem__, item) for item in range(len(clips)))
        waiting = deque(itertools.islice(coming, _CLIPS_PER_BATCH + 2 * decoders))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(itertools.islice(coming, 1))
    finally:
        pool.shutdown(cancel_futures=True)


def _answer_batch(
    model: nn.Module, clips: TestClips, first_item: int, batch: list[dict[str, Any]], answers: Answers
) -> None:
    """Put the network's logits of some clips into their places."""
    device = next(model.parameters()).device
    crops = max(clips.views.crops, 1)
    shapes: dict[torch.Size, list[tuple[int, int, Tensor]]] = {}
    for item, content in enumerate(batch, start=first_item):
        segment, clip = divmod(item, clips.views.clips)
        if content["clip"] is None:
            answers.damaged[clips.segments[segment].video.video_id] = content["damaged"]
            continue
        for number, view in enumerate(cut_views(content["clip"], clips.views)):
            shapes.setdefault(view.shape, []).append((segment, clip * crops + number, view))
    for places in shapes.values():
        rows, columns, views = map(list, zip(*places, strict=True))
        answers.seen[rows, columns] = True
        for head, logits in by_head(model(torch.stack(views).to(device))).items():
            answers.logits[head][rows, columns] = logits.float().cpu().numpy()


def cut_views(clip_CTHW: Tensor, views: ViewsConfig) -> tuple[Tensor, ...]:
    """Cut the squares of a scaled clip: left, centre, right (top, centre, bottom); the centre
    one; or the whole."""
    if views.crops == 0:
        return (clip_CTHW,)
    if views.crops == 1:
        return (centre_crop(clip_CTHW, views.short_side_px),)
    return three_crops(clip_CTHW, views.short_side_px)
