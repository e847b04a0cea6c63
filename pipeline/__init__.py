"""The top floor, the only one that knows all stages: detect a new video, bundle a run, report on a run.

from pipeline import Detector

found = Detector("runs/hacs_mini").detect("my_video.mp4").best(top=20, min_score=0.2)
for label, (start_s, end_s), score in zip(found.labels, found.segments_s, found.scores):
    print(f"{start_s:7.2f} - {end_s:7.2f} s  {label}  {score:.2f}")
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.detector import Detector, VideoDetections

__all__ = ["Detector", "VideoDetections"]


def __getattr__(name: str) -> Any:
    # Lazy: the commands of this package show their help without torch.
    if name in __all__:
        from pipeline import detector

        return getattr(detector, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
