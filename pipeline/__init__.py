"""Complete runs and trained ones: all stages in order, detection of new videos, bundles, reports.

from pipeline import Detector

found = Detector("runs/hacs_mini").detect("my_video.mp4").best(top=20, min_score=0.2)
for label, (start_s, end_s), score in zip(found.labels, found.segments_s, found.scores):
    print(f"{start_s:7.2f} - {end_s:7.2f} s  {label}  {score:.2f}")
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.detector import Detector, VideoDetections

__all__ = ["Detector", "VideoDetections"]

if sys.argv[:1] == ["-m"]:  # a command is looked for, and a file of the user may hide our packages
    runpy.run_path(f"{Path(__file__).parents[1]}/runtime/hidden_packages.py")


def __getattr__(name: str) -> Any:
    # Lazy: the commands of this package show their help without torch.
    if name in __all__:
        from pipeline import detector

        return getattr(detector, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
