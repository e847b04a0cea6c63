"""Settings of the data of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from omegaconf import MISSING

from runtime.schema_checks import PLACE, require
from runtime.sections import section


@section("data")
@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where videos and annotations are."""

    retired: ClassVar[dict[str, str]] = {
        "ek100_training": "EPIC_100_train.csv",
        "ek100_validation": "EPIC_100_validation.csv",
        "ek100_testing": "EPIC_100_test_timestamps.csv",
        "ek100_video_info": "EPIC_100_video_info.csv",
        "ek100_verb_classes": "EPIC_100_verb_classes.csv",
        "ek100_noun_classes": "EPIC_100_noun_classes.csv",
    }
    """Keys of earlier versions: these files now have their official names."""

    root: str = field(default=MISSING, metadata=PLACE)
    """Folder of the data set."""
    format: str = "hacs"
    """Of the annotations: a name of `video_datasets.formats.FORMATS`."""
    annotations: str = "HACS_segments_v1.1.1.json"
    """Annotation file, relative to `root`; for Kinetics and Something-Something the folder of such
    files. EPIC-KITCHENS-100's files have their official names and lie in `root`, or in this folder
    where it is one."""
    videos: str = "videos"
    """Folder below `root` that is searched, at any depth, for `v_<id>.mp4` (or another video
    suffix)."""
    point_half_width_s: float = 0.0
    """In files of labelling tools a point event becomes a segment that reaches so far to either
    side; 0: point events are left out, and listed."""
    mini: bool = False
    """True: `root` is rendered on the spot by `video_datasets.mini` when it is not there."""
    training_subset: str = "training"
    """Name of the subset that is trained on."""
    validation_subset: str = "validation"
    """Name of the subset that figures come from."""

    def __post_init__(self) -> None:
        width_s = self.point_half_width_s
        require(0 <= width_s < math.inf, f"data.point_half_width_s must be at least 0, found {width_s}")
