"""Sliding-window features of every video of a run (stage `features`).

Each video is decoded once, in a child process; of its grid frames only those that some clip uses
are converted, each scaled and normalised once. Every finished video is a file of its own, so a
cut-off stage goes on with the next one; at the end they are merged into features.h5.

Policy for what is wrong with videos; each case is listed in stage.json with its reason:

    missing, unreadable, empty, no video stream             no features
    a decoder that crashed or hung, twice                   no features
    fewer frames decode than `features.min_decoded_share`   no features; decoded frames are counted against the
        of those that the container promises (default 0.9)  container's number (less those that an
        edit list
                                                            hides), or its duration where it has no
                                                            number
    another length than annotated (over 1 s and over 2 %)   features, kept
    a picture that begins over 0.1 s after the sound        features, kept; times count from the first picture
    longer than `runtime.video_max_hours` or larger than    no features
        `runtime.video_max_megapixels`

Frames decoded and promised stand in the attributes of each video's features.
"""

from __future__ import annotations

import sys
from collections.abc import Container
from pathlib import Path

from feature_extraction.headers import HEADERS_NAME
from feature_extraction.many import extract_all, waiting, watched
from feature_extraction.preflight import Preflight, look_ahead, other_length
from feature_extraction.recipe import LoadedRecipe, Recipe
from feature_extraction.store import MERGED_NAME, FeatureStore, merge_features, video_file_name
from runtime.errors import InputError
from runtime.sections import RunConfig
from runtime.stage import StageRun
from training.watching import StepClock
from video_datasets.dataset import Video, load_dataset
from video_datasets.video.decoding import late_start


def extract(run: StageRun) -> None:
    """Extract features of all videos on disk; leaves features.h5 in the folder."""
    loaded = _recipe(run.config, run.upstream("finetune") / "weights.pt", run.folder).load()
    videos = load_dataset(run.config.data, for_training=False).videos
    on_disk = _on_disk(run, videos)
    store = FeatureStore(run.folder)
    todo = {name: path for name, path in on_disk.items() if name not in store}
    if todo:
        print(f"features: {_look_ahead(run.config, loaded, videos, list(store)).in_short()}", file=sys.stderr)
    failed, clock = 0, StepClock()
    outcomes = extract_all(loaded, todo, clock)
    for outcome in watched(outcomes, total=len(on_disk), done=len(on_disk) - len(todo)):
        if outcome.reason:
            run.skip(outcome.video_id, outcome.reason)
            failed += 1
    run.counts["videos"] = merge_parts(run.folder, run.folder / MERGED_NAME)
    if run.counts["videos"] < len(on_disk) - failed:
        raise InputError(
            f"{run.folder}: {len(on_disk) - failed} videos were extracted, features of {run.counts['videos']} are "
            "there; let nothing else work in that folder, and start the same command again"
        )
    _list_oddities(run, videos)
    run.summary = f"{run.counts['videos']} videos, {loaded.num_channels} channels{waiting(clock.reading)}"


def preview(config: RunConfig) -> Preflight:
    """Return what the stage would do, without doing it; before finetuning with random weights,
    as costly as any. All that it leaves are the headers that it has read."""
    folder = Path(config.run_dir)
    weights = folder / "finetune" / "weights.pt"
    loaded = _recipe(config, weights if weights.is_file() else None, folder / "features").load()
    finished = list(FeatureStore(loaded.recipe.folder)) if loaded.recipe.folder.is_dir() else []
    return _look_ahead(config, loaded, load_dataset(config.data, for_training=False).videos, finished)


def _recipe(config: RunConfig, weights: Path | None, folder: Path) -> Recipe:
    return Recipe(
        model=config.model,
        weights=weights,
        grid=config.grid,
        features=config.features,
        runtime=config.runtime,
        folder=folder,
    )


def _look_ahead(
    config: RunConfig, loaded: LoadedRecipe, videos: dict[str, Video], finished: list[str]
) -> Preflight:
    return look_ahead(
        loaded,
        {name: video.path for name, video in videos.items()},
        {name: video.duration_s for name, video in videos.items()},
        finished,
        kept=Path(config.run_dir) / HEADERS_NAME,
    )


def _on_disk(run: StageRun, videos: dict[str, Video]) -> dict[str, Path]:
    paths = {}
    for name, video in videos.items():
        if video.path is None:
            run.skip(name, "video file not found")
        else:
            paths[name] = video.path
    if not paths:
        raise InputError(f"{run.config.data.root}: none of the annotated videos is there; check data.videos")
    return paths


def _list_oddities(run: StageRun, videos: dict[str, Video]) -> None:
    """List videos that begin or end at other times than an annotator may have seen; their
    features are kept."""
    store = FeatureStore(run.folder)
    for name, video in videos.items():
        if name in store:
            recorded = store.info(name).attributes
            odd = (
                other_length(float(recorded["duration_s"]), video.duration_s),
                late_start(float(recorded.get("start_offset_s", 0.0))),
            )
            if any(odd):
                run.skip(name, f"kept, but {'; '.join(filter(None, odd))}")


def merge_parts(folder: Path, destination: Path, *, without: Container[str] = ()) -> int:
    """Merge the per-video files of a folder, remove them, and return the number of videos."""
    count = merge_features(folder, destination, without=without)
    for video_id in FeatureStore(destination):
        (folder / video_file_name(video_id)).unlink(missing_ok=True)
    return count
