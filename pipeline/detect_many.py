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


@dataclass(frozen=True)
class DetectVideo:
    """Detects in a video with a run that each process opens for itself.

    Attributes:
        run: folder or bundle, under the same path everywhere.
        device: of each process.
    """

    run: Path
    device: str

    def __call__(self, path: Path) -> VideoDetections:
        """Return the detections of a video file.

        Raises:
            VideoError: if it cannot be decoded, or is too short.
        """
        return open_detector(self.run, self.device).detect(path)


def detect_many(
    videos: Mapping[str, Path], detect: DetectVideo, *, runtime: RuntimeConfig, scratch: Path
) -> Iterator[tuple[str, VideoDetections | VideoError]]:
    """Detect in videos by name, in any order; one whose process was killed, twice, is a
    `VideoError`.

    Args:
        videos: files.
        detect: how.
        runtime: workers or scheduler.
        scratch: folder that all processes see; it goes away.

    Raises:
        InputError: if the run or the cluster cannot be used.
    """
    items = {name: path.absolute() for name, path in videos.items()}
    try:
        for name, result in map_items(detect, items, runtime=runtime, folder=scratch, prepare=_nothing):
            if isinstance(result, WorkerDiedError):
                yield name, VideoError(videos[name], str(result))
            elif isinstance(result, Exception) and not isinstance(result, VideoError):
                raise result  # every video would fail the same way
            else:
                yield name, result
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _nothing() -> None:
    """Opening the run fixes torch's threads."""
