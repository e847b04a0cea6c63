"""The resumable loop over the videos of a stage: one function of a video, its results kept until
all are done."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np

from runtime.errors import InputError
from runtime.items import Arrays, FinishedItems
from runtime.progress import progress
from runtime.stage import StageRun
from video_datasets.predictions import COLUMN_TYPES, Predictions

VideoResults = Mapping[str, Predictions]
"""What a stage finds in one video: a name -> the video's record."""


@contextmanager
def finish_videos(
    run: StageRun, videos: Sequence[str], work: Callable[[str], VideoResults]
) -> Iterator[dict[str, VideoResults]]:
    """Apply a function to every video, and hand over what it found.

    A cut-off stage goes on with the first video that is not finished. What is kept of finished
    videos goes away when the block ends, so that the stage's outputs are to be written inside it.

    Args:
        run: of the stage.
        videos: ids, in the order in which they are taken.
        work: the function; an InputError of it is the video's fault, which is listed and left out.
            Any other error is the program's, and ends the stage.

    Yields:
        Video id -> results, for the videos that could be done.
    """
    finished = FinishedItems(run.folder / "videos")
    found: dict[str, VideoResults] = {}
    for video_id in progress(videos, description=run.folder.name, unit="video"):
        kept = finished.load(video_id)
        if kept is None:
            try:
                results = work(video_id)
            except InputError as error:
                run.skip(video_id, getattr(error, "reason", str(error)))
                continue
            finished.save(video_id, _to_arrays(results))
            found[video_id] = results
        else:
            found[video_id] = _from_arrays(video_id, kept)
    yield found
    finished.clear()


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
