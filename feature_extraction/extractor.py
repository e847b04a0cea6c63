"""The network over the clips of videos, fed frame by frame."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from feature_extraction.clips import ClipAssembler
from video_datasets.time_grid import TimeGrid
from video_datasets.transforms import prepare_frames

BATCH_CLIPS = 8
"""Clips per forward pass; on a CPU more of them gain nothing."""


@dataclass(frozen=True)
class Extractor:
    """The network, and what becomes of frames before it sees them.

    Attributes:
        model: with `forward_features`, optimised for inference, on `device`.
        grid: which frames each clip takes.
        short_side_px: the whole region is scaled to this short side.
        device: of the model.
    """

    model: torch.nn.Module
    grid: TimeGrid
    short_side_px: int
    device: torch.device

    def prepare(self, frames_NHWC: NDArray[np.uint8]) -> Iterable[Tensor]:
        """Scale and normalise frames: uint8 (n, H, W, 3) to n tensors (3, h, w) on the device."""
        return prepare_frames(torch.from_numpy(frames_NHWC).to(self.device), self.short_side_px).unbind(1)

    def forward(self, clips: list[Tensor]) -> NDArray[np.float32]:
        """Return the features (n, C) of n clips (3, T, h, w)."""
        with torch.inference_mode():
            features: Tensor = self.model.forward_features(torch.stack(clips))  # type: ignore[operator]
        return features.float().cpu().numpy()


class VideoExtraction:
    """The features of one video while its frames come in; batches hold clips of this video only.

    So the result does not depend on which other videos are decoded at the same time.
    """

    def __init__(self, extractor: Extractor) -> None:
        self.extractor = extractor
        self.assembler = ClipAssembler(extractor.grid)
        self.clips: list[Tensor] = []
        self.features: list[NDArray[np.float32]] = []

    def add(self, indices: NDArray[np.int64], frames_NHWC: NDArray[np.uint8]) -> None:
        """Take decoded frames (n, H, W, 3) and their grid indices (n,), increasing over all calls."""
        for index, frame in zip(indices.tolist(), self.extractor.prepare(frames_NHWC), strict=True):
            self._add_clips(self.assembler.push(index, frame))

    def finish(self, n_frames: int) -> NDArray[np.float32]:
        """Return the features (T, C) of a video that turned out to have `n_frames` grid frames.

        Raises:
            ValueError: if the grid's convention gives such a short video no feature at all.
        """
        self._add_clips(self.assembler.finish(n_frames))
        self._forward()
        if not self.features:
            grid = self.extractor.grid
            raise ValueError(
                f"too short for a feature: {n_frames} frames at {grid.fps:g} fps, convention '{grid.convention}'; "
                f"'centred' covers any length"
            )
        return np.concatenate(self.features)

    def _add_clips(self, clips: Iterable[Tensor]) -> None:
        for clip in clips:
            self.clips.append(clip)
            if len(self.clips) == BATCH_CLIPS:
                self._forward()

    def _forward(self) -> None:
        if self.clips:
            self.features.append(self.extractor.forward(self.clips))
            self.clips = []
