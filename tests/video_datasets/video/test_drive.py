"""The loop over decoded videos: every video into its own consumer, and a failing one costs
itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from video_datasets.video.container import VideoError
from video_datasets.video.decoder_process import DecodeJob
from video_datasets.video.drive import drive, drive_one
from video_datasets.video.reader import StreamSummary, stream_grid_frames


class Collected:
    """Keeps what comes; fails where it is told to."""

    def __init__(self, job: DecodeJob, fails: str = "") -> None:
        self.job, self.fails = job, fails
        self.indices: list[int] = []
        self.sums: list[int] = []

    def add(self, indices: np.ndarray, frames_NHWC: np.ndarray) -> None:
        if self.fails == "add":
            raise VideoError(self.job.path, "too odd")
        self.indices += indices.tolist()
        self.sums += frames_NHWC.sum(axis=(1, 2, 3), dtype=int).tolist()

    def finish(self, summary: StreamSummary) -> tuple[list[int], list[int], int]:
        if self.fails == "finish":
            raise VideoError(self.job.path, "odd in the end")
        return self.indices, self.sums, summary.n_frames


@pytest.fixture
def jobs(tiny_mini: Path, tmp_path: Path) -> list[DecodeJob]:
    """Four videos, the third of them a web page."""
    paths = sorted((tiny_mini / "videos").rglob("*.mp4"))[:3]
    (tmp_path / "page.mp4").write_text("<html>404</html>")
    paths.insert(2, tmp_path / "page.mp4")
    return [DecodeJob(video_id=path.stem, path=path, fps=10) for path in paths]


@pytest.mark.parametrize("workers", [1, 3])
def test_every_video_is_whole_in_its_own_consumer(jobs: list[DecodeJob], workers: int) -> None:
    done: dict[str, float] = {}

    def progress(job: DecodeJob, seconds: float) -> None:
        assert seconds >= done.get(job.video_id, 0)
        done[job.video_id] = seconds

    results = {job.video_id: r for job, r in drive(jobs, Collected, workers=workers, progress=progress)}
    page = results.pop("page")
    assert isinstance(page, VideoError)
    assert "not a video" in page.reason
    assert len(results) == 3
    for job in jobs:
        if job.video_id in results:
            indices, frames = zip(*stream_grid_frames(job.path, 10), strict=True)
            sums = [int(frame.sum(dtype=int)) for frame in frames]
            assert results[job.video_id] == (list(indices), sums, len(indices))
            assert done[job.video_id] == indices[-1] / 10


@pytest.mark.parametrize(("fails", "reason"), [("add", "too odd"), ("finish", "odd in the end")])
def test_a_consumer_may_refuse_its_video(jobs: list[DecodeJob], fails: str, reason: str) -> None:
    refused = jobs[0].video_id
    results = {
        job.video_id: result
        for job, result in drive(
            jobs, lambda job: Collected(job, fails if job.video_id == refused else ""), workers=2
        )
    }
    bad = {name: result.reason for name, result in results.items() if isinstance(result, VideoError)}
    assert bad.keys() == {refused, "page"}
    assert bad[refused] == reason
    with pytest.raises(VideoError, match=reason):
        drive_one(jobs[0], Collected(jobs[0], fails))


def test_a_mistake_of_a_consumer_is_no_fault_of_a_video(jobs: list[DecodeJob]) -> None:
    with pytest.raises(AttributeError, match="add"):
        list(drive(jobs[:1], lambda job: object()))  # type: ignore[arg-type, return-value]
