"""Labelled segments, and random training clips of them, on the same time grid as the extraction."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from classification.finetune.mixing import erase
from classification.finetune.sampling import clip_frames, spread_frames
from classification.finetune.settings import FinetuneConfig
from classification.finetune.video_files import ClipSource
from runtime.errors import InputError
from tadaconv.inputs import NetworkInput
from training.batches import ItemKey, derived_seed
from video_datasets.dataset import Segment, Video
from video_datasets.time_grid import TimeGrid, seconds_to_frames
from video_datasets.video.colour import ColourJitter
from video_datasets.video.decoding import VideoError
from video_datasets.video.rand_augment import RandAugment
from video_datasets.video.transforms import random_training_view, to_float

ClassIndices = Mapping[str, int]
"""Head -> class index: {"action": 7}, or {"verb": 3, "noun": 12}."""


@dataclass(frozen=True)
class LabelledSegment:
    """One labelled segment of one video.

    Attributes:
        classes: its class for every head.
        mirrored: its classes when the picture is flipped; None: it must not be flipped.
    """

    video: Video
    segment: Segment
    classes: ClassIndices
    mirrored: ClassIndices | None


def labelled_segments(
    videos: Sequence[Video],
    class_indices: Callable[[str], ClassIndices],
    mirrored_labels: Mapping[str, str | None] | None = None,
) -> list[LabelledSegment]:
    """List the segments of videos with their classes.

    Args:
        videos: with their segments.
        class_indices: gives the classes of a label (`VideoDataset.class_indices`).
        mirrored_labels: of the direction-sensitive labels (`mirror.mirrored_labels`); None: there
            is none.
    """
    swapped = mirrored_labels or {}
    found = []
    for video in videos:
        for segment in video.segments:
            partner = swapped.get(segment.label, segment.label)
            mirrored = None if partner is None else class_indices(partner)
            found.append(LabelledSegment(video, segment, class_indices(segment.label), mirrored))
    return found


class SegmentClips(Dataset[dict[str, Any]]):
    """Random clips of labelled segments: `clips_per_segment` of each in an epoch.

    A clip whose video cannot be decoded is replaced by one of another segment, and says so. Which
    one depends on seed, epoch and item alone, so that a resumed run draws the same.
    """

    def __init__(
        self,
        segments: Sequence[LabelledSegment],
        source: ClipSource,
        grid: TimeGrid,
        config: FinetuneConfig,
        seed: int,
        network_input: NetworkInput,
    ) -> None:
        self.segments, self.source, self.grid, self.config, self.seed = segments, source, grid, config, seed
        self.network_input = network_input
        strength, grey = config.colour_jitter, config.grey_probability
        jitter = ColourJitter(
            brightness=strength,
            contrast=strength,
            saturation=strength,
            hue=strength / 2,
            grey_probability=grey,
        )
        self.colours = jitter if strength or grey else None
        self.changes = (
            RandAugment(config.rand_augment, config.rand_augment_magnitude, network_input.mean)
            if config.rand_augment
            else None
        )

    def __len__(self) -> int:
        return len(self.segments) * self.config.clips_per_segment

    def __getitem__(self, key: ItemKey) -> dict[str, Any]:
        """Return one item.

        Returns:
            "clip" (3, T, crop, crop) normalised; "classes" {head: index}; "damaged": video id and
            reason, both "" if none. Crops go to the training process as float32: as uint8 they
            would take a quarter of the memory, but their interpolated values would be rounded, and
            copying is 1 % of the work of a clip.
        """
        epoch, item = key
        generator = torch.Generator().manual_seed(derived_seed(self.seed, epoch, item))
        damaged = ("", "")
        for chosen in self._candidates(item % len(self.segments), generator):
            try:
                clip, classes = self._random_clip(chosen, generator)
            except VideoError as error:
                if not damaged[0]:
                    damaged = (chosen.video.video_id, error.reason)
                continue
            return {"clip": clip, "classes": dict(classes), "damaged": damaged}
        raise InputError(f"no training video can be decoded; the first: {damaged[0]}: {damaged[1]}")

    def _candidates(self, place: int, generator: torch.Generator) -> Iterator[LabelledSegment]:
        """Yield the segment at a place, then, for as long as they cannot be decoded, the others in
        random order.

        The next ones in order would often be of the same damaged video.
        """
        yield self.segments[place]
        order = torch.randperm(len(self.segments), generator=generator)
        yield from (self.segments[other] for other in order.tolist() if other != place)

    def _random_clip(
        self, chosen: LabelledSegment, generator: torch.Generator
    ) -> tuple[torch.Tensor, ClassIndices]:
        frames = self._random_frames(chosen, generator)
        flip_probability, classes = self._flip(chosen, generator)
        view = random_training_view(
            to_float(self.source.read(chosen.video, frames)),
            short_side_range_px=self.config.short_side_px,
            crop_px=self.config.crop_px,
            generator=generator,
            flip_probability=flip_probability,
        )
        if self.changes is not None:
            view = self.changes(view, generator)
        if self.colours is not None:
            view = self.colours(view, generator)
        seen = self.network_input.normalise(view)
        if self.config.random_erasing and torch.rand((), generator=generator) < self.config.random_erasing:
            seen = erase(seen, generator)
        return seen, classes

    def _flip(self, chosen: LabelledSegment, generator: torch.Generator) -> tuple[float, ClassIndices]:
        """Probability of a flip, and the classes; where they depend on it, it is drawn here: 0
        or 1."""
        if not self.config.flip or chosen.mirrored is None:
            return 0.0, chosen.classes
        if chosen.mirrored == chosen.classes:
            return 0.5, chosen.classes
        flipped = bool(torch.rand((), generator=generator) < 0.5)
        return float(flipped), chosen.mirrored if flipped else chosen.classes

    def _random_frames(self, chosen: LabelledSegment, generator: torch.Generator) -> np.ndarray:
        if self.config.sampling == "interval":
            position = float(torch.rand((), generator=generator))
            return segment_clip(chosen, self.source, self.grid, position)
        positions = torch.rand(self.grid.clip_frames, generator=generator, dtype=torch.float64).numpy()
        return segment_clip(chosen, self.source, self.grid, positions, sampling="segments")


def segment_clip(
    chosen: LabelledSegment,
    source: ClipSource,
    grid: TimeGrid,
    position: float | np.ndarray,
    sampling: str = "interval",
) -> np.ndarray:
    """Return the grid frames (clip_frames,) of a clip of a segment, for the source to read.

    Args:
        position: as in `sampling.clip_frames` ("interval") or `sampling.spread_frames`
            ("segments").

    Raises:
        VideoError: if the video cannot be read, or ends before the segment starts.
    """
    num_frames = frames_of(chosen, source, grid)
    if sampling == "segments":
        return spread_frames(grid, chosen.segment, num_frames, position, source.start_step)
    return clip_frames(grid, chosen.segment, num_frames, float(position), source.start_step)


def frames_of(chosen: LabelledSegment, source: ClipSource, grid: TimeGrid) -> int:
    """Return the grid frames N of a segment's video.

    Raises:
        VideoError: if it cannot be read, or ends before the segment starts.
    """
    num_frames = source.num_frames(chosen.video)
    segment = chosen.segment
    if seconds_to_frames(segment.start_s, grid.fps) >= num_frames:
        raise VideoError(
            chosen.video.video_id,
            f"segment {segment.start_s:g}-{segment.end_s:g} s lies after the end of the video "
            f"({num_frames / grid.fps:g} s)",
        )
    return num_frames
