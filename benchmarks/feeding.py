"""Frames on their way from a decoder process: the processor time that moving one costs.

Long videos, of two sizes and of the first of --videos, decoded in this process, and decoded in a
child that hands the frames over to a consumer that lets them pass. The difference is the price.

    python -m benchmarks.feeding [--videos data/hacs_mini-seed0/videos]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.extraction_videos import render, repeat
from runtime.paths import user_path
from video_datasets.video.decoder_process import DecodeJob
from video_datasets.video.drive import drive_one
from video_datasets.video.reader import StreamSummary, frame_times, probe, stream_grid_frames

SIZES = ((340, 256), (854, 480))
_TICKS = os.sysconf("SC_CLK_TCK")


class Passing:
    """Takes frames and does nothing with them."""

    def __init__(self) -> None:
        self.frames = 0

    def add(self, indices: NDArray[np.int64], frames_NHWC: NDArray[np.uint8]) -> None:
        """Take frames (n, H, W, 3) and their grid indices (n,)."""
        self.frames += len(indices)

    def finish(self, summary: StreamSummary) -> int:
        """Return how many there were."""
        return self.frames


def processor_s() -> float:
    """Processor seconds of this process, its children, and those that they have waited for."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    times = [Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[11:15] for pid in children]
    return time.process_time() + sum(int(ticks) for four in times for ticks in four) / _TICKS


def frame_ms(work: Callable[[], int]) -> float:
    """Return the processor's milliseconds for each frame that came."""
    before_s = processor_s()
    frames = work()
    return 1e3 * (processor_s() - before_s) / frames


def streamed(job: DecodeJob) -> int:
    """Decode in this process; return the frames."""
    return sum(1 for _ in stream_grid_frames(job.path, job.fps))


def passed(job: DecodeJob) -> int:
    """Decode in a child, and let the frames pass; return how many came."""
    return drive_one(job, Passing())


def moving(path: Path, rounds: int) -> None:
    """Print what moving a frame of a video costs: medians of some rounds."""
    job = DecodeJob(video_id="long", path=path, fps=30)
    passed(job)  # the first starts the server of the children
    found = [(frame_ms(lambda: streamed(job)), frame_ms(lambda: passed(job))) for _ in range(rounds)]
    own_ms, passed_ms = np.median(found, axis=0)
    info = probe(path)
    print(
        f"{info.width} x {info.height} px: decoding {own_ms:.3f} ms a frame, in a child {passed_ms:.3f} ms: "
        f"moving costs {passed_ms - own_ms:.3f} ms",
        flush=True,
    )


def main() -> None:
    """Run the measurements."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.feeding",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--videos", type=user_path, help="folder of videos, such as mini-HACS")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=60, help="length of the rendered videos (60)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        paths = sorted(arguments.videos.rglob("*.mp4")) if arguments.videos else []
        pieces = [
            render(Path(folder) / f"{width}.mp4", fps=30, duration_s=5, size=(width, height))
            for width, height in SIZES
        ]
        for piece in paths[:1] + pieces:
            times = max(1, round(arguments.seconds / frame_times(piece).duration_s))
            moving(repeat(piece, Path(folder) / f"long {piece.name}", times), arguments.rounds)


if __name__ == "__main__":
    main()
