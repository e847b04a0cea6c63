"""A finished store, or a pack, instead of an extraction (`features.store`): checked, and linked into
the run."""

from __future__ import annotations

from pathlib import Path

from feature_extraction.checks import refuse_other_grid
from feature_extraction.index import INDEX_NAME
from feature_extraction.joined import write_joined
from feature_extraction.merged import is_pack
from feature_extraction.settings import FeaturesConfig
from feature_extraction.store import MERGED_NAME, FeatureStore
from runtime.errors import InputError
from runtime.fingerprint import content_state, file_state
from runtime.progress import progress
from runtime.stage import StageRun
from video_datasets.dataset import load_dataset
from video_datasets.time_grid import TimeGrid


def store_place(config: FeaturesConfig) -> Path:
    """Return what `features.store` names: a file, the merged file in a folder of features, or the
    folder of a pack.

    Raises:
        InputError: if it is not there.
    """
    assert config.store is not None
    return _place("features.store", config.store)


def joined_places(config: FeaturesConfig) -> list[Path]:
    """Return what `features.joined` names, likewise.

    Raises:
        InputError: if one is not there.
    """
    return [_place("features.joined", path) for path in config.joined]


def place_state(place: Path) -> str:
    """Describe a store for the fingerprint: a file by name and size, a pack by its index."""
    return content_state(place / INDEX_NAME) if is_pack(place) else file_state(place)


def _place(key: str, name: str) -> Path:
    path = Path(name)
    place = path / MERGED_NAME if path.is_dir() and not is_pack(path) else path
    if not place.is_file() and not is_pack(place):
        raise InputError(
            f"{key}={name}: expected a feature store in one HDF5 file, a folder with {MERGED_NAME}, or one that "
            f"`zoo pack` wrote; make one with the feature extraction or `python -m feature_extraction.zoo`"
        )
    return place


def use_store(run: StageRun) -> None:
    """Check a store against the run's grid and annotations, and link it as features.h5.

    Annotated videos that the store lacks are listed.

    Raises:
        InputError: if features are on another grid, differ in their channels, or are not finite, or
            no annotated video is in the store.
    """
    place = store_place(run.config.features)
    store = FeatureStore(place)
    wanted = run.config.grid
    channels: int | None = None
    videos = load_dataset(run.config.data, for_training=False).videos
    for video_id in progress(list(videos), description="checking", unit="video"):
        if video_id not in store:
            run.skip(video_id, f"not in {place.name}")
            continue
        channels = _check_video(store, video_id, wanted, channels)
        run.counts["videos"] = run.counts.get("videos", 0) + 1
    if channels is None:
        some = next(iter(store), "none at all")
        raise InputError(f"{place}: holds none of the annotated videos; a video in it: {some}")
    _put_in_run(run, place, [video_id for video_id in videos if video_id in store])
    channels += sum(_channels(FeatureStore(path)) for path in joined_places(run.config.features))
    run.summary = f"{run.counts['videos']} videos, {channels} channels, from {place}"


def _channels(store: FeatureStore) -> int:
    video_id = store.any_id()
    return store.info(video_id).shape[1] if video_id else 0


def _put_in_run(run: StageRun, place: Path, video_ids: list[str]) -> None:
    """Link the store as the run's own, or write it joined with others."""
    path = run.folder / MERGED_NAME
    path.unlink(missing_ok=True)
    if not run.config.features.joined:
        path.symlink_to(place.resolve())
        return
    stores = [FeatureStore(place), *map(FeatureStore, joined_places(run.config.features))]
    problems = write_joined(path, stores, progress(video_ids, description="joining", unit="video"))
    run.skipped.update(problems)
    run.counts["videos"] -= len(problems)
    if not run.counts["videos"]:
        raise InputError(f"features.joined: no video is in all of {', '.join(str(s.path) for s in stores)}")


def _check_video(store: FeatureStore, video_id: str, grid: TimeGrid, channels: int | None) -> int:
    record = store[video_id]
    where = f"{store.path}: video '{video_id}'"
    refuse_other_grid(where, record.grid, grid)
    if record.features.shape[1] != (channels or record.features.shape[1]):
        raise InputError(f"{where} has {record.features.shape[1]} channels, others have {channels}")
    return int(record.features.shape[1])
