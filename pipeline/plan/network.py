"""The network that a run would start from, and what its features would be: does the weights file
fit?"""

from __future__ import annotations

import contextlib
import io
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.sections import RunConfig
from video_datasets.dataset import VideoDataset

if TYPE_CHECKING:
    from tadaconv import VideoNetwork


def start_of_run(dataset: VideoDataset, config: RunConfig) -> tuple[VideoNetwork | None, int, list[str]]:
    """Return the network as finetuning starts it, the channels of the features, and what was said
    on the way.

    Features that are imported need no network: it is None then.

    Raises:
        InputError: if there is no such network, or the weights, clips or imported features do not
            fit.
        FileNotFoundError: if the weights are not there.
    """
    from classification.finetune.stage import OF_PRETRAINING
    from classification.finetune.train import initial_model, rate_factors, refuse_unfit_clips
    from feature_extraction import FeatureStore
    from feature_extraction.checks import check_store

    if config.features.store is not None:
        if config.features.joined:
            paths = [config.features.store, *config.features.joined]
            channels = sum(FeatureStore(Path(path)).info(_first(path)).shape[1] for path in paths)
            return None, channels, []
        return None, check_store(FeatureStore(Path(config.features.store)), config.grid), []
    if config.finetune.init_weights == OF_PRETRAINING:
        config = config.changed(finetune=replace(config.finetune, init_weights=None))  # of the same shape
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        model, _ = initial_model(config, dataset.heads)
        refuse_unfit_clips(model, config)
        rate_factors(model, config)
    crops = 3 if config.features.crops == "three" else 1
    return model, int(model.num_features) * crops, said.getvalue().splitlines()


def _first(path: str) -> str:
    from feature_extraction import FeatureStore

    return next(iter(FeatureStore(Path(path))))
