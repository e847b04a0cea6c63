"""Detect the actions of a new video with a trained run: the stages features, proposals,
classification in one go.

    video --child process--> grid frames --network--> features --head--> proposals --head on
    features--> detections

The frames are decoded once and stream through. What grows with the video are its features alone: of
an hour of EPIC-KITCHENS-100 at 2048 channels 220 MB, twice that for the moment in which they are
put together; the head then reads them from the disk, a few windows at a time. All settings are
those of the run, so a video of the run's own data set gets the detections that the stages have
given it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from classification.labels import readable_names
from classification.source_table import SOURCES, Parts
from feature_extraction import FeatureStore
from feature_extraction.recipe import LoadedRecipe, Recipe
from feature_extraction.store import video_file_name
from pipeline.trained_run import TrainedRun, open_run
from proposals.propose import PROPOSALS, ProposeVideo
from video_datasets.video.container import VideoError
from video_datasets.video.drive import drive_one

_VIDEO = "video"
"""Under this name features lie in the scratch folder, whatever the file is called."""


@dataclass(frozen=True, eq=False)
class VideoDetections:
    """The detections of one video, by score, descending.

    Attributes:
        path: of the video.
        duration_s: from its first shown frame to the end of the last one.
        segments_s: (n, 2) start and end in seconds from the first shown frame.
        labels: n class names; of a verb and a noun "verb noun".
        scores: (n,) probability of the class * score of the proposal.
        codes: n labels as submissions have them: the class name again, or "3,12" for a verb and a
            noun.
    """

    path: Path
    duration_s: float
    segments_s: NDArray[np.float64]
    labels: tuple[str, ...]
    scores: NDArray[np.float64]
    codes: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.scores)

    def best(self, top: int, min_score: float = 0.0) -> VideoDetections:
        """Keep the `top` best detections whose score is at least `min_score`."""
        count = min(top, int(np.count_nonzero(self.scores >= min_score)))
        return replace(
            self,
            segments_s=self.segments_s[:count],
            labels=self.labels[:count],
            scores=self.scores[:count],
            codes=self.codes[:count],
        )


class Detector:
    """A trained run, ready for videos.

    Args:
        run: run folder, or a file of `python -m pipeline.bundle`.
        device: "auto" (a GPU where there is one), "cpu", "cuda", "cuda:1".

    Raises:
        InputError: if the run is not complete, or there is no such device.

    Example:
        >>> found = Detector("runs/hacs_mini").detect("my_video.mp4")        # doctest: +SKIP
        >>> found.best(top=1).labels, found.segments_s.shape                 # doctest: +SKIP
        (('Moving closer',), (200, 2))
    """

    def __init__(self, run: str | Path, *, device: str = "auto") -> None:
        self.run: TrainedRun = open_run(run, device)
        config = self.run.config
        self._scratch = TemporaryDirectory(prefix="tadaloc-detect-")
        recipe = Recipe(
            model=self.run.backbone.name,
            weights=None,
            grid=config.grid,
            features=config.features,
            runtime=config.runtime,
            folder=Path(self._scratch.name),
        )
        self._recipe = LoadedRecipe(recipe, self.run.backbone, self.run.device)

    def detect(
        self, path: str | Path, *, progress: Callable[[float], object] = lambda decoded_s: None
    ) -> VideoDetections:
        """Detect the actions of a video.

        Args:
            path: video file of any length.
            progress: called with the seconds of video done, now and then.

        Returns:
            All detections that the run's settings keep (`classification.max_detections`); see
            `VideoDetections.best`.

        Raises:
            VideoError: if the video cannot be decoded, or is too short for the run's time grid.
        """
        path = Path(path)
        self._extract(path, progress)
        try:
            return self._detect(path)
        finally:
            (self._recipe.recipe.folder / video_file_name(_VIDEO)).unlink()

    def _extract(self, path: Path, progress: Callable[[float], object]) -> None:
        """Write the video's features to the scratch folder."""
        job = self._recipe.job(_VIDEO, path)
        time_limit_s = self.run.config.runtime.video_time_limit_s
        outcome = drive_one(job, self._recipe.writer(job), time_limit_s=time_limit_s, progress=progress)
        if outcome.reason:
            raise VideoError(path, outcome.reason)

    def _detect(self, path: Path) -> VideoDetections:
        store = FeatureStore(self._recipe.recipe.folder)
        run = self.run
        proposals = ProposeVideo(store, run.head, run.config)(_VIDEO)[PROPOSALS]
        parts = Parts(run.config, run.device, None, store, run.backbone, run.classifier)
        detections = SOURCES[run.config.classification.source].open(parts)(proposals)["action"]
        detections = detections.rows(np.argsort(-detections.score, kind="stable"))
        return VideoDetections(
            path,
            store.duration_s(_VIDEO),
            detections.segments_s,
            readable_names(detections, run.backbone.heads),
            detections.score,
            detections.label_names,
        )
