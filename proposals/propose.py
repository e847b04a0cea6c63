"""Proposals for every video that the head was not trained on (stage `proposals`)."""

from __future__ import annotations

from dataclasses import dataclass

from feature_extraction import FeatureStore
from feature_extraction.checks import check_store, features_problem
from proposals.heads import TrainedHead, head_of
from proposals.video_loop import finish_videos
from runtime.errors import InputError
from runtime.sections import RunConfig
from runtime.stage import StageRun
from training.device import prepare_device
from video_datasets.dataset import load_dataset
from video_datasets.predictions import Predictions, concatenate, write_predictions

OUTPUT_NAME = "proposals.h5"
PROPOSALS = "proposals"
"""What is found in a video."""


@dataclass(frozen=True)
class ProposeVideo:
    """From the features of a video to its proposals: candidates, then suppression.

    Attributes:
        store: features.
        head: trained.
        config: of the run.
    """

    store: FeatureStore
    head: TrainedHead
    config: RunConfig

    def __call__(self, video_id: str) -> dict[str, Predictions]:
        """Return the proposals of a video, by score, descending, under the name "proposals".

        Raises:
            InputError: if its features are missing or on another grid.
        """
        problem = features_problem(self.store, video_id, self.head.grid)
        if problem:
            raise InputError(problem)
        kept = head_of(self.config).suppress(self.head.candidates(self.store, video_id), self.config)
        labels = self.head.labels
        return {PROPOSALS: Predictions.of_video(video_id, kept.segments_s, kept.scores, kept.classes, labels)}


def propose(run: StageRun) -> None:
    """Run the head over the features of all videos outside the training subset; leaves
    proposals.h5.

    Each video is worked on by itself, and a cut-off stage goes on with those that are not finished.
    (The TAdaConv code finishes a video when the windows of the next one begin, and loses
    videos whose windows do not follow one another.)
    """
    device = prepare_device(run.config.runtime)
    store = FeatureStore(run.upstream("features"))
    entry = head_of(run.config)
    head = entry.load(run.upstream(entry.stage), run.config, device)
    check_store(store, head.grid)
    dataset = load_dataset(run.config.data, for_training=False)
    videos = [v.video_id for v in dataset.videos.values() if v.subset != run.config.data.training_subset]
    items = {video_id: video_id for video_id in videos}
    with finish_videos(run, items, ProposeVideo(store, head, run.config)) as found:
        parts = [found.get(name, {PROPOSALS: Predictions.of_video(name)})[PROPOSALS] for name in videos]
        proposals = concatenate(parts)
        write_predictions(run.folder / OUTPUT_NAME, proposals)
    run.counts.update({"videos": len(videos), "proposals": len(proposals)})
    run.summary = f"{len(proposals)} proposals in {len(videos)} videos"
