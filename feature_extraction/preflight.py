"""Forecast of an extraction: videos found and missing, features, storage, hours.

Reads headers only (`headers`); what they promise is believed here and nowhere else. The
hours come from a short measurement on this machine: some seconds of one video of middling size
through the decoder, and one batch of its size through the network; other videos are scaled by their
pixels.
"""

from __future__ import annotations

import functools
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from feature_extraction.extractor import Extractor
from feature_extraction.headers import read_headers
from feature_extraction.recipe import LoadedRecipe
from runtime.brief import is_brief
from runtime.errors import InputError
from video_datasets.time_grid import num_grid_frames
from video_datasets.video.decoding import VideoError, VideoInfo
from video_datasets.video.drive import drive_one
from video_datasets.video.reader import StreamSummary
from video_datasets.video.transforms import resized_size

MAX_DURATION_GAP_S = 1.0
MAX_DURATION_GAP_SHARE = 0.02
"""How far a video's length may be from its annotation before it is listed; whichever is larger."""

_SAMPLE_S = 2.0
"""How long decoding is measured, in seconds of this machine."""
_BYTES = {"float16": 2, "float32": 4}
_MAX_NAMED = 5


@dataclass(frozen=True)
class Preflight:
    """What headers and a short measurement tell of an extraction."""

    annotated: int
    """Videos asked for."""
    missing: tuple[str, ...]
    """Ids without a file."""
    unreadable: dict[str, str]
    """Ids whose header cannot be read, with the reason."""
    other_lengths: dict[str, str]
    """Ids whose header differs from the annotated duration, in words."""
    notes: dict[str, str]
    """Ids of files that a player shows from another moment, or that hold several videos, in
    words."""
    headers: dict[str, VideoInfo]
    """Of the videos that can be read and are still to be extracted."""
    finished: int
    """Videos whose features an earlier attempt has left."""
    source_frames: int
    video_hours: float
    features: int
    channels: int
    storage_bytes: int
    measured: dict[str, str] = field(default_factory=dict)
    """"decoding" and "network": hours and how they were found; empty where nothing can be
    measured."""

    def __str__(self) -> str:
        lines = [
            f"videos      {self.annotated} asked for, {self.finished} finished, {len(self.headers)} to extract, "
            f"{len(self.missing)} missing, {len(self.unreadable)} unreadable, "
            f"{len(self.other_lengths)} of another length",
            *_named("missing", dict.fromkeys(self.missing, "no file")),
            *_named("unreadable", self.unreadable),
            *_named("another length", self.other_lengths),
            *_named("note", self.notes),
            f"to extract  {_hours(self.video_hours, 'video')}, {self.source_frames} source frames, as the headers say",
            f"features    {self.features} x {self.channels}, {_size(self.storage_bytes)}",
            *(f"{what:<12}{words}" for what, words in self.measured.items()),
        ]
        return "\n".join(f"  {line}" for line in lines)

    def in_short(self) -> str:
        """Return one line where nothing is odd, and everything otherwise."""
        if self.missing or self.unreadable or self.other_lengths or self.notes:
            return f"before the work\n{self}"
        work = f"{_hours(self.video_hours, 'video')} to extract, {_size(self.storage_bytes)}"
        if is_brief():  # a run has said its hours
            return work
        spent = ", ".join(f"{what} {words.partition(' (')[0]}" for what, words in self.measured.items())
        return f"{work}; estimated: {spent}"


def _named(what: str, reasons: Mapping[str, str]) -> list[str]:
    lines = [f"  {what}: {name} ({reason})" for name, reason in list(reasons.items())[:_MAX_NAMED]]
    more = len(reasons) - _MAX_NAMED
    return [*lines, f"  {what}: ... and {more} more"] if more > 0 else lines


def _size(n_bytes: int) -> str:
    """Bytes in words.

    >>> _size(45_700_000_000), _size(1_500)
    ('45.7 GB', '0.0 MB')
    """
    return f"{n_bytes / 1e9:.1f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:.1f} MB"


def _hours(hours: float, what: str) -> str:
    """Hours in words.

    >>> _hours(28.4, "core"), _hours(0.05, "core"), _hours(0.0005, "core")
    ('28.4 core-hours', '3.0 core-minutes', '1.8 core-seconds')
    """
    for unit, length in (("hours", hours), ("minutes", hours * 60)):
        if length >= 1:
            return f"{length:.1f} {what}-{unit}"
    return f"{hours * 3600:.1f} {what}-seconds"


def look_ahead(
    loaded: LoadedRecipe,
    videos: Mapping[str, Path | None],
    durations_s: Mapping[str, float],
    finished: Sequence[str] = (),
    *,
    kept: Path,
) -> Preflight:
    """Read the headers of all videos, measure a sample, and sum up what the extraction will need.

    Args:
        loaded: network and settings.
        videos: file of each video, None where there is none.
        durations_s: as annotated; nan or absent where nothing says so.
        finished: ids whose features are there already; their headers are not read.
        kept: file of the headers that were read before.
    """
    done = set(finished)
    files = {name: path for name, path in videos.items() if path is not None and name not in done}
    headers, unreadable = read_headers(files, loaded.recipe.runtime, kept)
    grid, features = loaded.recipe.grid, loaded.recipe.features
    frames = {name: num_grid_frames(_duration_s(info), grid.fps) for name, info in headers.items()}
    count = sum(grid.num_features(n) for n in frames.values())
    lengths = {
        name: words
        for name, info in headers.items()
        if (words := other_length(_duration_s(info), durations_s.get(name, float("nan"))))
    }
    return Preflight(
        annotated=len(videos),
        missing=tuple(name for name, path in videos.items() if path is None),
        unreadable=unreadable,
        other_lengths=lengths,
        notes={name: info.notes for name, info in headers.items() if info.notes},
        headers=headers,
        finished=len(finished),
        source_frames=sum(_source_frames(info) for info in headers.values()),
        video_hours=sum(_duration_s(info) for info in headers.values()) / 3600,
        features=count,
        channels=loaded.num_channels,
        storage_bytes=count * (loaded.num_channels * _BYTES[features.dtype] + 8),
        measured=_measured(loaded, files, headers),
    )


def other_length(found_s: float, annotated_s: float) -> str:
    """Say in words that a video is not as long as annotated; empty when it is, or either is not
    known.

    >>> other_length(94.1, 92.2), other_length(94.1, 93.5), other_length(94.1, float("nan"))
    ('lasts 94.1 s, annotated with 92.2 s', '', '')
    """
    tolerance_s = max(MAX_DURATION_GAP_S, MAX_DURATION_GAP_SHARE * annotated_s)
    if found_s > 0 and abs(found_s - annotated_s) > tolerance_s:
        return f"lasts {found_s:.1f} s, annotated with {annotated_s:.1f} s"
    return ""


def _duration_s(info: VideoInfo) -> float:
    if info.promised_duration_s is not None:
        return max(info.promised_duration_s, 0.0)
    return (info.promised_frames or 0) / info.fps if info.fps > 0 else 0.0


def _source_frames(info: VideoInfo) -> int:
    return info.promised_frames or (round(_duration_s(info) * info.fps) if info.fps > 0 else 0)


# ---- hours, from a sample


def _measured(
    loaded: LoadedRecipe, files: Mapping[str, Path], headers: Mapping[str, VideoInfo]
) -> dict[str, str]:
    if not headers:
        return {}
    middling = statistics.median_low([_pixels(info) for info in headers.values()])
    name = max(headers, key=lambda name: (_pixels(headers[name]) == middling, _duration_s(headers[name])))
    sample = headers[name]
    grid = loaded.recipe.grid
    frames_per_s = _decoding_rate(loaded, name, files[name], sample.fps)
    clips_per_s = _network_rate(loaded.extractor, sample)
    pixel_frames = sum(_source_frames(info) * _pixels(info) for info in headers.values())
    clip_areas = [
        grid.num_features(num_grid_frames(_duration_s(info), grid.fps)) * _prepared_area(loaded, info)
        for info in headers.values()
    ]
    network_hours = sum(clip_areas) / _prepared_area(loaded, sample) / clips_per_s / 3600
    device = loaded.extractor.device
    measured = {
        "network": f"{_hours(network_hours, 'device')} (measured: {clips_per_s:.3g} clips/s on {device})"
    }
    if frames_per_s > 0:
        core_hours = pixel_frames / middling / frames_per_s / 3600
        measured["decoding"] = (
            f"{_hours(core_hours, 'core')} (measured: {frames_per_s:.0f} frames/s of {sample.width} x {sample.height} "
            f"px on one core, {files[name].name})"
        )
    return dict(sorted(measured.items()))


def _pixels(info: VideoInfo) -> int:
    return info.width * info.height


def _prepared_area(loaded: LoadedRecipe, info: VideoInfo) -> int:
    height, width = resized_size(info.height, info.width, loaded.recipe.features.short_side_px)
    return height * width


def _decoding_rate(loaded: LoadedRecipe, name: str, path: Path, fps: float) -> float:
    """Source frames per second that one core decodes of a video, 0 if it cannot be decoded."""
    watch = _Stopwatch()
    try:
        time_limit_s = loaded.recipe.runtime.video_time_limit_s
        summary = drive_one(loaded.job(name, path), watch, time_limit_s=time_limit_s)
    except (VideoError, _SeenEnough):
        source_frames = watch.grid_frames / loaded.recipe.grid.fps * fps
        return source_frames / (time.perf_counter() - watch.began)
    return summary.frames_decoded / summary.seconds_spent  # without the start of the child


class _SeenEnough(Exception):  # noqa: N818 - no error
    """Ends the decoding of a sample."""


class _Stopwatch:
    """Takes frames for a while and counts them."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.grid_frames = 0

    def add(self, indices: NDArray[np.int64], frames_NHWC: NDArray[np.uint8]) -> None:
        self.grid_frames = int(indices[-1]) + 1
        if time.perf_counter() - self.began > _SAMPLE_S:
            raise _SeenEnough

    def finish(self, summary: StreamSummary) -> StreamSummary:
        return summary


def _network_rate(extractor: Extractor, info: VideoInfo) -> float:
    """Clips per second through the network, of the size of a video's; a batch on a GPU, one clip
    on a CPU."""
    height, width = info.height, info.width
    frame = next(iter(extractor.prepare(np.zeros((1, height, width, 3), dtype=np.uint8))))
    batch = extractor.batch_clips(frame) if extractor.device.type == "cuda" else 1
    forward = functools.partial(extractor.forward, [[frame] * extractor.grid.clip_frames] * batch)
    try:
        forward()  # the first one sets things up
    except (ValueError, RuntimeError) as error:
        raise InputError(
            f"the network does not take clips of {extractor.grid.clip_frames} frames of {tuple(frame.shape[1:])} px "
            f"({error}); see grid.clip_frames and features.short_side_px"
        ) from error
    if extractor.device.type == "cuda":
        torch.cuda.synchronize(extractor.device)
    began = time.perf_counter()
    forward()  # ends with the copy of the features, so nothing is left on the device
    return batch / (time.perf_counter() - began)
