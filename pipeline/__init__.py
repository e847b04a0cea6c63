"""Complete runs and trained ones: all stages in order, detection of new videos, bundles, reports.

from pipeline import Detector

found = Detector("runs/hacs_mini").detect("my_video.mp4").best(top=20, min_score=0.2)
for label, (start_s, end_s), score in zip(found.labels, found.segments_s, found.scores):
    print(f"{start_s:7.2f} - {end_s:7.2f} s  {label}  {score:.2f}")
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pipeline.detector import Detector, VideoDetections

__all__ = ["Detector", "VideoDetections"]


PACKAGES = (
    "tadaconv",
    "runtime",
    "video_datasets",
    "evaluation",
    "training",
    "feature_extraction",
    "bmn",
    "one_stage",
    "proposals",
    "classification",
)


def _refuse_hidden_packages() -> None:
    """Stop a command one of whose packages is hidden by a file of the user.

    `python -m` looks in the working directory first, so that a `runtime.py` there would be taken
    for our package.
    """
    ours, here = Path(__file__).resolve().parents[1], Path.cwd()
    if (
        sys.argv[:1] != ["-m"] or here == ours or str(here) not in sys.path
    ):  # "-m": as long as modules are searched
        return
    for package in PACKAGES:
        for file in (here / f"{package}.py", here / package / "__init__.py"):
            if file.is_file():
                print(
                    f"error: {file} hides the package '{package}' of TAdaLoc; start in another folder, or with `python "
                    f"-P -m ...`",
                    file=sys.stderr,
                )
                raise SystemExit(2)


_refuse_hidden_packages()


def __getattr__(name: str) -> Any:
    # Lazy: the commands of this package show their help without torch.
    if name in __all__:
        from pipeline import detector

        return getattr(detector, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
