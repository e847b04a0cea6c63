"""Features of a folder of videos, without annotations or a run: `python -m feature_extraction --videos DIR ...`.

Finished videos wait in `FILE.h5.parts/`; at the end they become FILE.h5 and that folder goes away. The same command
again extracts what is missing from FILE.h5: videos that failed, came since, or have another size than then.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from feature_extraction.backbone import RANDOM_WEIGHTS
from feature_extraction.extract import merge_parts
from feature_extraction.many import extract_all, watched
from feature_extraction.preflight import look_ahead
from feature_extraction.recipe import LoadedRecipe, Recipe
from feature_extraction.store import MERGED_NAME, FeatureInfo, FeatureStore, video_file_name
from runtime.atomic import sweep_temporary_files
from runtime.errors import InputError
from runtime.exit_codes import EXIT_DONE, EXIT_SKIPPED_ITEMS
from runtime.lock import hold
from runtime.schema import FeaturesConfig, GridConfig, RuntimeConfig
from runtime.stage import MAX_LISTED
from video_datasets.time_grid import TimeGrid
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
    grid: GridConfig
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
        InputError: if the folder holds no videos, none of them gives features, FILE.h5 is a folder, in use or made with
            other settings, or the weights do not fit the network.
    """
    if asked.out.is_dir():
        raise InputError(
            f"--out {asked.out}: is a folder; expected the HDF5 file to be, such as {asked.out / 'my.h5'}"
        )
    files, problems = find_videos(asked.videos)
    parts = asked.out.with_name(asked.out.name + ".parts")
    loaded = Recipe(
        model=asked.model,
        weights=asked.weights,
        grid=TimeGrid.from_config(asked.grid),
        features=asked.features,
        runtime=asked.runtime,
        folder=parts,
    ).load()
    if asked.weights is None:
        _say(
            f"WARNING: no --weights: {asked.model} has RANDOM weights. These features carry next to no meaning; "
            f'they are marked weights="{RANDOM_WEIGHTS}".'
        )
    finished = set() if force else _finished(asked.out, parts, loaded, files)
    todo = {name: path for name, path in files.items() if name not in finished}
    report = look_ahead(loaded, files, {}, list(finished))
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
    """Find the video files below a folder; an id is a file's name without its suffix and a leading "v_".

    Returns:
        Files by id, and reasons by file for those that have no usable id of their own.

    Raises:
        InputError: if it is no folder, or there is no video.
    """
    if folder.is_file():
        raise InputError(
            f"{folder}: is a file; expected a folder of videos, such as {folder.absolute().parent}"
        )
    found: dict[str, Path] = {}
    problems: dict[str, str] = {}
    for path in sorted(video_files(folder)):
        video_id, name = video_id_of(path), str(path.relative_to(folder))
        if video_id in found:
            problems[name] = f"has the id '{video_id}' of {found[video_id].relative_to(folder)}; rename one"
            continue
        try:
            video_file_name(video_id)
        except InputError as error:
            problems[name] = str(error)
        else:
            found[video_id] = path
    if not found:
        raise InputError(f"{folder}: no videos there (looked for {', '.join(VIDEO_SUFFIXES)} at any depth)")
    return found, problems


def _extract(
    asked: OwnVideos, loaded: LoadedRecipe, todo: Mapping[str, Path], *, done: int, force: bool
) -> dict[str, str]:
    """Extract and merge; return the reasons of the videos that failed."""
    parts = loaded.recipe.folder
    parts.mkdir(parents=True, exist_ok=True)
    with hold(parts, "feature_extraction"):
        sweep_temporary_files(parts)
        for stale in (asked.out, *parts.glob("*.h5")) if force else ():
            stale.unlink(missing_ok=True)
        outcomes = watched(extract_all(loaded, todo), total=len(todo) + done, done=done)
        failed = {outcome.video_id: outcome.reason for outcome in outcomes if outcome.reason}
        earlier = parts / MERGED_NAME
        earlier.unlink(missing_ok=True)
        if asked.out.exists():
            earlier.symlink_to(asked.out.resolve())  # merging takes it along
        # What an earlier command made of a file that has changed since, and now fails, is not taken along.
        if not set(FeatureStore(parts)) - failed.keys():
            some = "; ".join(f"{name}: {reason}" for name, reason in list(failed.items())[:3])
            raise InputError(f"{asked.videos}: none of the {len(todo)} videos gave features: {some}")
        count = merge_parts(parts, asked.out, without=failed)
    shutil.rmtree(parts)
    _say(f"{asked.out}: {count} videos, {loaded.num_channels} channels")
    return failed


def _finished(out: Path, parts: Path, loaded: LoadedRecipe, files: Mapping[str, Path]) -> set[str]:
    """Ids whose features are there, from the file as it is now."""
    finished = set()
    for store in [FeatureStore(path) for path in (out, parts) if path.exists()]:
        for video_id in store:
            info = store.info(video_id)
            _refuse_other_settings(f"{store.path}: video '{video_id}'", info, loaded)
            recorded = info.attributes.get("source_bytes")
            if video_id in files and recorded == files[video_id].stat().st_size:
                finished.add(video_id)
    return finished


def _refuse_other_settings(where: str, info: FeatureInfo, loaded: LoadedRecipe) -> None:
    found = {**info.attributes, **info.grid.to_dict(), "dtype": info.dtype}
    wanted = {**loaded.settings, **loaded.recipe.grid.to_dict(), "dtype": loaded.recipe.features.dtype}
    different = [
        f"{key} {found.get(key)}, now {wanted[key]}" for key in wanted if found.get(key) != wanted[key]
    ]
    if different:
        raise InputError(
            f"{where} was extracted with other settings: {'; '.join(different)}; "
            f"give another --out, or --force to extract all again"
        )


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
