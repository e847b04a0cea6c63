"""`classification.source=auto`: the source that suits the training annotations, with its reason.

    the head gives labels itself          head
    verbs and nouns                       features: the finetuned head on each proposal
    most videos show one class            proposals: one label for all proposals of a video
    videos show several classes           trained: a classifier of segments and background

On imported features (`features.store`) or those of a frozen network (`finetune.epochs=0`) there is
no finetuned head, and `trained` serves all data; where most videos show one class, with
`classification.video_prior`. What was chosen stands in the stage's folder, for detection and
bundles. Measured (one seed of each, average mAP): 1,000 recordings of three spoken words each 89.1
with `trained`, 80.7 with `features`; mini-HACS, one class a video, 71.6 with either `proposals` or
`trained`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from classification.source_table import AUTO, SOURCES, SourceKind, has_trained_head
from proposals.heads import head_of
from runtime.atomic import write_json
from runtime.brief import in_brief
from runtime.errors import InputError
from runtime.sections import RunConfig
from runtime.stage import StageRun
from video_datasets.dataset import VideoDataset

CHOICE_NAME = "source.json"
"""In the stage's folder."""
SEVERAL_SHARE = 0.1
"""From this share of training videos with several classes on, proposals are labelled by themselves:
a video-level label is wrong for most proposals of such a video, and 9 of 10 right ones weigh more
below it."""
PRIOR = 2.0
"""`classification.video_prior` of `trained` where most videos show one class."""


@dataclass(frozen=True)
class Choice:
    """A source, its prior, and why."""

    source: str
    video_prior: float
    reason: str


def choose(dataset: VideoDataset, config: RunConfig) -> Choice:
    """Choose the source that suits the training annotations."""
    if head_of(config).tells_classes(config):
        return Choice("head", 0.0, f"{head_of(config).title} gives labels itself")
    untrained = not has_trained_head(config)
    if set(dataset.heads) != {"action"}:
        source = "trained" if untrained else "features"
        return Choice(
            source, config.classification.video_prior, f"{' and '.join(dataset.heads)} of each proposal"
        )
    counts = [
        len({segment.label for segment in video.segments})
        for video in dataset.subset(config.data.training_subset)
        if video.segments
    ]
    several = sum(count > 1 for count in counts)
    reason = f"{several} of {len(counts)} training videos show more than one class"
    if several >= SEVERAL_SHARE * len(counts):
        return Choice("trained", config.classification.video_prior, reason)
    if untrained:
        return Choice("trained", config.classification.video_prior or PRIOR, reason)
    return Choice("proposals", 0.0, reason)


def settled_source(run: StageRun, dataset: VideoDataset) -> tuple[SourceKind, RunConfig]:
    """Return the run's source, and the configuration with what `auto` has chosen, which is said
    and kept."""
    if run.config.classification.source != AUTO:
        return SOURCES[run.config.classification.source], run.config
    choice = choose(dataset, run.config)
    line = f"classification: source=auto chooses source={choice.source} video_prior={choice.video_prior:g}"
    print(in_brief(f"{line}: {choice.reason}"), file=sys.stderr)
    write_json(run.folder / CHOICE_NAME, vars(choice))
    return SOURCES[choice.source], _with(run.config, vars(choice))


def decided_config(config: RunConfig, stage_folder: Path) -> RunConfig:
    """Return a run's configuration with the source that `auto` has chosen earlier.

    Args:
        config: of the run.
        stage_folder: of its classification.

    Raises:
        InputError: if `auto` has not been decided yet.
    """
    if config.classification.source != AUTO:
        return config
    path = stage_folder / CHOICE_NAME
    if not path.is_file():
        raise InputError(
            f"{stage_folder}: classification.source=auto is decided by the stage; run `python -m classification` "
            f"first, or name a source"
        )
    return _with(config, json.loads(path.read_text(encoding="utf-8")))


def settled_config(config: RunConfig, stage_folder: Path) -> RunConfig:
    """Return a run's configuration for detection: with the source that looks at features alone.

    Args:
        config: of the run.
        stage_folder: of its classification.

    Raises:
        InputError: if `auto` has not been decided yet.
    """
    config = decided_config(config, stage_folder)
    kind = SOURCES[config.classification.source]
    settings = replace(config.classification, source=kind.detects_as, class_scores=None)
    return config.changed(classification=settings)


def _with(config: RunConfig, choice: Mapping[str, Any]) -> RunConfig:
    chosen = {key: choice[key] for key in ("source", "video_prior")}
    return config.changed(classification=replace(config.classification, **chosen))
