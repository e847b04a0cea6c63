"""Setting videos aside for validation, where a tool knows no subsets."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace

from runtime.errors import InputError
from video_datasets.formats.tools.labelling import DEFAULT_SUBSET, Labelling, Notes
from video_datasets.watched import WATCHED

VALIDATION = "validation"


def set_aside(labelling: Labelling, share: float, notes: Notes) -> Labelling:
    """Put a share of the videos into the validation subset, at least one.

    The choice hangs on the videos' ids alone, so that later labels of the same videos are divided
    in the same way. A video that alone has a label stays in training.

    Args:
        labelling: of which no video is of another subset than training.
        share: in (0, 1).
        notes: get a line on how many.

    Raises:
        InputError: if it is no share, subsets are there already, or no video can be spared.
    """
    if not 0 < share < 1:
        raise InputError(f"--validation: expected a share between 0 and 1, found {share:g}")
    named = sorted({video.subset for video in labelling.videos} - {DEFAULT_SUBSET})
    if named:
        raise InputError(f"--validation: expected videos of no subset, found '{named[0]}'; leave it out")
    labels = {video.video_id: {bout.label for bout in video.bouts} - {WATCHED} for video in labelling.videos}
    in_training = Counter(label for found in labels.values() for label in found)
    wanted = max(round(share * len(labels)), 1)
    chosen: set[str] = set()
    for video_id in sorted(labels, key=_lot):
        if len(chosen) < wanted and all(in_training[label] > 1 for label in labels[video_id]):
            chosen.add(video_id)
            in_training.subtract(labels[video_id])
    if not chosen or len(chosen) == len(labels):
        raise InputError(
            f"--validation: expected a video to spare beside one for training with each label, found {len(labels)}"
            " videos; label more of them"
        )
    notes.remark(f"{len(chosen)} of {len(labels)} videos are for validation (asked for: {wanted})")
    videos = (
        replace(video, subset=VALIDATION) if video.video_id in chosen else video for video in labelling.videos
    )
    return replace(labelling, videos=tuple(videos))


def _lot(video_id: str) -> bytes:
    return hashlib.sha256(video_id.encode("utf-8", "surrogatepass")).digest()
