"""Fit of a feature store and the run that reads it, checked before training."""

from __future__ import annotations

from feature_extraction.store import FeatureStore
from runtime.errors import InputError
from runtime.fingerprint import differences
from video_datasets.time_grid import TimeGrid


def check_store(store: FeatureStore, grid: TimeGrid, backbone_sha256: str | None = None) -> int:
    """Check grid and backbone of a store by one of its videos.

    Args:
        store: to be read.
        grid: of the run's configuration.
        backbone_sha256: of the run's video model; None: not compared.

    Returns:
        The channels C of its features.

    Raises:
        InputError: if the store is empty, or was made with another grid or backbone.
    """
    video_id = store.any_id()
    if video_id is None:
        raise InputError(
            f"{store.path}: the feature store holds no video; run `python -m feature_extraction` first"
        )
    info = store.info(video_id)
    where = f"{store.path}: video '{video_id}'"
    refuse_other_grid(where, info.grid, grid)
    if backbone_sha256 is not None and info.attributes.get("backbone_sha256") != backbone_sha256:
        name = info.attributes.get("backbone", "unknown")
        raise InputError(
            f"{where} was extracted with another backbone ({name}) than this run's finetuned one;"
            f" run `python -m feature_extraction --force` again"
        )
    return info.shape[1]


def refuse_other_grid(where: str, found: TimeGrid, wanted: TimeGrid) -> None:
    """Raise InputError if features lie on another grid than a configuration's, naming the keys."""
    different = differences(found.to_dict(), wanted.to_dict())
    if different:
        raise InputError(
            f"{where} was extracted on another grid: {'; '.join(different)} in the configuration; extract the features "
            "again, or set the keys of `grid` to the store's"
        )


def features_problem(store: FeatureStore, video_id: str, grid: TimeGrid) -> str:
    """Say why a head cannot look at a video; empty when it can."""
    if video_id not in store:
        return "no features (the features stage says why)"
    info = store.info(video_id)
    if info.grid != grid:
        return f"features on another time grid than the configuration's: {info.grid}"
    if not info.shape[0]:
        return "no features: the video is shorter than a clip of the time grid"
    return ""
