"""`classification.source=auto`: the source that suits the training annotations, with its reason.

    the head gives labels itself          head
    most videos show one class            trained, with `classification.video_prior`
    all others, verbs and nouns           trained: a classifier of segments and background

What was chosen stands in the stage's folder, for detection and bundles. Measured, average mAP with
`trained` and with the best that the finetuned head gives from stored features: 1,000 recordings of
three spoken words each 91.3 and 84.9 (one seed, `features`), mini-EK100 87.2 and 81.2 (actions, mean
of three seeds, `features`), mini-HACS, one class a video, 85.2 and 83.9 (mean of three, `proposals`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from classification.source_table import AUTO, SOURCES, TRAINED, SourceKind, head_labels
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
a video's class is wrong for most proposals of such a video, and 9 of 10 right ones weigh more below
it."""
PRIOR = 2.0
"""`classification.video_prior` where most videos show one class."""


@dataclass(frozen=True)
class Choice:
    """A source, its prior, and why."""

    source: str
    video_prior: float
    reason: str


def choose(dataset: VideoDataset, config: RunConfig) -> Choice:
    """Choose the source that suits the training annotations."""
    if head_labels(config):
        return Choice("head", 0.0, f"{head_of(config).title} gives labels itself")
    prior = config.classification.video_prior
    if set(dataset.heads) != {"action"}:
        return Choice(TRAINED, prior, f"{' and '.join(dataset.heads)} of each proposal")
    counts = [
        len({segment.label for segment in video.segments})
        for video in dataset.subset(config.data.training_subset)
        if video.segments
    ]
    several = sum(count > 1 for count in counts)
    reason = f"{several} of {len(counts)} training videos show more than one class"
    if several < SEVERAL_SHARE * len(counts):
        prior = prior or PRIOR
    return Choice(TRAINED, prior, reason)


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
