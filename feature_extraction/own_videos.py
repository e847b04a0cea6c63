"""Features of a folder of videos, without annotations or a run: `python -m feature_extraction
--videos DIR ...`.

Finished videos wait in `FILE.h5.parts/`, beside the headers that were read, also of a dry run; at the
end they become FILE.h5 and that folder goes away.
The same command again extracts what is missing from FILE.h5: videos that failed, came since, or
have another size than then. Features of a video whose file has gone bad since are kept, also with
--force, unless they were made with other settings.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from feature_extraction.backbone import RANDOM_WEIGHTS
from feature_extraction.extract import merge_parts
from feature_extraction.headers import HEADERS_NAME
from feature_extraction.integrity import has_whole_features
from feature_extraction.many import extract_all, waiting, watched
from feature_extraction.preflight import look_ahead
from feature_extraction.recipe import LoadedRecipe, Recipe
from feature_extraction.settings import FeaturesConfig
from feature_extraction.store import MERGED_NAME, FeatureInfo, FeatureStore, video_file_name
from runtime.atomic import sweep_temporary_files
from runtime.errors import InputError
from runtime.exit_codes import EXIT_DONE, EXIT_SKIPPED_ITEMS
from runtime.fingerprint import differences
from runtime.lock import LOCK_NAME, hold
from runtime.overwriting import refuse_overwriting
from runtime.settings import RuntimeConfig
from runtime.stage import MAX_LISTED
from training.watching import StepClock
from video_datasets.time_grid import TimeGrid
from video_datasets.video.left_out import left_out
from video_datasets.video.search import VIDEO_SUFFIXES, video_files, video_id_of


@dataclass(frozen=True, kw_only=True)
class OwnVideos:
    """What the command was asked for.

    Attributes:
        videos: folder, searched at any depth.
        out: the HDF5 file to be.
        model: name of the network.
        weights: file, see `load_network`; None: random.
        grid: of the features.
        features: how they are made.
        runtime: device, workers, scheduler.
    """

    videos: Path
    out: Path
    model: str
    weights: Path | None
    grid: TimeGrid
    features: FeaturesConfig
    runtime: RuntimeConfig


def extract_own_videos(asked: OwnVideos, *, dry_run: bool = False, force: bool = False) -> int:
    """Extract the features of all videos of a folder into one file.

    Args:
        asked: by the command.
        dry_run: only say what there is to do.
        force: start from nothing, whatever FILE.h5 holds.

    Returns:
        Exit code: 0, or 1 when videos were left out, which are listed.

    Raises:
        InputError: if the folder holds no videos, none of them gives features, FILE.h5 is a folder,
            in use or made with other settings, or the weights do not fit the network.
    """
    if asked.out.is_dir():
        raise InputError(
            f"--out {asked.out}: is a folder; expected the HDF5 file to be, such as {asked.out / 'my.h5'}"
        )
    files, problems = find_videos(asked.videos)
    refuse_overwriting([asked.out], [asked.weights, *files.values()])
    parts = asked.out.with_name(asked.out.name + ".parts")
    loaded = Recipe(
        model=asked.model,
        weights=asked.weights,
        grid=asked.grid,
        features=asked.features,
        runtime=asked.runtime,
        folder=parts,
    ).load()
    if loaded.backbone.weights == RANDOM_WEIGHTS:
        _say(
            f"WARNING: no --weights: {asked.model} has RANDOM weights. These features carry next to no meaning; "
            f'they are marked weights="{RANDOM_WEIGHTS}".'
        )
    finished = set() if force else _finished(asked.out, parts, loaded, files)
    todo = {name: path for name, path in files.items() if name not in finished}
    report = look_ahead(loaded, files, {}, list(finished), kept=parts / HEADERS_NAME)
    if dry_run:
        print(report)
        problems.update(report.unreadable)
    elif todo or parts.exists():  # an earlier attempt may have been cut off just before its end
        _say(f"{asked.videos}: before the work\n{report}")
        problems.update(_extract(asked, loaded, todo, done=len(finished), force=force))
    else:
        _say(f"{asked.out}: complete, nothing to do ({len(finished)} videos)")
    for name, reason in list(problems.items())[:MAX_LISTED]:
        _say(f"  left out: {name}: {reason}")
    if len(problems) > MAX_LISTED:
        _say(f"  ... and {len(problems) - MAX_LISTED} more")
    return EXIT_SKIPPED_ITEMS if problems else EXIT_DONE


def find_videos(folder: Path) -> tuple[dict[str, Path], dict[str, str]]:
    """Find the video files below a folder; an id is a file's name without its suffix and a leading
    "v_".

    Returns:
        Files by id, and reasons by file for those that have no usable id of their own.

    Raises:
        InputError: if it is no folder, or there is no video.
    """
    if folder.is_file():
        raise InputError(
            f"{folder}: is a file; expected a folder of videos, such as {folder.absolute().parent}"
        )
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; expected a folder of videos")
    found: dict[str, Path] = {}
    problems: dict[str, str] = {}
    for path in sorted(video_files(folder)):
        name = str(path.relative_to(folder)).encode(errors="backslashreplace").decode()
        video_id = video_id_of(path)
        if video_id in found:
            problems[name] = f"has the id '{video_id}' of {found[video_id].relative_to(folder)}; rename one"
            continue
        try:
            video_file_name(video_id)
        except InputError as error:
            problems[name] = str(error)
        else:
            found[video_id] = path
    others = left_out(folder)
    if not found:
        looked_for = f"{folder}: no videos there (looked for {', '.join(VIDEO_SUFFIXES)} at any depth)"
        raise InputError("; ".join([looked_for, *others]))
    for words in others:
        print(f"videos: {words}", file=sys.stderr)
    return found, problems


def _extract(
    asked: OwnVideos, loaded: LoadedRecipe, todo: Mapping[str, Path], *, done: int, force: bool
) -> dict[str, str]:
    """Extract and merge; return the reasons of the videos that failed.

    FILE.h5 stays as it is until the new one is whole.
    """
    parts = loaded.recipe.folder
    parts.mkdir(parents=True, exist_ok=True)
    with hold(parts, "feature_extraction"):
        sweep_temporary_files(parts)
        if force:
            _remove(path for path in parts.glob("*.h5") if path.is_symlink() or has_whole_features(path))
        clock = StepClock()
        outcomes = watched(extract_all(loaded, todo, clock), total=len(todo) + done, done=done)
        failed = {outcome.video_id: outcome.reason for outcome in outcomes if outcome.reason}
        count, kept = _merge(asked, loaded, todo, failed, force)
        # Under the lock, since another command may wait for this folder; what is not ours stays.
        _remove([parts / MERGED_NAME, parts / LOCK_NAME, parts / HEADERS_NAME])
    with contextlib.suppress(OSError):
        parts.rmdir()
    _say(f"{asked.out}: {count} videos, {loaded.num_channels} channels{waiting(clock.reading)}")
    return {
        name: f"{why}; its earlier features are kept" if name in kept else why for name, why in failed.items()
    }


def _merge(
    asked: OwnVideos, loaded: LoadedRecipe, todo: Mapping[str, Path], failed: Mapping[str, str], force: bool
) -> tuple[int, set[str]]:
    """Put new features and those of FILE.h5 together; return how many there are, and which
    failed but had some."""
    parts = loaded.recipe.folder
    earlier = parts / MERGED_NAME
    earlier.unlink(missing_ok=True)
    new = set(FeatureStore(parts))
    lost = todo.keys() - failed.keys() - new
    if lost:
        raise InputError(
            f"{parts}: features of {len(lost)} videos were written and are gone ({', '.join(sorted(lost)[:3])}); let "
            "nothing else work in that folder, and start the same command again"
        )
    if not new | _finished_ids(asked.out, force) - failed.keys():
        some = "; ".join(f"{name}: {reason}" for name, reason in list(failed.items())[:3])
        raise InputError(
            f"{asked.videos}: none of the {len(todo)} videos gave features: {some}; {asked.out.name} is as it was"
        )
    old: set[str] = set()
    if asked.out.exists():
        store = FeatureStore(asked.out)
        old = {name for name in store if not force or (name in failed and _fits(store, name, loaded))} - new
        earlier.symlink_to(asked.out.resolve())  # merging takes it along
    without = set(FeatureStore(parts)) - new - old
    return merge_parts(parts, asked.out, without=without), old & failed.keys()


def _finished_ids(out: Path, force: bool) -> set[str]:
    return set(FeatureStore(out)) if out.exists() and not force else set()


def _fits(store: FeatureStore, video_id: str, loaded: LoadedRecipe) -> bool:
    return not _other_settings(store.info(video_id), loaded)


def _remove(paths: Iterable[Path]) -> None:
    for path in list(paths):
        path.unlink(missing_ok=True)


def _finished(out: Path, parts: Path, loaded: LoadedRecipe, files: Mapping[str, Path]) -> set[str]:
    """Ids whose features are there, from the file as it is now."""
    finished = set()
    for store in [FeatureStore(path) for path in (out, parts) if path.exists()]:
        for video_id in store:
            info = store.info(video_id)
            if different := _other_settings(info, loaded):
                raise InputError(
                    f"{store.path}: video '{video_id}' was extracted with other settings: {'; '.join(different)}; "
                    f"give another --out, or --force to extract all again"
                )
            recorded = info.attributes.get("source_bytes")
            if video_id in files and recorded == files[video_id].stat().st_size:
                finished.add(video_id)
    return finished


def _other_settings(info: FeatureInfo, loaded: LoadedRecipe) -> list[str]:
    """Say in words by what features differ from those that the recipe gives."""
    found = {**info.attributes, **info.grid.to_dict(), "dtype": info.dtype}
    wanted = {**loaded.settings, **loaded.recipe.grid.to_dict(), "dtype": loaded.recipe.features.dtype}
    return differences({key: found.get(key) for key in wanted}, wanted)


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
