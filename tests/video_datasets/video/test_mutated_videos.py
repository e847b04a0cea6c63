"""A good file cut and with flipped bits, at random: frames or a reason, never a crash of the
reader or a hang."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from video_datasets.time_grid import TimeGrid
from video_datasets.video.decoder_process import DecodeJob, decode_interleaved
from video_datasets.video.decoding import VideoError
from video_datasets.video.reader import StreamSummary

GRID = TimeGrid(fps=30, stride_frames=16)
TIME_LIMIT_S = 20.0


def mutated(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut the file, flip single bits, overwrite a stretch, or leave one out."""
    damaged = bytearray(content)
    kind = rng.integers(4)
    first = int(rng.integers(len(content)))
    if kind == 0:
        return content[:first]
    if kind == 1:
        for place in rng.integers(len(content), size=int(rng.integers(1, 60))):
            damaged[place] ^= 1 << int(rng.integers(8))
    elif kind == 2:
        stop = min(first + int(rng.integers(1, 20_000)), len(content))
        damaged[first:stop] = rng.bytes(stop - first)
    else:
        del damaged[first : first + int(rng.integers(1, 20_000))]
    return bytes(damaged)


def check(shared: Path, folder: Path, count: int) -> None:
    content = (shared / "videos" / "v_GGSY1Qvo990.mp4").read_bytes()
    rng = np.random.default_rng(5)
    jobs = []
    for i in range(count):
        path = folder / f"{i}.mp4"
        path.write_bytes(mutated(content, rng))
        jobs.append(DecodeJob(video_id=path.stem, path=path, fps=GRID.fps, wanted=GRID.may_use))
    began = time.monotonic()
    outcomes: dict[str, StreamSummary | VideoError] = {}
    for job, message in decode_interleaved(jobs, workers=2, time_limit_s=TIME_LIMIT_S):
        if not isinstance(message, tuple):
            assert job.video_id not in outcomes
            outcomes[job.video_id] = message
    reasons = [outcome.reason for outcome in outcomes.values() if isinstance(outcome, VideoError)]
    print(f"{count - len(reasons)} of {count} gave frames, {len(set(reasons))} reasons")
    assert outcomes.keys() == {job.video_id for job in jobs}
    assert all(reasons)
    assert 0 < len(reasons) < count
    assert time.monotonic() - began < count * TIME_LIMIT_S


def test_twenty_mutations(shared: Path, tmp_path: Path) -> None:
    check(shared, tmp_path, 20)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_five_hundred_mutations(shared: Path, tmp_path: Path) -> None:
    check(shared, tmp_path, 500)
