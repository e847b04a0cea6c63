"""The classifier on stored features: what it sees, what it learns from, and what it tells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classification.auto import choose
from classification.segment_classifier import (
    SegmentSource,
    fit,
    gather_samples,
    load_classifier,
    save_classifier,
)
from classification.segment_features import CONTEXT, segment_features
from classification.settings import ClassificationConfig
from classification.sources import WithVideoPrior
from classification.training_segments import LARGEST_TIOU, draw_training_segments
from feature_extraction import FeatureStore
from feature_extraction.store import write_video_features
from pipeline.stages import SETTINGS
from runtime.errors import InputError
from runtime.sections import run_config
from video_datasets.dataset import Segment, Video, VideoDataset
from video_datasets.formats.ek100 import EK100
from video_datasets.time_grid import TimeGrid

GRID = TimeGrid(fps=10, stride_frames=5)
DURATION_S = 20.0


@given(st.lists(st.tuples(st.floats(0, 20), st.floats(0.01, 20)), min_size=1, max_size=5), st.integers(1, 30))
def test_features_equal_a_plain_loop(segments: list[tuple[float, float]], rows: int) -> None:
    times_s = 0.25 + 0.5 * np.arange(rows)
    features = np.random.default_rng(rows).normal(size=(rows, 3))
    segments_s = np.array([(start_s, start_s + length_s) for start_s, length_s in segments])
    found = segment_features(features, times_s, segments_s)
    for row, (start_s, end_s) in zip(found, segments_s, strict=True):
        around_s = CONTEXT * (end_s - start_s)
        regions = [(start_s, end_s), (start_s - around_s, start_s), (end_s, end_s + around_s)]
        for part, (first_s, last_s) in zip(row.reshape(3, 3), regions, strict=True):
            inside = (times_s >= first_s) & (times_s <= last_s)
            if not inside.any():
                away_s = np.abs(times_s - (first_s + last_s) / 2)
                inside = away_s <= away_s.min() + 1e-9
                options = features[inside]
                assert min(np.abs(options - part).max(axis=1)) < 1e-5
            else:
                np.testing.assert_allclose(part, features[inside].mean(axis=0), atol=1e-5)


@given(st.integers(0, 1000), st.integers(1, 4))
def test_background_overlaps_no_label(seed: int, count: int) -> None:
    generator = np.random.default_rng(seed)
    labelled_s = np.sort(generator.uniform(0, DURATION_S, (count, 2)), axis=1)
    labelled_s[:, 1] += 0.01
    segments_s, row = draw_training_segments(labelled_s, DURATION_S + 0.01, generator)
    assert (segments_s >= 0).all()
    assert (segments_s <= DURATION_S + 0.01 + 1e-9).all()
    for (start_s, end_s), label in zip(segments_s, row, strict=True):
        shared = np.minimum(end_s, labelled_s[:, 1]) - np.maximum(start_s, labelled_s[:, 0])
        tiou = shared / (np.diff(labelled_s)[:, 0] + end_s - start_s - shared)
        if label < 0:
            assert tiou.max() <= LARGEST_TIOU + 1e-9


def made_up(folder: Path, heads: tuple[str, ...] = ("action",)) -> tuple[FeatureStore, VideoDataset]:
    """Two classes, each a direction of the features; background is noise around zero."""
    generator, videos = np.random.default_rng(0), {}
    names = ("left", "right") if heads == ("action",) else ("0,0", "1,1")
    for number in range(24):
        times_s = GRID.times_s(round(DURATION_S * 10))
        features = generator.normal(0, 0.3, (len(times_s), 4))
        segments = tuple(
            Segment(start_s, start_s + 4.0, names[(number + k) % 2]) for k, start_s in enumerate((2.0, 12.0))
        )
        for segment in segments:
            inside = (times_s >= segment.start_s) & (times_s <= segment.end_s)
            features[inside, names.index(segment.label)] += 1.0
        video_id = f"v{number:02d}"
        attributes = {"duration_s": DURATION_S}
        write_video_features(
            folder, video_id, features, times_s, GRID, attributes=attributes, dtype="float32"
        )
        subset = "training" if number < 16 else "validation"
        videos[video_id] = Video(video_id, subset, None, DURATION_S, segments)
    if heads == ("action",):
        return FeatureStore(folder), VideoDataset(videos, names)
    classes = {"verb": ("take", "put"), "noun": ("cup", "pan")}
    return FeatureStore(folder), VideoDataset(videos, names, {}, classes, EK100)


@pytest.mark.parametrize("heads", [("action",), ("verb", "noun")])
def test_tells_classes_and_background(heads: tuple[str, ...], tmp_path: Path) -> None:
    store, dataset = made_up(tmp_path, heads)
    classifier = fit(gather_samples(store, dataset, "training", seed=0), dataset.heads)
    save_classifier(tmp_path / "classifier.pt", classifier, {})
    source = SegmentSource(store, load_classifier(tmp_path / "classifier.pt"))
    for video in dataset.subset("validation"):
        true_s = [(segment.start_s, segment.end_s) for segment in video.segments]
        found = source(video.video_id, np.array([*true_s, (7.0, 11.0)]))
        assert set(found) == set(heads)
        for head, values in found.items():
            wanted = [dataset.class_indices(segment.label)[head] for segment in video.segments]
            assert values[:2].argmax(axis=1).tolist() == wanted
            assert (values[:2].max(axis=1) > 0.5).all()
            assert values[2].sum() < 0.5  # the rest is background's


def test_the_same_seed_gives_the_same_classifier(tmp_path: Path) -> None:
    store, dataset = made_up(tmp_path)
    one, other = (fit(gather_samples(store, dataset, "training", 0), dataset.heads) for _ in range(2))
    for value, again in zip(one.state_dict().values(), other.state_dict().values(), strict=True):
        np.testing.assert_array_equal(value.numpy(), again.numpy())


def test_nothing_to_learn_from_is_said(tmp_path: Path) -> None:
    store, dataset = made_up(tmp_path)
    with pytest.raises(InputError, match="features of no labelled video of subset 'train'"):
        gather_samples(store, dataset, "train", 0)


def test_a_prior_moves_proposals_to_the_class_of_their_video() -> None:
    values = np.array([[0.8, 0.2], [0.7, 0.3], [0.4, 0.6]])
    source = WithVideoPrior(lambda video_id, segments_s: {"action": values}, weight=1.0, top_proposals=2)
    found = source("v", np.zeros((3, 2)))["action"]
    of_video = np.sqrt(values[0] * values[1])
    expected = values * of_video
    np.testing.assert_allclose(found, expected / expected.sum(axis=1, keepdims=True))
    assert found[2].argmax() == 0


@pytest.mark.parametrize(
    ("several", "own", "prior"), [(True, 0.0, 0.0), (False, 0.0, 2.0), (True, 1.0, 1.0), (False, 1.0, 1.0)]
)
def test_auto_follows_the_training_annotations(several: bool, own: float, prior: float) -> None:
    segments = (Segment(0.0, 1.0, "a"), Segment(2.0, 3.0, "b" if several else "a"))
    videos = {f"v{n}": Video(f"v{n}", "training", None, 5.0, segments) for n in range(3)}
    assert ClassificationConfig in SETTINGS  # all sections are loaded
    config = run_config(classification=ClassificationConfig(video_prior=own))
    choice = choose(VideoDataset(videos, ("a", "b")), config)
    assert (choice.source, choice.video_prior) == ("trained", prior)
    assert f"{3 if several else 0} of 3 training videos show more than one class" in choice.reason
