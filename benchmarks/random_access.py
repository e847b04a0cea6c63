"""Reading training clips at random places of a video: ours (PyAV) against decord's `get_batch`.

Both read the frames of the same clips, at the source frames that our time grid shows there. The
pictures are compared too: decord serves other frames on some files (stream-copied trims), and then
its speed means nothing.

    python -m benchmarks.random_access VIDEO [--clips 100]
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from runtime.paths import user_path
from video_datasets.time_grid import TimeGrid, grid_source_indices
from video_datasets.video.reader import frame_times, read_clip

HACS_GRID = TimeGrid(fps=30, stride_frames=16)


def main() -> None:
    """Print both rates and their ratio."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.random_access", description=__doc__)
    parser.add_argument("video", type=user_path)
    parser.add_argument("--clips", type=int, default=100)
    arguments = parser.parse_args()
    import decord  # pip install tadaloc[benchmarks]; x86-64 only

    times = frame_times(arguments.video)
    source = grid_source_indices(times.times_s, HACS_GRID.fps, times.duration_s)
    starts = np.random.default_rng(0).integers(
        max(len(source) - HACS_GRID.clip_span_frames, 1), size=arguments.clips
    )
    clips = np.minimum(starts[:, None] + HACS_GRID.clip_steps, len(source) - 1)

    began = time.perf_counter()
    ours = [read_clip(arguments.video, clip, HACS_GRID.fps, times) for clip in clips]
    ours_s = time.perf_counter() - began
    began = time.perf_counter()
    theirs = [
        decord.VideoReader(str(arguments.video), num_threads=1).get_batch(source[clip]).asnumpy()
        for clip in clips
    ]
    theirs_s = time.perf_counter() - began
    different = sum(not np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    print(f"PyAV   {len(clips) / ours_s:7.1f} clips/s")
    print(f"decord {len(clips) / theirs_s:7.1f} clips/s (the file opened for each clip, as by ours)")
    print(
        f"PyAV is {theirs_s / ours_s:.2f} x as fast; {different} of {len(clips)} clips differ in their pictures"
    )


if __name__ == "__main__":
    main()
