"""The stage `features`: sliding-window clip features of every annotated video, or a finished
store instead."""

from __future__ import annotations

from dataclasses import replace

from feature_extraction.store import MERGED_NAME
from runtime.sections import RunConfig
from runtime.stage_spec import StageRun, StageSpec
from video_datasets.dataset import annotations_state, dataset_inputs


def stage_spec(config: RunConfig) -> StageSpec:
    """Return the stage as the config makes it: with `features.store` it reads that file or pack, and
    no finetuning."""
    if config.features.store is None:
        return SPEC
    from feature_extraction.imported import joined_places, place_state, store_place

    inputs = {
        "annotations": annotations_state(config.data),
        "store": place_state(store_place(config.features)),
        **{f"joined.{i}": place_state(place) for i, place in enumerate(joined_places(config.features))},
    }
    return replace(SPEC, reads=(), inputs=lambda _: inputs, stores=(MERGED_NAME, f"{MERGED_NAME}/*"))


def work(run: StageRun) -> None:
    """Do the stage's work; torch is imported only here, so that a finished stage is skipped
    quickly."""
    if run.config.features.store is not None:
        from feature_extraction.imported import use_store

        use_store(run)
    else:
        from feature_extraction.extract import extract

        extract(run)


SPEC = StageSpec(
    name="features",
    command="feature_extraction",
    work=work,
    configured=stage_spec,
    per_video=True,
    sections=("data", "grid", "features"),
    reads=("finetune",),
    inputs=lambda config: dataset_inputs(config.data),
    stores=(MERGED_NAME,),
)
