"""What a mini data set promises before a pixel is drawn: its classes, times, twins and
annotations."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InputError
from video_datasets.mini import MiniSize
from video_datasets.mini.hacs_layout import annotation_content
from video_datasets.mini.plan import VideoPlan, draw_plan
from video_datasets.mini.timeline import FRAME_RATES, N_CLOCKS, draw_clock, draw_segments

seeds = st.integers(0, 2**32)


def all_videos(seed: int = 0, size: MiniSize | None = None) -> list[VideoPlan]:
    return [
        video for twins in draw_plan(seed, size or MiniSize()) for video in (twins.forward, twins.backward)
    ]


def test_standard_size_and_class_balance() -> None:
    counts = Counter((video.subset, video.label) for video in all_videos())
    assert len({label for _, label in counts}) == 8
    assert {n for (subset, _), n in counts.items() if subset == "training"} == {12}
    assert {n for (subset, _), n in counts.items() if subset == "validation"} == {4}
    assert sum(n for (subset, _), n in counts.items() if subset == "testing") == 2


def test_every_class_has_every_kind_of_clock() -> None:
    kinds: dict[str, set[Fraction | None]] = {}
    for video in all_videos():
        variable = (video.clock.frame_ticks > 1).any()
        kinds.setdefault(video.label, set()).add(None if variable else video.clock.ticks_per_s)
    assert set(map(frozenset, kinds.values())) == {frozenset({*FRAME_RATES, None})}


@pytest.mark.parametrize(("seed", "digest"), [(0, "07614b2aed52121d"), (1, "03fc2367616ef29a")])
def test_plan_is_that_of_renderer_version_1(seed: int, digest: str) -> None:
    found = hashlib.sha256()
    for video in all_videos(seed):
        clock = [str(video.clock.ticks_per_s), video.clock.ticks.tolist()]
        entry = [video.video_id, video.subset, video.label, video.segments_s.tolist(), *clock]
        found.update(json.dumps(entry).encode())
    assert found.hexdigest()[:16] == digest


def test_ids_are_like_youtubes_and_unique() -> None:
    ids = [video.video_id for video in all_videos()]
    assert len(set(ids)) == len(ids) == 130
    assert all(len(i) == 11 and set(i) <= set("-_") | set(map(chr, range(48, 123))) for i in ids)
    assert not set(ids) & {video.video_id for video in all_videos(seed=1)}


def test_a_video_does_not_depend_on_how_many_others_there_are() -> None:
    few = {v.video_id for v in all_videos(size=MiniSize(training=4, validation=8))}
    assert few <= {v.video_id for v in all_videos()}


@given(seeds, st.floats(2.0, 60.0))
def test_instances_lie_apart_with_background_around_them(seed: int, duration_s: float) -> None:
    segments_s = draw_segments(np.random.default_rng(seed), duration_s)
    scale = min(1.0, duration_s / 18.0)
    lengths = np.diff(segments_s, axis=1)
    edges = np.concatenate([[0.0], segments_s.ravel(), [duration_s]])
    rounding_s = 0.0101  # both ends are rounded to 0.01 s
    assert 2 <= len(segments_s) <= 5
    assert (lengths >= 3.5 * scale - rounding_s).all()
    assert (lengths <= 9.0 * scale + rounding_s).all()
    assert (np.diff(edges)[::2] >= 0.8 * scale - rounding_s).all()


@given(seeds, st.integers(0, N_CLOCKS - 1))
def test_clock_runs_from_zero_and_reverses_exactly(seed: int, kind: int) -> None:
    clock = draw_clock(np.random.default_rng(seed), kind, (2.0, 5.0))
    backwards = clock.reversed()
    assert clock.ticks[0] == backwards.ticks[0] == 0
    assert (clock.frame_ticks >= 1).all()
    assert clock.frame_ticks.sum() == clock.n_ticks
    np.testing.assert_allclose(backwards.middles_s, clock.duration_s - clock.middles_s[::-1], atol=1e-12)
    np.testing.assert_array_equal(backwards.reversed().ticks, clock.ticks)
    assert 1.97 < clock.duration_s < 5.03


def test_only_the_variable_rate_lacks_frames() -> None:
    for kind in range(N_CLOCKS):
        ticks = draw_clock(np.random.default_rng(0), kind, (20.0, 20.0)).frame_ticks
        assert len(set(ticks.tolist())) == 1 if kind < len(FRAME_RATES) else {1, 2, 3} <= set(ticks.tolist())


def test_twins_mirror_each_other() -> None:
    for twins in draw_plan(5, MiniSize()):
        forward, backward = twins.forward, twins.backward
        assert forward.subset == backward.subset
        assert (forward.label, backward.label) == twins.motion.labels
        mirrored = forward.clock.duration_s - forward.segments_s[::-1, ::-1]
        np.testing.assert_allclose(backward.segments_s, mirrored, atol=0.00501)


def test_annotations_have_the_form_of_hacs() -> None:
    videos = all_videos(2, MiniSize(training=8, validation=8))
    database = annotation_content(videos)["database"]
    assert list(database) == sorted(v.video_id for v in videos)
    for video in videos:
        entry = database[video.video_id]
        assert set(entry) == {"annotations", "subset", "duration", "url"}
        assert isinstance(entry["duration"], str)
        assert float(entry["duration"]) == pytest.approx(video.clock.duration_s, abs=1e-6)
        assert entry["url"] == f"https://www.youtube.com/watch?v={video.video_id}"
        if entry["subset"] == "testing":
            assert entry["annotations"] == []
            continue
        assert {a["label"] for a in entry["annotations"]} == {video.label}
        assert [a["segment"] for a in entry["annotations"]] == video.segments_s.tolist()


def test_odd_numbers_and_impossible_lengths_are_refused() -> None:
    with pytest.raises(InputError, match=r"validation videos must be even.*found 3.*twin; give 4"):
        MiniSize(validation=3)
    with pytest.raises(InputError, match=r"must be even in number and not negative, found -2.*give 2"):
        MiniSize(training=-2)
    for duration_s in ((1.0, 5.0), (9.0, 8.0), (3.0, float("nan"))):
        with pytest.raises(InputError, match="video lengths must satisfy 2 s <= shortest <= longest"):
            MiniSize(duration_s=duration_s)
