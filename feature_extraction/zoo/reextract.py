"""Features of a packed store against a new extraction of the same videos with the same weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from feature_extraction.backbone import RANDOM_WEIGHTS
from feature_extraction.extractor import extract_video
from feature_extraction.recipe import LoadedRecipe, Recipe, source_attributes
from feature_extraction.settings import FeaturesConfig
from feature_extraction.store import FeatureInfo, FeatureStore
from runtime.errors import InputError
from runtime.progress import progress
from runtime.settings import RuntimeConfig
from video_datasets.video.decoding import VideoError
from video_datasets.video.search import index_video_files

TOLERANCES = {"float16": 1e-3, "float32": 1e-4}
"""Largest difference, relative to the video's largest value: twice the rounding of float16; what
another processor's order of summation does to float32."""
SHORT_PRECISION_TOLERANCE = 0.02
"""Where the network itself computed in bfloat16 or float16."""
_SETTINGS = ("backbone", "backbone_sha256", "short_side_px", "crops", "precision", "min_decoded_share")


def compare_with_videos(
    store: FeatureStore, sample: list[str], videos: Path, weights: Path | None
) -> tuple[dict[str, str], dict[str, str]]:
    """Extract some videos again.

    Args:
        store: to be verified.
        sample: video ids.
        videos: folder that is searched for them.
        weights: file of the network; None where the store says that its weights are random.

    Returns:
        Video id -> what is wrong; video id -> why it could not be compared.

    Raises:
        InputError: if the weights are not those of the store, or it does not say how it was
            extracted.
    """
    files = index_video_files(videos)
    problems: dict[str, str] = {}
    skipped: dict[str, str] = {}
    loaded = None
    for video_id in progress(sample, description="extract again", unit="video"):
        info = store.info(video_id)
        path = files.get(video_id)
        if path is None:
            skipped[video_id] = f"not compared: no video file below {videos}"
            continue
        recorded = info.attributes.get("source_ends_sha256")
        if recorded is not None and source_attributes(path)["source_ends_sha256"] != recorded:
            skipped[video_id] = f"not compared: {path} is another file than the one that was extracted"
            continue
        loaded = loaded or load_recipe(info, weights)
        try:
            problem = _difference(store, video_id, loaded, path)
        except VideoError as error:
            skipped[video_id] = f"not compared: {error.reason}"
            continue
        if problem:
            problems[video_id] = problem
    return problems, skipped


def load_recipe(info: FeatureInfo, weights: Path | None) -> LoadedRecipe:
    """Load the network with which a video was extracted, by the attributes of its features.

    Raises:
        InputError: if attributes are missing, or the weights are others.
    """
    missing = [name for name in _SETTINGS if name not in info.attributes]
    if missing:
        raise InputError(
            f"the features do not say how they were extracted (no {', '.join(missing)}), so they cannot be compared"
            f" with videos; leave --videos out"
        )
    if weights is None and info.attributes.get("weights") != RANDOM_WEIGHTS:
        raise InputError(
            f"these features want --weights FILE ({info.attributes.get('weights', 'not stated')})"
        )
    return Recipe(
        model=info.attributes["backbone"],
        weights=weights,
        grid=info.grid,
        features=FeaturesConfig(
            short_side_px=info.attributes["short_side_px"],
            crops=info.attributes["crops"],
            precision=info.attributes["precision"],
            min_decoded_share=info.attributes["min_decoded_share"],
        ),
        runtime=RuntimeConfig(),
        folder=Path(),
        backbone_sha256=info.attributes["backbone_sha256"],
    ).load()


def _difference(store: FeatureStore, video_id: str, loaded: LoadedRecipe, path: Path) -> str:
    """Say how a video's features differ from a new extraction; empty where they agree."""
    record, dtype = store[video_id], store.info(video_id).dtype
    again = extract_video(loaded.extractor, path, min_decoded_share=loaded.recipe.features.min_decoded_share)
    if again.features.shape != record.features.shape:
        return f"features of shape {record.features.shape}, extracted again {again.features.shape}"
    scale = float(np.abs(again.features).max()) or 1.0
    error = float(np.abs(again.features - record.features).max()) / scale
    tolerance = TOLERANCES.get(dtype, 0.0)
    if loaded.recipe.features.precision != "float32":
        tolerance = SHORT_PRECISION_TOLERANCE
    if error > tolerance:
        return (
            f"values differ from a new extraction by {error:.2g} of the largest one (allowed {tolerance:g})"
        )
    return ""
