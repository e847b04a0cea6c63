"""Notes on a data set before anything is trained on it: odd names, subsets, files, times that do
not fit.

A note stops nothing and changes nothing: each of these may be meant. All but the first three look
at the headers of some videos, because annotations rarely say how long a video is.
"""

from __future__ import annotations

import difflib
import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from video_datasets.dataset import Video, VideoDataset
from video_datasets.settings import DataConfig
from video_datasets.video.search import VIDEO_SUFFIXES, video_files

MAX_LOOKED_AT = 200
"""Videos whose headers are read (milliseconds each), evenly over those with labels."""
MAX_NAMED = 3
MAX_COMPARED = 5000
"""Names among which the closest to a missing video's is looked for."""
MAX_MISTYPED, MIN_RATIO, MIN_LETTERS = 2, 4, 4
"""A class of so few segments may be a slip of one that has so many times as many, if it has so
many letters."""
RATES = (24.0, 25.0, 30.0, 50.0, 60.0)
"""Frame rates that frame numbers are divided by."""
MIN_VIDEOS_OF_RATE = 5
NO_SUBSETS = (
    "some videos must be kept aside: own CSV has the column subset, and python -m video_datasets.convert"
    " makes one of any format (--to csv)"
)
END_TOLERANCE_S = 0.5
"""How far headers and annotators may differ on where a video ends."""


@dataclass(frozen=True)
class Length:
    """How long a file is and how many frames it shows a second, as its header says."""

    duration_s: float
    fps: float


def data_notes(dataset: VideoDataset, config: DataConfig, *, imported: bool = False) -> list[str]:
    """Return what is odd about a data set, a line each; reads the headers of at most
    `MAX_LOOKED_AT` videos.

    Args:
        dataset: annotations, with files where there are.
        config: where they are.
        imported: features are there already, so files need not be.
    """
    notes = [
        *similar_names(dataset.heads),
        *mistyped_names(
            Counter(segment.label for video in dataset.videos.values() for segment in video.segments)
        ),
        *subset_notes(dataset, config),
        *double_segments(dataset.videos.values()),
    ]
    if all(video.path is None for video in dataset.videos.values()):
        return notes if imported else [*notes, nothing_on_disk(dataset, config)]
    if dataset.format.localizes:
        notes += time_notes(dataset.videos.values(), read_lengths(dataset.videos.values()))
    return notes


def similar_names(heads: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Yield a note on classes whose names differ in capitals, blanks, underscores and hyphens
    alone.

    >>> list(similar_names({"action": ("Long jump", "Shot put", "long_jump")}))
    ["classes 'Long jump', 'long_jump' differ in capitals, blanks or underscores alone; are they one?"]
    """
    for names in heads.values():
        alike: dict[str, list[str]] = {}
        for name in names:
            alike.setdefault(re.sub(r"[\s_-]+", " ", name).strip().casefold(), []).append(name)
        for same in alike.values():
            if len(same) > 1:
                quoted = ", ".join(f"'{name}'" for name in same)
                yield f"classes {quoted} differ in capitals, blanks or underscores alone; are they one?"


def mistyped_names(counts: Mapping[str, int]) -> Iterator[str]:
    """Yield a note on each class of a few segments that is one slip of the keys from a frequent
    one.

    Args:
        counts: class -> its segments.

    >>> list(mistyped_names({"wave": 40, "wvae": 1, "step 1": 40, "step 2": 2}))
    ["class 'wvae' (1 segment) is nearly 'wave' (40); is it mistyped?"]
    """
    for name in (name for name, count in counts.items() if count <= MAX_MISTYPED):
        frequent = [other for other, count in counts.items() if count >= MIN_RATIO * counts[name]]
        for other in frequent:
            if one_slip_apart(name, other):
                segments = "1 segment" if counts[name] == 1 else f"{counts[name]} segments"
                yield f"class '{name}' ({segments}) is nearly '{other}' ({counts[other]}); is it mistyped?"


def one_slip_apart(one: str, other: str) -> bool:
    """Whether one letter too many, too few, wrong, or swapped with its neighbour tells two words
    apart; numbers and short words are no slips.

    >>> [one_slip_apart("wave", word) for word in ("wvae", "waves", "wive", "waev", "vawe", "wave")]
    [True, True, True, True, False, False]
    >>> one_slip_apart("step 1", "step 2"), one_slip_apart("run", "gun")
    (False, False)
    """
    if one == other or min(len(one), len(other)) < MIN_LETTERS or abs(len(one) - len(other)) > 1:
        return False
    first = next(
        (i for i, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )
    a, b = one[first:], other[first:]
    if (a + b)[:1].isdigit() or b[:1].isdigit():
        return False
    swapped = a[:2] == b[1::-1] and a[2:] == b[2:] and len(a) > 1
    return swapped or a[1:] == b[1:] or a == b[1:] or a[1:] == b


def subset_notes(dataset: VideoDataset, config: DataConfig) -> Iterator[str]:
    """Yield a note if nothing is labelled for training, or for validation."""
    counts = Counter(video.subset for video in dataset.videos.values() if video.segments)
    found = ", ".join(f"'{name}' ({count})" for name, count in counts.items()) or "none"
    wanted = {"training": config.training_subset, "validation": config.validation_subset}
    for use, subset in wanted.items():
        if subset in counts:
            continue
        others = [name for name in counts if name not in wanted.values()]
        close = [name for name in others if subset.startswith(name.lower())]
        close = close or difflib.get_close_matches(subset, others, n=1)
        hint = f"; rename it, or set data.{use}_subset={close[0]}" if close else f"; {NO_SUBSETS}"
        lost = "learned" if use == "training" else "validated or scored"
        yield (
            f"no labelled segment is in subset '{subset}', so nothing can be {lost}; subsets with labelled videos: "
            f"{found}{hint}"
        )


def double_segments(videos: Iterable[Video]) -> Iterator[str]:
    """Yield a note if a segment stands in the annotations twice with the same label."""
    doubles = [
        (video.video_id, segment)
        for video in videos
        for segment, count in Counter(video.segments).items()
        if count > 1
    ]
    if doubles:
        video_id, segment = doubles[0]
        yield (
            f"{len(doubles)} labelled segments stand there more than once and count so, first: video '{video_id}',"
            f" {segment.start_s:g}-{segment.end_s:g} s '{segment.label}'"
        )


def nothing_on_disk(dataset: VideoDataset, config: DataConfig) -> str:
    """Say how ids and files look where no annotated video has a file."""
    folder = Path(config.root) / config.videos
    ids = ", ".join(f"'{video_id}'" for video_id in islice(dataset.videos, MAX_NAMED))
    names = [path.name for path in islice(video_files(folder), MAX_NAMED)]
    if folder.is_file():
        found = "is a file, expected a folder"
    elif not folder.is_dir():
        found = "is no folder"
    elif not names:
        found = f"has no video files (looked for {', '.join(VIDEO_SUFFIXES[:3])} and others)"
    else:
        found = "has files like " + ", ".join(f"'{name}'" for name in names)
    return f"none of the {len(dataset.videos)} annotated videos is on disk: ids look like {ids}; {folder} {found}"


def closest_files(missing: Sequence[str], files: Iterable[Path]) -> dict[str, str]:
    """Return for missing ids the name of a file that may be theirs, where one is close."""
    names = {path.stem.casefold(): path.name for path in islice(files, MAX_COMPARED)}
    found = {}
    for video_id in missing:
        close = difflib.get_close_matches(video_id.casefold(), names, n=1, cutoff=0.75)
        if close:
            found[video_id] = names[close[0]]
    return found


# ---- times against the lengths of files


def read_lengths(videos: Iterable[Video]) -> dict[str, Length]:
    """Read the headers of some labelled videos; those that cannot be read are another matter."""
    from video_datasets.video.decoding import VideoError, read_header  # PyAV takes its time to load

    labelled = [video for video in videos if video.segments and video.path is not None]
    step = max(1, math.ceil(len(labelled) / MAX_LOOKED_AT))
    lengths = {}
    for video in labelled[::step]:
        try:
            info = read_header(video.path or "")
        except VideoError:
            continue
        duration_s = info.promised_duration_s or (info.promised_frames or 0) / (info.fps or math.nan)
        if duration_s > 0:
            lengths[video.video_id] = Length(duration_s, info.fps)
    return lengths


def time_notes(videos: Iterable[Video], lengths: Mapping[str, Length]) -> list[str]:
    """Return notes on labels that do not fit the lengths of their videos.

    Args:
        videos: with segments.
        lengths: of some of them.
    """
    looked_at = [video for video in videos if video.segments and video.video_id in lengths]
    if not looked_at:
        return []
    shares = np.array([_last_end_s(video) / lengths[video.video_id].duration_s for video in looked_at])
    if np.mean(shares > 2) > 0.5 and all(_whole_numbers(video) for video in looked_at):
        video = looked_at[int(shares.argmax())]
        length = lengths[video.video_id]
        return [
            f"times look like frame numbers, expected seconds: video '{video.video_id}' lasts"
            f" {length.duration_s:.1f} s at {length.fps:.5g} fps, its labels end at {_last_end_s(video):g};"
            f" divide them by the frame rate"
        ]
    return [
        *_rate_notes(shares, [lengths[video.video_id].fps for video in looked_at]),
        *_past_end(looked_at, lengths),
    ]


def _last_end_s(video: Video) -> float:
    return max(segment.end_s for segment in video.segments)


def _whole_numbers(video: Video) -> bool:
    return all(
        float(time_s).is_integer()
        for segment in video.segments
        for time_s in (segment.start_s, segment.end_s)
    )


def _rate_notes(shares: np.ndarray, rates: Sequence[float]) -> Iterator[str]:
    """Of all videos of one rate f, labels end where frame numbers divided by another rate F
    would: at f/F."""
    rounded = np.round(rates)
    for rate in np.unique(rounded[np.isfinite(rounded)]):
        own = shares[rounded == rate]
        for other in RATES:
            expected = rate / other
            near = (own > 0.95 * expected) & (own < 1.01 * expected)
            fits = 0.97 * expected < own.max() < 1.01 * expected and near.mean() >= 0.25
            if len(own) >= MIN_VIDEOS_OF_RATE and abs(expected - 1) > 0.03 and fits:
                yield (
                    f"labels of the videos of {rate:g} fps ({len(own)} looked at) end at {own.max():.0%} of their"
                    f" videos at the latest, as frame numbers divided by {other:g} would; are their times seconds?"
                )
                break


def _past_end(videos: Sequence[Video], lengths: Mapping[str, Length]) -> Iterator[str]:
    beyond = [
        (video, segment)
        for video in videos
        for segment in video.segments
        if segment.end_s > lengths[video.video_id].duration_s + END_TOLERANCE_S
    ]
    if beyond:
        named = ", ".join(
            f"'{video.video_id}' {segment.start_s:g}-{segment.end_s:g} s of"
            f" {lengths[video.video_id].duration_s:.1f} s"
            for video, segment in beyond[:MAX_NAMED]
        )
        more = ", ..." if len(beyond) > MAX_NAMED else ""
        yield (
            f"{len(beyond)} labelled segments reach past the end of their video ({len(videos)} videos looked at):"
            f" {named}{more}"
        )
