"""What every labelling tool's writer writes, its reader reads again: to 1 ms, to the frame, or
to the last digit."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from runtime.errors import InputError
from tests.video_datasets.formats.labellings import random_labelling
from video_datasets.formats.tools.frame_clock import FrameClock
from video_datasets.formats.tools.labelling import AnnotatedVideo, Bout, Labelling, LabelReading, Notes
from video_datasets.formats.tools.table import TOOLS, WRITERS, tool_of
from video_datasets.formats.tools.tool_media import Media

FPS = 30.0
DIGITS = {"elan": 3}
"""Decimals of a second that a tool keeps; others keep all that a float has."""
COUNTS_FRAMES = ("label-studio", "feral")
FEW, MANY = range(25), range(1000)
DAMAGED = 500


def written(name: str, labelling: Labelling, folder: Path) -> Path:
    path = folder / f"labels{TOOLS[name].suffix}"
    WRITERS[name](path, labelling, Media(), Notes())
    return path


def read(name: str, path: Path, fps: float = FPS) -> Labelling:
    return TOOLS[name].read(path, LabelReading(lambda _: FrameClock(fps)))


def comparable(video: AnnotatedVideo, name: str) -> Counter[tuple]:
    """A video's bouts as far as a tool can hold them."""
    digits = DIGITS.get(name, 6)
    return Counter(_kept(bout, name, digits) for bout in video.bouts)


def _kept(bout: Bout, name: str, digits: int) -> tuple:
    subject = bout.subject.partition("#")[0].strip()  # BORIS: an overlapping bout has a subject of its own
    everything = (
        round(bout.start_s, digits),
        round(bout.end_s, digits),
        bout.label,
        subject,
        bout.source,
        bout.score,
    )
    if name == "activitynet":
        return everything[:3]
    return everything


def check(name: str, seed: int, folder: Path) -> None:
    labelling = random_labelling(seed, fps=FPS if name in COUNTS_FRAMES else 0.0)
    path = written(name, labelling, folder / str(seed))
    assert tool_of(path).name == name
    found = {video.video_id: video for video in read(name, path).videos}
    assert set(found) == {video.video_id for video in labelling.videos}
    for video in labelling.videos:
        assert comparable(found[video.video_id], name) == comparable(video, name), (seed, video.video_id)
        if name not in ("via", "fiftyone", "activitynet"):  # these have no place for it
            assert found[video.video_id].subset == video.subset


def merged_runs(video: AnnotatedVideo) -> set[tuple]:
    """Frames of each label, as a format of one class a frame has them."""
    clock = FrameClock(FPS)
    return {
        (bout.label, frame) for bout in video.bouts for frame in range(*clock.edges(bout.start_s, bout.end_s))
    }


def check_frames(seed: int, folder: Path) -> None:
    labelling = random_labelling(seed, fps=FPS)
    short = replace(
        labelling,
        videos=tuple(replace(v, bouts=tuple(b for b in v.bouts if b.end_s < 600)) for v in labelling.videos),
    )
    path = written("feral", short, folder / str(seed))
    for video, again in zip(short.videos, read("feral", path).videos, strict=True):
        assert merged_runs(video) == merged_runs(again), (seed, video.video_id)
        assert again.subset == video.subset


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "feral"])
def test_round_trip(name: str, tmp_path: Path) -> None:
    for seed in FEW:
        check(name, seed, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("name", [name for name in WRITERS if name != "feral"])
def test_round_trip_of_a_thousand(name: str, tmp_path: Path) -> None:
    for seed in MANY:
        check(name, seed, tmp_path)


def test_round_trip_to_the_frame(tmp_path: Path) -> None:
    for seed in range(5):
        check_frames(seed, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_round_trip_to_the_frame_of_a_thousand(tmp_path: Path) -> None:
    for seed in MANY:
        check_frames(seed, tmp_path)


@pytest.mark.parametrize("name", WRITERS)
def test_no_videos_at_all(name: str, tmp_path: Path) -> None:
    if name in ("elan", "csv"):  # a folder without files, a table without rows
        return
    assert read(name, written(name, Labelling(()), tmp_path)).videos == ()


SHORT = next(
    labelling
    for labelling in (random_labelling(seed, fps=FPS) for seed in range(1000))
    if all(video.duration_s == 5 and video.bouts for video in labelling.videos)
)
"""A label set small enough that damage hits everything."""


def damaged(content: bytes, seed: int) -> bytes:
    """A file cut off, with bytes changed, a stretch doubled or gone, or another type in a place."""
    chance = random.Random(seed)
    kind = chance.randrange(5)
    at = chance.randrange(len(content))
    if kind == 0:
        return content[:at]
    if kind == 1:
        changed = bytearray(content)
        for _ in range(chance.randint(1, 8)):
            changed[chance.randrange(len(changed))] = chance.randrange(256)
        return bytes(changed)
    if kind == 2:
        return content[:at] + content[at + chance.randint(1, 60) :]
    if kind == 3:
        return content[:at] + content[at : at + 40] + content[at:]
    old, new = chance.choice(
        ((b"[", b"{"), (b'"', b""), (b".", b"e9"), (b"1", b"null"), (b"0", b"[]"), (b",", b"\t"))
    )
    return content.replace(old, new, chance.randint(1, 5))


def refusal(name: str, path: Path) -> str | None:
    """What the reader says against a file; None where it takes it."""
    try:
        tool_of(path)
        read(name, path)
    except InputError as error:
        return str(error)
    return None


def check_damage(name: str, seeds: range, folder: Path) -> None:
    path = written(name, SHORT, folder)
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    content = files[0].read_bytes()
    refused = 0
    for seed in seeds:
        files[0].write_bytes(damaged(content, seed))
        message = refusal(name, path)
        assert message is None or str(folder) in message
        refused += message is not None
    assert refused > len(seeds) / 5  # many changes only change a number or a word


@pytest.mark.parametrize("name", WRITERS)
def test_damaged_files_are_refused_in_words(name: str, tmp_path: Path) -> None:
    check_damage(name, range(60), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("name", WRITERS)
def test_five_hundred_damaged_files(name: str, tmp_path: Path) -> None:
    check_damage(name, range(DAMAGED), tmp_path)
