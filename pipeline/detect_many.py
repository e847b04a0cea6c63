"""Detection in many videos by several processes: of this machine, or of a Dask cluster."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.detector import Detector, VideoDetections
from runtime.item_map import map_items
from runtime.parallel import WorkerDiedError
from runtime.settings import RuntimeConfig
from video_datasets.video.container import VideoError


@functools.lru_cache(maxsize=1)
def open_detector(run: Path, device: str) -> Detector:
    """Open a run once in a process; errors are those of `Detector`."""
    return Detector(run, device=device)


@functools.lru_cache(maxsize=1)
def own_device(devices: tuple[str, ...], scratch: Path) -> str:
    """Choose this process's device, once: process after process takes the next one."""
    turn = 0
    while len(devices) > 1:
        try:
            (scratch / f".device-{turn}").mkdir(parents=True)
            break
        except FileExistsError:  # another process has taken this turn
            turn += 1
    return devices[turn % len(devices)]


@dataclass(frozen=True)
class DetectVideo:
    """Detects in a video with a run that each process opens for itself.

    Attributes:
        run: folder or bundle, under the same path everywhere.
        devices: processes take one of them in turn.
        scratch: folder that all processes see.
    """

    run: Path
    devices: tuple[str, ...]
    scratch: Path

    def __call__(self, path: Path) -> VideoDetections:
        """Return the detections of a video file.

        Raises:
            VideoError: if it cannot be decoded, or is too short.
        """
        return open_detector(self.run, own_device(self.devices, self.scratch)).detect(path)


def detect_many(
    videos: Mapping[str, Path], detect: DetectVideo, *, runtime: RuntimeConfig
) -> Iterator[tuple[str, VideoDetections | VideoError]]:
    """Detect in videos by name, in any order; one whose process was killed, twice, is a
    `VideoError`.

    Args:
        videos: files.
        detect: how; its scratch folder goes away.
        runtime: workers or scheduler.

    Raises:
        InputError: if the run or the cluster cannot be used.
    """
    items = {name: path.absolute() for name, path in videos.items()}
    try:
        for name, result in map_items(
            detect, items, runtime=runtime, folder=detect.scratch, prepare=_nothing
        ):
            if isinstance(result, WorkerDiedError):
                yield name, VideoError(videos[name], str(result))
            elif isinstance(result, Exception) and not isinstance(result, VideoError):
                raise result  # every video would fail the same way
            else:
                yield name, result
    finally:
        shutil.rmtree(detect.scratch, ignore_errors=True)


def _nothing() -> None:
    """Opening the run fixes torch's threads."""
