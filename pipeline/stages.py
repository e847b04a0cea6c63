"""The table of stages: their order, what each reads, and the command that runs it.

    finetune -> features -> (the head's training) -> proposals -> classification -> evaluation

A new stage is a `StageSpec` in a package of its own and a line here. Importing this module also
loads the settings of every package, so that configurations of whole runs can be read; commands do
that, being the top of the house wherever their file lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bmn.settings import BmnConfig, ProposalsConfig
from bmn.stage import SPEC as BMN
from classification.finetune.settings import FinetuneConfig
from classification.finetune.stage import SPEC as FINETUNE
from classification.pretrain.settings import PretrainConfig
from classification.pretrain.stage import SPEC as PRETRAIN
from classification.settings import ClassificationConfig
from classification.stage import SPEC as CLASSIFICATION
from evaluation.settings import EvaluationConfig
from evaluation.stage import SPEC as EVALUATION
from feature_extraction.settings import FeaturesConfig
from feature_extraction.stage import SPEC as FEATURES
from one_stage.settings import OneStageConfig
from one_stage.stage import SPEC as ONE_STAGE
from proposals.stage import SPEC as PROPOSALS
from runtime.command import stage_command
from runtime.config import load_config
from runtime.record import has_record
from runtime.sections import RunConfig, arrange
from runtime.settings import RuntimeConfig
from runtime.stage import stands_complete
from runtime.stage_spec import StageSpec
from video_datasets.settings import DataConfig
from video_datasets.time_grid import TimeGrid

SETTINGS = (
    DataConfig,
    TimeGrid,
    PretrainConfig,
    FinetuneConfig,
    FeaturesConfig,
    BmnConfig,
    OneStageConfig,
    ProposalsConfig,
    ClassificationConfig,
    EvaluationConfig,
    RuntimeConfig,
)
"""Sections of every configuration, in order; they register themselves when they are loaded."""

arrange(SETTINGS)

__all__ = ["STAGES", "commands", "is_complete", "load_config", "stage_main", "stages_of"]

STAGES: dict[str, StageSpec] = {
    spec.name: spec
    for spec in (PRETRAIN, FINETUNE, FEATURES, BMN, ONE_STAGE, PROPOSALS, CLASSIFICATION, EVALUATION)
}


def stages_of(config: RunConfig) -> list[StageSpec]:
    """Return the stages that a run needs, in order: those that are wanted, and all that they read.

    Imported features with imported class scores need no finetuned model, say, so it is left out.
    """
    specs = {name: spec.for_run(config) for name, spec in STAGES.items()}
    needed: set[str] = set()
    waiting = [name for name, spec in specs.items() if spec.wanted(config)]
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += specs[name].reads
    return [spec for name, spec in specs.items() if name in needed]


def commands() -> dict[str, str]:
    """Return the command of every stage, for messages."""
    return {name: spec.command for name, spec in STAGES.items()}


def is_complete(spec: StageSpec, config: RunConfig) -> bool:
    """Whether a stage, and before it what it reads, is done from this very configuration.

    Raises:
        InputError: if it is done, but its inputs have changed.
    """
    begun = all(has_record(Path(config.run_dir) / name) for name in spec.reads)
    return begun and stands_complete(spec, config, commands())


def stage_main(name: str, argv: Sequence[str] | None = None) -> int:
    """Run the command of a stage and return its exit code."""
    return stage_command(STAGES[name], STAGES, argv)
