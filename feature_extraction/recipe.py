"""All that features depend on besides the videos, in one small record that travels to any process.

Whoever extracts a video (this process, or a worker of a cluster) loads the recipe's network once
and then does `job` -> decode -> `writer` for each video, so the result is the same wherever it is
made.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import os
from dataclasses import dataclass, replace
from importlib import metadata
from pathlib import Path

import av
import numpy as np
import torch
from joblib import cpu_count
from numpy.typing import NDArray

from feature_extraction.backbone import Backbone, load_network
from feature_extraction.extractor import Extractor, VideoExtraction
from feature_extraction.outcome import Outcome, within_memory
from feature_extraction.settings import FeaturesConfig
from feature_extraction.store import write_video_features
from runtime.errors import InputError
from runtime.settings import RuntimeConfig
from tadaconv import optimize_for_inference
from tadaconv.inputs import NetworkInput
from training.device import devices, prepare_device
from video_datasets.time_grid import TimeGrid
from video_datasets.video.container import VideoLimits
from video_datasets.video.decoder_process import DecodeJob
from video_datasets.video.reader import StreamSummary

COMPUTED_IN = {"float32": None, "bfloat16": torch.bfloat16, "float16": torch.float16}
_HASHED_END_BYTES = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """What to extract, with which network, to which folder; pickles.

    Attributes:
        model: name of the network.
        weights: file, see `load_network`; None: random.
        grid: which frames each clip takes.
        features: short side, crops, precision, type on disk, smallest share that must decode.
        runtime: device, threads, time limit.
        folder: of the per-video files.
        backbone_sha256: that the weights must have; empty: whatever the file holds.
    """

    model: str
    weights: Path | None
    grid: TimeGrid
    features: FeaturesConfig
    runtime: RuntimeConfig
    folder: Path
    backbone_sha256: str = ""

    def load(self) -> LoadedRecipe:
        """Fix torch's threads and load the network onto the device.

        Raises:
            InputError: if weights or device are not there, or the weights are others than expected.
        """
        device = prepare_device(self.runtime)
        side_px = self.features.short_side_px
        square = None if self.features.crops == "whole" else (self.grid.clip_frames, side_px, side_px)
        backbone = load_network(self.model, self.weights, square)
        if self.backbone_sha256 not in ("", backbone.sha256):
            raise InputError(f"{self.weights}: other weights here than where the extraction was started")
        return LoadedRecipe(self, backbone, device)

    def for_workers(self, backbone_sha256: str) -> Recipe:
        """The recipe for processes on other machines: with absolute paths, and everything fixed
        that they might see differently."""
        threads = self.runtime.threads or cpu_count()
        return replace(
            self,
            weights=self.weights.absolute() if self.weights else None,
            folder=self.folder.absolute(),
            runtime=replace(self.runtime, threads=threads),
            backbone_sha256=backbone_sha256,
        )


class LoadedRecipe:
    """A recipe with its network loaded: makes and writes features."""

    def __init__(self, recipe: Recipe, backbone: Backbone, device: torch.device) -> None:
        features = recipe.features
        _refuse_other_sizes(recipe, backbone)
        self.recipe = recipe
        self.backbone = backbone
        self.extractor = Extractor(
            optimize_for_inference(backbone.model, COMPUTED_IN[features.precision], device),
            recipe.grid,
            features.short_side_px,
            device,
            features.crops,
        )

    @functools.cached_property
    def on_all_devices(self) -> list[LoadedRecipe]:
        """This one, and the same network on each further device of `runtime.device`."""
        others = devices(self.recipe.runtime)[1:]
        return [self, *(LoadedRecipe(self.recipe, self.backbone, device) for device in others)]

    @property
    def num_channels(self) -> int:
        """C of the features."""
        return int(self.backbone.model.num_features) * (3 if self.recipe.features.crops == "three" else 1)

    @property
    def settings(self) -> dict[str, str | int | float]:
        """The attributes by which features of the same recipe are known."""
        features, pixels = self.recipe.features, self.backbone.model.input.statistics
        return {
            "backbone": self.backbone.name,
            "backbone_sha256": self.backbone.sha256,
            "short_side_px": features.short_side_px,
            "crops": features.crops,
            "precision": features.precision,
            "min_decoded_share": features.min_decoded_share,
            # Stores of before name none: all networks saw these pixels then.
            **({} if pixels == NetworkInput().statistics else {"pixels": pixels}),
        }

    def job(self, video_id: str, path: Path) -> DecodeJob:
        """What to decode of a video."""
        return DecodeJob(
            video_id=video_id,
            path=path,
            fps=self.recipe.grid.fps,
            wanted=self.recipe.grid.may_use,
            min_decoded_share=self.recipe.features.min_decoded_share,
            limits=VideoLimits.from_config(self.recipe.runtime),
        )

    def writer(self, job: DecodeJob) -> FeatureWriter:
        """What takes the frames of a video and writes its features."""
        return FeatureWriter(self, job)

    def write(self, extraction: VideoExtraction, job: DecodeJob, summary: StreamSummary) -> str:
        """Write the features of one decoded video; return why there are none, or an empty string.

        Raises:
            OSError: if nothing can be written there at all; a full disk is a `DiskFullError`.
        """
        grid = self.recipe.grid
        promised = summary.promised_frames
        try:
            write_video_features(
                self.recipe.folder,
                job.video_id,
                extraction.finish(summary.n_frames),
                grid.times_s(summary.n_frames),
                grid,
                attributes={
                    "pixels": self.backbone.model.input.statistics,
                    **self.settings,
                    "weights": self.backbone.weights,
                    "weights_file_sha256": self.backbone.file_sha256,
                    **source_attributes(job.path),
                    "source_fps": summary.source_fps,
                    "frames_decoded": summary.frames_decoded,
                    **({} if promised is None else {"frames_promised": promised}),
                    "num_grid_frames": summary.n_frames,
                    "duration_s": summary.duration_s,
                    "start_offset_s": summary.start_offset_s,
                    **_versions(),
                },
                dtype=self.recipe.features.dtype,
            )
        except InputError as error:
            return str(error)
        except OSError as error:
            if error.errno != errno.ENAMETOOLONG:
                raise
            return f"its name is too long for a file of features ({error.strerror}); rename the video"
        return ""


class FeatureWriter:
    """Takes the frames of one video and writes its features (`video_datasets.video.drive`)."""

    def __init__(self, loaded: LoadedRecipe, job: DecodeJob) -> None:
        self.loaded, self.job = loaded, job
        self.extraction = VideoExtraction(loaded.extractor)

    def add(self, indices: NDArray[np.int64], frames_NHWC: NDArray[np.uint8]) -> None:
        """Take frames (n, H, W, 3) and their grid indices (n,)."""
        with within_memory(self.job.path):
            self.extraction.add(indices, frames_NHWC)

    def finish(self, summary: StreamSummary) -> Outcome:
        """Write the features, and say what became of the video."""
        with within_memory(self.job.path):
            reason = self.loaded.write(self.extraction, self.job, summary)
        return Outcome(self.job.video_id, reason, 0 if reason else summary.frames_decoded)


def _refuse_other_sizes(recipe: Recipe, backbone: Backbone) -> None:
    """Raise if a network of fixed size would be shown clips of another one, before any video is
    decoded."""
    takes, features = backbone.model.input, recipe.features
    frames, height, width = takes.clip
    side_px = features.short_side_px
    if takes.fixed_size and (features.crops == "whole" or (side_px, side_px) != (height, width)):
        raise InputError(
            f"{backbone.name} takes frames of {height} x {width} pixels only, found features.crops={features.crops} "
            f"with features.short_side_px={side_px}; set features.crops=centre (or three) and "
            f"features.short_side_px={height}"
        )
    if takes.fixed_frames and recipe.grid.clip_frames != frames:
        raise InputError(
            f"{backbone.name} takes clips of {frames} frames only, found grid.clip_frames={recipe.grid.clip_frames}"
        )


def source_attributes(path: Path) -> dict[str, str | int]:
    """Describe a video file by name, size, and a hash that costs little even for gigabytes.

    Returns:
        `source`, `source_bytes`, and `source_ends_sha256`: SHA-256 of its first and its last MiB
        (of the whole file if it is no longer than two).
    """
    size = path.stat().st_size
    digest = hashlib.sha256()
    with path.open("rb") as file:
        if size <= 2 * _HASHED_END_BYTES:
            digest.update(file.read())
        else:
            digest.update(file.read(_HASHED_END_BYTES))
            file.seek(-_HASHED_END_BYTES, os.SEEK_END)
            digest.update(file.read())
    return {"source": path.name, "source_bytes": size, "source_ends_sha256": digest.hexdigest()}


def _versions() -> dict[str, str]:
    return {
        "decoder": f"PyAV {metadata.version('av')}, FFmpeg {av.ffmpeg_version_info}",
        "torch": str(torch.__version__),
    }
