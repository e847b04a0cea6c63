"""Pre-train the video model without labels on still pictures of one's own videos (MoSI, CVPR 2021).

A window slides over a picture, and the network names how it moved. `finetune.init_weights=pretrain`
starts the finetuning of the same run from the result. The pictures are single frames of the data
set's videos, or all images and videos below `pretrain.pictures`."""

from __future__ import annotations

from pathlib import Path

from runtime.fingerprint import listing_state
from runtime.sections import RunConfig
from runtime.stage_spec import StageRun, StageSpec


def pictures_folder(config: RunConfig) -> Path:
    """Return the folder whose images and videos are pre-trained on."""
    return Path(config.pretrain.pictures or Path(config.data.root) / config.data.videos)


def _inputs(config: RunConfig) -> dict[str, str]:
    from classification.pretrain.pictures import find_pictures

    return {"pictures": listing_state(find_pictures(pictures_folder(config)))}


def work(run: StageRun) -> None:
    """Do the stage's work; torch is imported only here, so that a finished stage is skipped
    quickly."""
    from classification.pretrain.train import pretrain

    pretrain(run)


SPEC = StageSpec(
    name="pretrain",
    command="classification.pretrain",
    work=work,
    description=__doc__ or "",
    sections=("seed", "model", "data.videos", "data.mini", "pretrain"),
    inputs=_inputs,
    results=("weights.pt",),
    weights="weights.pt",
)
