"""What lies in a folder of videos but is taken for none, in words: pictures of frames, files of
unknown suffixes."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

from video_datasets.video.search import VIDEO_SUFFIXES

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
MIN_FRAMES = 8
"""Pictures in a folder that look like the frames of a video."""
MIN_BYTES = 50_000
"""Smaller files are no videos."""
OTHER_SUFFIXES = (
    *(".csv", ".tsv", ".json", ".txt", ".md", ".html", ".xml", ".yaml", ".yml", ".xlsx", ".pdf", ".log"),
    *(".zip", ".gz", ".tar", ".7z", ".h5", ".hdf5", ".npy", ".npz", ".pt", ".pth", ".pkl", ".part", ".py"),
    *(".wav", ".mp3", ".aac", ".flac", ".m4a", ".ogg", ".srt", ".vtt", ".ass", ".eaf", ".boris", ".sh"),
    *(".tif", ".tiff", ".heic", ".svg"),
)
"""Of files that nobody takes for a video."""
_KNOWN = {*VIDEO_SUFFIXES, *PICTURE_SUFFIXES, *OTHER_SUFFIXES}


def left_out(folder: Path) -> list[str]:
    """Return a sentence on each kind of thing below a folder that may be meant as a video."""
    folders: dict[str, tuple[int, str]] = {}
    unknown: Counter[str] = Counter()
    for place, _, names in os.walk(folder):
        files = [Path(place, name) for name in names if not name.startswith(".")]
        pictures = [path.name for path in files if path.suffix.lower() in PICTURE_SUFFIXES]
        if len(pictures) >= MIN_FRAMES:
            folders[place] = len(pictures), min(pictures)
        others = [path for path in files if path.suffix.lower() not in _KNOWN]
        unknown.update(path.suffix.lower() or "none" for path in others if _is_large(path))
    return [*_of_pictures(folders), *_of_suffixes(unknown)]


def _is_large(path: Path) -> bool:
    return path.is_file() and path.stat().st_size >= MIN_BYTES


def _of_pictures(folders: dict[str, tuple[int, str]]) -> list[str]:
    if not folders:
        return []
    place, (count, first) = next(iter(sorted(folders.items())))
    name = Path(place).name
    return [
        f"{len(folders)} folders of pictures, such as {place} ({count}, the first {first}), are no videos; make one of "
        f"each, at the rate of its frames: ffmpeg -framerate FPS -pattern_type glob -i '{name}/*{Path(first).suffix}' "
        f"-c:v libx264 -crf 18 {name}.mp4"
    ]


def _of_suffixes(unknown: Counter[str]) -> list[str]:
    if not unknown:
        return []
    kinds = ", ".join(f"{suffix} ({count})" for suffix, count in unknown.most_common(5))
    return [
        f"{unknown.total()} large files of suffixes that no video has are left out: {kinds}; rename those that are "
        f"videos, such as to .mp4"
    ]
