"""File names and annotations as HACS Segments has them (hangzhaomit/HACS-dataset).

DIR/videos/Moving_away/v_3fK0_abcdEf.mp4     the official downloader's CLASSNAME/v_<id>.mp4
DIR/HACS_segments_v1.1.1.json                ids without "v_", durations as text
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from runtime.atomic import write_json
from video_datasets.mini.layout import TwinFiles
from video_datasets.mini.plan import MiniSize, VideoPlan, draw_plan
from video_datasets.mini.render import draw_pictures

STANDARD_SIZE = MiniSize()
COMPLETE_NAME = ANNOTATION_NAME = "HACS_segments_v1.1.1.json"
UNLABELLED_SUBSET = "testing"


def plan_files(root: Path, seed: int, size: MiniSize) -> list[TwinFiles]:
    """Return all files to render, in the order of the plan."""
    return [
        TwinFiles(
            partial(draw_pictures, twins),
            (video_path(root, twins.forward), video_path(root, twins.backward)),
            (twins.forward.clock, twins.backward.clock),
        )
        for twins in draw_plan(seed, size)
    ]


def write_annotations(root: Path, seed: int, size: MiniSize) -> None:
    """Write the annotation file."""
    videos = [video for twins in draw_plan(seed, size) for video in (twins.forward, twins.backward)]
    write_json(root / ANNOTATION_NAME, annotation_content(videos))


def video_path(root: Path, video: VideoPlan) -> Path:
    """Return where the video lies; testing videos, whose class is secret, are in videos/testing."""
    folder = video.subset if video.subset == UNLABELLED_SUBSET else video.label.replace(" ", "_")
    return root / "videos" / folder / f"v_{video.video_id}.mp4"


def annotation_content(videos: Iterable[VideoPlan]) -> dict[str, Any]:
    """Return the content of the annotation file, sorted by the (random) ids: twins are not
    neighbours."""
    return {"database": {v.video_id: _entry(v) for v in sorted(videos, key=lambda v: v.video_id)}}


def _entry(video: VideoPlan) -> dict[str, Any]:
    labelled = video.subset != UNLABELLED_SUBSET
    segments = video.segments_s.tolist() if labelled else []
    return {
        "annotations": [{"label": video.label, "segment": segment} for segment in segments],
        "subset": video.subset,
        "duration": f"{video.clock.duration_s:.6f}",
        "url": f"https://www.youtube.com/watch?v={video.video_id}",
    }
