"""mini-EK100: what it promises before a pixel is drawn, its pictures, and its files."""

from __future__ import annotations

import csv
import gzip
from collections import Counter
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import InputError
from video_datasets.__main__ import main as look_at_data
from video_datasets.dataset import VideoDataset, load_dataset, read_annotations
from video_datasets.formats.ek100 import is_extension
from video_datasets.formats.ek100_csv import timestamp_seconds
from video_datasets.mini import MiniSize, ensure_mini
from video_datasets.mini.__main__ import main
from video_datasets.mini.ek100_layout import timestamp
from video_datasets.mini.ek100_plan import (
    NOUNS,
    STANDARD_SIZE,
    VERB_NUMBERS,
    Action,
    KitchenVideo,
    draw_actions,
    draw_dense_segments,
    draw_plan,
)
from video_datasets.mini.ek100_scene import draw_object, draw_pictures, picture_size
from video_datasets.mini.motions import MOTIONS, Motion
from video_datasets.settings import DataConfig

TINY = MiniSize(training=6, validation=2, testing=2, duration_s=(2.0, 3.0))
SEED = 3
seeds = st.integers(0, 2**32)


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("mini") / "ek100"
    assert ensure_mini(folder, layout="ek100", seed=SEED, size=TINY, workers=1)
    return folder


@pytest.fixture(scope="module")
def dataset(rendered: Path) -> VideoDataset:
    return load_dataset(DataConfig(root=str(rendered), format="ek100", videos="."))


def all_videos(seed: int = 0, size: MiniSize = STANDARD_SIZE) -> list[KitchenVideo]:
    return [video for twins in draw_plan(seed, size) for video in (twins.forward, twins.backward)]


def read_rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("seed", range(3))
def test_standard_size_is_long_dense_and_balanced(seed: int) -> None:
    videos = all_videos(seed)
    assert Counter(v.subset for v in videos) == {"training": 40, "validation": 14, "testing": 2}
    durations_s = [video.clock.duration_s for video in videos]
    assert 29.9 < min(durations_s) < 32
    assert 70 < max(durations_s) < 90.1
    assert sum(durations_s) == pytest.approx(2500, rel=0.05)  # extraction takes as long as that
    for subset, fewest in (("training", 5), ("validation", 2)):
        actions = [a for v in videos if v.subset == subset for a in v.actions]
        counts = Counter((a.verb, a.noun.name) for a in actions)
        assert len(counts) == len(VERB_NUMBERS) * len(NOUNS)
        assert min(counts.values()) >= fewest
        verbs = Counter(a.verb for a in actions)
        for motion in MOTIONS:
            assert verbs[motion.labels[0]] == verbs[motion.labels[1]]  # thanks to the twins
        seconds = sum(v.clock.duration_s for v in videos if v.subset == subset)
        assert seconds / len(actions) < 2.3


def test_every_subset_but_testing_has_every_frame_rate_and_the_extension_has_50_fps() -> None:
    for subset in ("training", "validation"):
        rates = {v.clock.ticks_per_s for v in all_videos() if v.subset == subset}
        assert rates == {Fraction(60000, 1001), Fraction(50), Fraction(30000, 1001)}
    for video in all_videos():
        assert is_extension(video.video_id) == (video.clock.ticks_per_s == 50)


def test_ids_are_unique_and_do_not_depend_on_how_many_videos_there_are() -> None:
    ids = [video.video_id for video in all_videos()]
    assert len(set(ids)) == len(ids)
    few = {v.video_id: v for v in all_videos(size=MiniSize(training=4, validation=8, duration_s=(30, 90)))}
    for video in all_videos():
        if video.video_id in few:
            assert few.pop(video.video_id).actions == video.actions
    assert not few


def test_class_numbers_are_official_ones_and_distinct() -> None:
    assert set(VERB_NUMBERS) == {label for motion in MOTIONS for label in motion.labels}
    assert len(set(VERB_NUMBERS.values())) == 8
    assert set(VERB_NUMBERS.values()) <= set(range(97))
    assert len({noun.number for noun in NOUNS}) == len(NOUNS)
    assert {noun.number for noun in NOUNS} <= set(range(300))


@settings(max_examples=30)
@given(seeds, st.floats(2.0, 90.0))
def test_segments_lie_within_the_video_and_at_most_two_at_once(seed: int, duration_s: float) -> None:
    segments_s = draw_dense_segments(np.random.default_rng(seed), duration_s)
    starts_s, ends_s = segments_s.T
    assert (np.diff(starts_s) > 0).all()
    assert (np.diff(ends_s) > 0).all()
    assert (starts_s[2:] > ends_s[:-2]).all()
    lengths_s = ends_s - starts_s
    assert lengths_s.min() >= min(0.8, duration_s - 0.6) - 0.0101
    assert lengths_s.max() <= 3.0101
    assert starts_s[0] == 0.3
    assert ends_s[-1] <= duration_s - 0.29


def test_some_actions_overlap_the_next() -> None:
    segments_s = draw_dense_segments(np.random.default_rng(0), 2000.0)
    assert 0.2 < (segments_s[1:, 0] < segments_s[:-1, 1]).mean() < 0.3


def test_twins_have_the_same_nouns_and_reversed_verbs_at_mirrored_times() -> None:
    opposite = {a: b for motion in MOTIONS for a, b in (motion.labels, motion.labels[::-1])}
    for twins in draw_plan(5, STANDARD_SIZE):
        forward, backward = twins.forward, twins.backward
        assert forward.subset == backward.subset
        for action, mirrored in zip(forward.actions, reversed(backward.actions), strict=True):
            assert mirrored.verb == opposite[action.verb]
            assert mirrored.noun == action.noun
            assert mirrored.start_s == pytest.approx(forward.clock.duration_s - action.end_s, abs=0.00501)
            assert mirrored.end_s == pytest.approx(forward.clock.duration_s - action.start_s, abs=0.00501)


def test_a_video_shows_every_pair_of_motion_and_noun_before_one_comes_again() -> None:
    actions = draw_actions(np.random.default_rng(1), 80.0)
    first = Counter((action.motion, action.noun) for action in actions[: len(MOTIONS) * len(NOUNS)])
    assert set(first.values()) == {1}


@pytest.mark.parametrize("motion", MOTIONS)
@pytest.mark.parametrize("backwards", [False, True])
def test_a_verb_is_what_its_object_does(motion: Motion, backwards: bool) -> None:
    times_s = np.arange(60) / 30
    for seed, noun in enumerate(NOUNS):
        action = Action(0.5, 1.5, motion, backwards, noun)
        actor = draw_object(np.random.default_rng(seed), action, -0.2, times_s, 112, 128)
        assert (actor.first, len(actor.radii)) == (15, 30)
        signs = {
            "Moving closer": np.diff(actor.radii),
            "Rising": -np.diff(actor.centres[:, 0]),
            "Heating up": np.diff(actor.colours[:, 0]),
            "Opening": np.diff(actor.wedges),
        }
        for label, change in signs.items():
            if label == motion.labels[0]:
                assert (change < 0).all() if backwards else (change > 0).all()
            else:
                np.testing.assert_array_equal(change, 0)


def test_one_frame_shows_the_noun() -> None:
    """The mean colour of an object's vivid pixels is nearest to that of its own noun."""
    times_s = np.array([0.5])
    shown = []
    for noun in NOUNS:
        action = Action(0.0, 1.0, MOTIONS[1], False, noun)
        actor = draw_object(np.random.default_rng(0), action, 0.0, times_s, 112, 112)
        picture = np.full((112, 112, 3), 128, np.uint8)
        actor.draw_on(picture, 0)
        vivid = picture[np.ptp(picture, axis=-1) > 150]
        shown.append(vivid.mean(axis=0))
    distances = np.linalg.norm(np.stack(shown)[:, None] - np.array([n.band_rgb for n in NOUNS]), axis=-1)
    assert distances.argmin(axis=1).tolist() == list(range(len(NOUNS)))


def test_only_an_actions_object_is_bright() -> None:
    for twins in draw_plan(SEED, TINY):
        saturated = np.array([(np.ptp(p, axis=-1) > 190).sum() for p in draw_pictures(twins)])
        middles_s = twins.forward.clock.middles_s
        for action in twins.forward.actions:
            saturated[(middles_s >= action.start_s) & (middles_s < action.end_s)] = 0
        assert (saturated == 0).all()


def test_files_have_the_planned_rates_lengths_and_sizes(rendered: Path) -> None:
    info = {row["video_id"]: row for row in read_rows(rendered / "EPIC_100_video_info.csv")}
    paths = sorted(rendered.rglob("*.MP4"))
    assert {path.stem for path in paths} == set(info)
    for path in paths:
        row = info[path.stem]
        assert path.parent == rendered / path.stem.split("_")[0] / "videos"
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            times_s = [frame.time for frame in container.decode(stream)]
            assert row["resolution"] == f"{stream.width}x{stream.height}"
        fps = float(row["fps"])
        np.testing.assert_allclose(times_s, np.arange(len(times_s)) / fps, atol=1e-4)
        assert len(times_s) / fps == pytest.approx(float(row["duration"]), abs=1e-5)
    assert {f"{float(row['fps']):.2f}" for row in info.values()} == {"59.94", "50.00", "29.97"}


def test_twin_files_are_each_others_reversal(rendered: Path) -> None:
    forward, backward = (
        np.stack([f.to_ndarray(format="rgb24") for f in av.open(str(path)).decode(video=0)]).astype(float)
        for path in sorted((rendered / "P01" / "videos").glob("*.MP4"))[:2]
    )
    assert np.abs(forward - backward[::-1]).mean() < 4  # of 255: the encoder's doing
    assert np.abs(forward - backward).mean() > 2 * np.abs(forward - backward[::-1]).mean()


def test_annotations_say_what_was_planned(rendered: Path, dataset: VideoDataset) -> None:
    assert dataset.problems == {}
    for video in all_videos(SEED, TINY):
        found = dataset.videos[video.video_id]
        assert found.subset == video.subset
        assert found.path == rendered / video.video_id[:3] / "videos" / f"{video.video_id}.MP4"
        assert found.duration_s == pytest.approx(video.clock.duration_s, abs=1e-6)
        planned = [
            (a.start_s, a.end_s, f"{VERB_NUMBERS[a.verb]},{a.noun.number}")
            for a in video.actions
            if video.subset != "testing"
        ]
        assert sorted((s.start_s, s.end_s, s.label) for s in found.segments) == sorted(planned)
    assert dataset.heads["verb"][3] == "opening"
    assert dataset.heads["noun"][299] == "striped-orange-diamond"
    assert dataset.heads["noun"][298] == "unused-noun-298"


def test_frame_numbers_count_as_the_official_ones_do(rendered: Path) -> None:
    rows = [
        row
        for name in ("train", "validation", "test_timestamps")
        for row in read_rows(rendered / f"EPIC_100_{name}.csv")
    ]
    assert len(rows) == sum(len(video.actions) for video in all_videos(SEED, TINY))
    for row in rows:
        fps = 50 if is_extension(row["video_id"]) else 60
        for end in ("start", "stop"):
            assert abs(int(row[f"{end}_frame"]) - fps * timestamp_seconds(row[f"{end}_timestamp"])) <= 1
        assert row["narration_id"].rpartition("_")[0] == row["video_id"]
        assert row["participant_id"] == row["video_id"].split("_")[0]


@pytest.mark.parametrize(
    "name", ["validation", "test_timestamps", "video_info", "verb_classes", "noun_classes"]
)
def test_columns_are_the_official_ones(rendered: Path, shared: Path, name: str) -> None:
    with gzip.open(shared / "data" / "ek100" / f"EPIC_100_{name}.csv.gz", "rt") as file:
        official = file.readline()
    assert (rendered / f"EPIC_100_{name}.csv").read_text().splitlines()[0] == official.strip()
    if name == "validation":
        assert (rendered / "EPIC_100_train.csv").read_text().splitlines()[0] == official.strip()


def test_timestamps_are_read_back() -> None:
    for time_s in (0.0, 0.29, 59.99, 60.0, 3599.99, 3600.07):
        assert timestamp_seconds(timestamp(time_s, decimals=2)) == pytest.approx(time_s, abs=1e-9)


def test_other_processes_give_the_same_files_and_a_cut_off_folder_is_finished(
    rendered: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {p.relative_to(rendered): p.read_bytes() for p in rendered.rglob("*.*") if p.suffix != ".lock"}
    folder = tmp_path / "cut"
    ensure_mini(folder, layout="ek100", seed=SEED, size=TINY, workers=2)
    lost = next(folder.rglob("*.MP4"))
    lost.rename(lost.with_name(f"{lost.name}.123.part"))
    (folder / "EPIC_100_validation.csv").unlink()
    size = "--training 6 --validation 2 --testing 2 --duration-s 2 3"
    words = f"--layout ek100 --out {folder} --seed {SEED} {size} --workers 1".split()
    assert main(words) == 0
    assert capsys.readouterr().out == f"{folder}: rendered\n"
    assert {
        p.relative_to(folder): p.read_bytes() for p in folder.rglob("*.*") if p.suffix != ".lock"
    } == files
    assert main(words) == 0
    assert "already complete" in capsys.readouterr().out


def test_a_folder_of_the_other_layout_is_refused(rendered: Path) -> None:
    with pytest.raises(InputError, match="layout is 'ek100', asked for 'hacs'"):
        ensure_mini(rendered, layout="hacs", seed=SEED, size=TINY)


def test_a_run_asks_for_the_layout_of_its_format(rendered: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config_file = Path(__file__).parents[3] / "configs" / "ek100_mini.yaml"
    assert look_at_data(["--config", str(config_file), f"data.root={rendered}", f"seed={SEED}"]) == 2
    message = capsys.readouterr().err
    assert "training is 6, asked for 40" in message
    assert "layout" not in message


def test_an_unrendered_data_set_says_what_to_do(tmp_path: Path) -> None:
    config = DataConfig(root=str(tmp_path), format="ek100", mini=True)
    for read in (load_dataset, read_annotations):
        with pytest.raises(InputError, match="not rendered yet; first call `python -m video_datasets`"):
            read(config)


def test_pictures_are_nearly_square_and_of_even_sides() -> None:
    sizes = {picture_size(twins) for twins in draw_plan(0, STANDARD_SIZE)}
    assert len(sizes) == 3
    assert all(h % 2 == w % 2 == 0 and h < w < 1.3 * h for h, w in sizes)
