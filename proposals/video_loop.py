"""The resumable map over the videos of a stage: one function of a video, its results kept until
all are done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import numpy as np
import torch

from runtime.errors import InputError
from runtime.item_map import map_items
from runtime.items import Arrays, FinishedItems
from runtime.parallel import WorkerDiedError
from runtime.progress import progress
from runtime.stage import StageRun
from video_datasets.predictions import COLUMN_TYPES, Predictions

Item = TypeVar("Item")
VideoResults = Mapping[str, Predictions]
"""What a stage finds in one video: a name -> the video's record."""


@contextmanager
def finish_videos(
    run: StageRun, items: Mapping[str, Item], work: Callable[[Item], VideoResults]
) -> Iterator[dict[str, VideoResults]]:
    """Apply a function to every video, and hand over what it found.

    Videos are shared among `runtime.workers` processes or the workers of `runtime.scheduler`; each
    computes with `runtime.threads` of torch, one unless set, so that results do not depend on how
    many there are. A cut-off stage goes on with the videos that are not finished. What is kept of
    finished videos goes away when the block ends, so that the stage's outputs are to be written
    inside it.

    Args:
        run: of the stage.
        items: video id -> what the function takes.
        work: the function, which pickles; an InputError of it, or the death of its process, is the
            video's fault, which is listed and left out. Any other error is the program's, and ends
            the stage.

    Yields:
        Video id -> results, in the order of the items, for the videos that could be done.
    """
    finished = FinishedItems(run.folder / "videos")
    found: dict[str, VideoResults] = {}
    for video_id in items:
        kept = finished.load(video_id)
        if kept is not None:
            found[video_id] = _from_arrays(video_id, kept)
    runtime = run.config.runtime
    results = map_items(
        work,
        {video_id: item for video_id, item in items.items() if video_id not in found},
        runtime=runtime,
        folder=finished.folder,
        prepare=partial(torch.set_num_threads, runtime.threads or 1),
    )
    reasons: dict[str, str] = {}
    bar = progress(results, description=run.folder.name, total=len(items), initial=len(found), unit="video")
    for video_id, result in bar:
        if isinstance(result, Exception):
            reasons[video_id] = _reason(result)
        else:
            finished.save(video_id, _to_arrays(result))
            found[video_id] = result
    for video_id in items:
        if video_id in reasons:
            run.skip(video_id, reasons[video_id])
    yield {video_id: found[video_id] for video_id in items if video_id in found}
    finished.clear()


def _reason(error: Exception) -> str:
    if isinstance(error, InputError | WorkerDiedError):
        return str(getattr(error, "reason", error))
    raise error


def _to_arrays(results: VideoResults) -> Arrays:
    arrays: Arrays = {}
    for name, part in results.items():
        arrays |= {f"{name}.{column}": getattr(part, column) for column in COLUMN_TYPES}
        arrays[f"{name}.labels"] = np.array(part.labels, dtype=np.str_)
    return arrays


def _from_arrays(video_id: str, arrays: Arrays) -> VideoResults:
    names = [key.removesuffix(".labels") for key in arrays if key.endswith(".labels")]
    return {
        name: Predictions(
            (video_id,),
            tuple(arrays[f"{name}.labels"].tolist()),
            **{column: arrays[f"{name}.{column}"] for column in COLUMN_TYPES},
        )
        for name in names
    }
