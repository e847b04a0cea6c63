"""Proposals and labels of many videos in one process and in two: wall and CPU seconds, and their
ratio.

    python -m benchmarks.workers                     # 600 videos, about four minutes on two cores
    python -m benchmarks.workers --videos 100 --workers 2

BMN's map has 100 x 100 cells, and the proposals of each video are labelled among 200 classes; the
features are random. Every process has one thread. Starting a process takes some seconds, so the
ratio grows with the number of videos.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from bmn import BMN
from bmn.head import BmnHead
from bmn.weights import TrainedBmn
from classification.labels import LabelVideo
from classification.sources import VideoSource
from feature_extraction import FeatureStore
from feature_extraction.store import write_video_features
from pipeline.stages import SETTINGS
from proposals.propose import PROPOSALS, ProposeVideo
from proposals.video_loop import VideoResults, finish_videos
from runtime.sections import run_config
from runtime.settings import RuntimeConfig
from runtime.stage import StageRun
from tadaconv.heads import ClassificationHead
from video_datasets.time_grid import TimeGrid

ROWS, CHANNELS, CLASSES = 100, 64, 200
GRID, CPU = TimeGrid(), torch.device("cpu")


@dataclass(frozen=True)
class ProposeAndLabel:
    """Both functions of a video, as detection composes them."""

    propose: ProposeVideo
    label: LabelVideo

    def __call__(self, video_id: str) -> VideoResults:
        """Labelled proposals of one video."""
        return self.label(self.propose(video_id)[PROPOSALS])


def make_store(folder: Path, videos: int) -> FeatureStore:
    """Write random features (ROWS, CHANNELS) of so many videos."""
    generator = np.random.default_rng(0)
    frames = GRID.stride_frames * ROWS
    for number in range(videos):
        features_TC = generator.normal(size=(len(GRID.times_s(frames)), CHANNELS)).astype(np.float32)
        attributes = {"duration_s": frames / GRID.fps}
        write_video_features(
            folder, f"v{number}", features_TC, GRID.times_s(frames), GRID, attributes=attributes
        )
    return FeatureStore(folder)


def make_work(store: FeatureStore) -> dict[str, ProposeVideo | ProposeAndLabel]:
    """Return both functions of a video with random networks."""
    torch.manual_seed(0)
    config = run_config(run_dir="unused")
    bmn = TrainedBmn(BMN(CHANNELS, tscale=100, dscale=100).eval(), GRID, None)
    propose = ProposeVideo(store, BmnHead(bmn, config.proposals, CPU), config)
    source = VideoSource(
        store, ClassificationHead(CHANNELS, CLASSES).eval(), temperature=2.0, top_proposals=5
    )
    names = {"action": tuple(f"class {number}" for number in range(CLASSES))}
    label = LabelVideo(source, names, config.classification)
    return {"proposals": propose, "proposals and labels": ProposeAndLabel(propose, label)}


def seconds(folder: Path, work: ProposeVideo | ProposeAndLabel, videos: list[str], workers: int) -> float:
    """Do all videos; return the wall seconds that it took, after printing them."""
    config = run_config(run_dir=str(folder), runtime=RuntimeConfig(workers=workers, threads=1))
    folder.mkdir(parents=True)
    began_s, began = time.perf_counter(), os.times()
    with finish_videos(StageRun(config, folder), {name: name for name in videos}, work) as found:
        missing = len(videos) - len(found)
    wall_s, ended = time.perf_counter() - began_s, os.times()
    cpu_s = sum(ended[:4]) - sum(began[:4])
    print(f"  {workers} processes: {wall_s:6.1f} s, CPU {cpu_s:6.1f} s, {missing} missing", flush=True)
    return wall_s


def main() -> None:
    """Print a row for every number of processes and the ratio of each function."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--videos", type=int, default=600)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    assert SETTINGS  # whose import registers every section of the settings
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory(prefix="tadaloc-workers-") as folder:
        store = make_store(Path(folder, "features"), arguments.videos)
        for name, work in make_work(store).items():
            print(f"{name}, {arguments.videos} videos")
            one_s, many_s = (
                seconds(Path(folder, f"{name} {workers}"), work, sorted(store), workers)
                for workers in (1, arguments.workers)
            )
            print(f"  {one_s / many_s:.2f} x")


if __name__ == "__main__":
    # Imported under its own name: worker processes find `ProposeAndLabel` there, not in __main__.
    from benchmarks import workers

    workers.main()
