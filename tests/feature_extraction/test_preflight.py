"""What the report before the work says, against a slow count."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from feature_extraction.preflight import look_ahead
from feature_extraction.recipe import LoadedRecipe, Recipe
from feature_extraction.settings import FeaturesConfig
from runtime.errors import InputError
from runtime.settings import RuntimeConfig
from video_datasets.time_grid import TimeGrid
from video_datasets.video.reader import frame_times

HACS = TimeGrid(fps=30, stride_frames=16)


def loaded(tmp_path: Path, grid: TimeGrid = HACS, model: str = "tada2d_mini") -> LoadedRecipe:
    return Recipe(
        model=model,
        weights=None,
        grid=grid,
        features=FeaturesConfig(short_side_px=32),
        runtime=RuntimeConfig(threads=1, device="cpu"),
        folder=tmp_path,
    ).load()


def test_the_report_of_good_bad_missing_and_finished_videos(
    tiny_mini: Path, shared: Path, tmp_path: Path
) -> None:
    good = {path.stem: path for path in sorted((tiny_mini / "videos").rglob("*.mp4"))[:4]}
    names = list(good)
    videos = {**good, "gone": None, "page": shared / "videos_bad" / "html_404.mp4"}
    durations_s = {name: frame_times(path).duration_s for name, path in good.items()}
    durations_s[names[1]] += 7.0
    kept = tmp_path / "headers.json"
    given = {**durations_s, "gone": math.nan}
    report = look_ahead(loaded(tmp_path), videos, given, finished=names[:1], kept=kept)
    times = {name: frame_times(good[name]) for name in names[1:]}
    assert report.missing == ("gone",)
    assert report.unreadable.keys() == {"page"}
    assert report.other_lengths.keys() == {names[1]}
    assert report.headers.keys() == times.keys()
    assert report.source_frames == sum(len(t.times_s) for t in times.values())
    assert report.features == sum(math.ceil(t.n_frames(30) / 16) for t in times.values())
    assert report.video_hours * 3600 == pytest.approx(sum(t.duration_s for t in times.values()), abs=0.2)
    assert report.storage_bytes == report.features * (256 * 2 + 8)
    assert report.measured.keys() == {"decoding", "network"}
    text = str(report)
    assert "6 asked for, 1 finished, 3 to extract, 1 missing, 1 unreadable, 1 of another length" in text
    assert "missing: gone (no file)" in text
    assert "core-seconds (measured: " in text
    assert list(tmp_path.iterdir()) == [kept]


def test_nothing_to_measure(tmp_path: Path) -> None:
    report = look_ahead(loaded(tmp_path), {"gone": None}, {}, kept=tmp_path / "headers.json")
    assert (report.measured, report.features) == ({}, 0)


def test_long_lists_are_cut(tmp_path: Path) -> None:
    text = str(look_ahead(loaded(tmp_path), dict.fromkeys("abcdefgh"), {}, kept=tmp_path / "headers.json"))
    assert text.count("missing: ") == 6
    assert "missing: ... and 3 more" in text


def test_a_network_that_cannot_take_the_clips_says_so_before_the_work(
    tiny_mini: Path, tmp_path: Path
) -> None:
    video = next((tiny_mini / "videos").rglob("*.mp4"))
    grid = TimeGrid(fps=30, stride_frames=16, clip_frames=3)
    with pytest.raises(InputError, match=r"does not take clips of 3 frames .*see grid\.clip_frames"):
        look_ahead(loaded(tmp_path, grid, "slowfast_8x8"), {"a": video}, {}, kept=tmp_path / "headers.json")
