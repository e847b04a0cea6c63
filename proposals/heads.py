"""The table of heads: networks that find segments in the features of a video.

A new head is a package that trains it (a stage of its own) and an entry here. Nothing else knows
heads by name: stages, detection, bundles and reports ask the entry. This file loads no arithmetic
of any head.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from proposals.suppression import suppress_by_class, suppress_by_width
from runtime.errors import InputError
from runtime.sections import RunConfig
from video_datasets.predictions import Candidates
from video_datasets.time_grid import TimeGrid

if TYPE_CHECKING:
    import torch

    from feature_extraction import FeatureStore


class TrainedHead(Protocol):
    """A head with its weights, on a device. Pickles, so that other processes can have it."""

    @property
    def grid(self) -> TimeGrid:
        """Time grid of the features that it takes."""

    @property
    def in_channels(self) -> int:
        """Channels of the features that it takes."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Table of labels of its candidates, as submissions name them; empty for segments of any
        action."""

    @property
    def looks_at(self) -> str:
        """What it sees at a time, in words, such as "windows of 53.3 s"."""

    def candidates(self, store: FeatureStore, video_id: str) -> Candidates:
        """Find the candidates of a video; the store has at least one feature of it, on the
        head's grid."""


class HeadReach(Protocol):
    """What a head can say of annotated segments at best, for the report."""

    @property
    def names(self) -> tuple[str, ...]:
        """Name what `best` returns; none for a head that can say any segment."""

    def best(
        self, segments_s: NDArray[np.float64], duration_s: float, num_features: int
    ) -> tuple[NDArray[np.float64], ...]:
        """Return the highest tIoU (n,) of segments (n, 2) of one video, for each of `names`."""

    def lengths(self, segments_s: NDArray[np.float64], duration_s: float) -> NDArray[np.float64]:
        """Return the length (n,) of segments of one video in units of the head's own."""

    def remark(self, lengths: NDArray[np.float64]) -> str:
        """Say what the lengths of all annotations mean for the head."""


class AnySegment:
    """Reach of a head that can say any segment, such as one that regresses offsets."""

    names: tuple[str, ...] = ()

    def best(
        self, segments_s: NDArray[np.float64], duration_s: float, num_features: int
    ) -> tuple[NDArray[np.float64], ...]:
        """Return nothing: there is no limit."""
        return ()

    def lengths(self, segments_s: NDArray[np.float64], duration_s: float) -> NDArray[np.float64]:
        """Return the lengths in seconds, (n,)."""
        lengths: NDArray[np.float64] = np.diff(segments_s)[:, 0]
        return lengths

    def remark(self, lengths: NDArray[np.float64]) -> str:
        """Say that there is no limit."""
        return f"The head can say any segment; half of the {len(lengths)} annotations last {np.median(lengths):.1f} s."


@dataclass(frozen=True, kw_only=True)
class Head:
    """How a head trains, loads, and suppresses its candidates.

    Attributes:
        name: value of the key `head`.
        title: for people.
        stage: of its training: folder in the run, in which it leaves `weights`.
        command: the words after `python -m` that train it.
        section: its settings.
        load: reads what the training left in the stage's folder, onto a device (`torch.device`).
        suppress: keeps the best candidates of a video, by score, descending.
        settings: sections of the configuration that `load` and `suppress` read.
        tells_classes: whether its candidates have labels, so that nothing else needs to classify
            them, from the configuration of a run.
        one_task: whether those are verbs alone, or nouns alone, likewise.
        reach: what it can say at best, from the configuration of a run.
        finer: setting of its own that lets it say more, in words.
        weights: file of its weights, a `training.checkpoint`: "model" (a state dict), "config" (the
            run's), and what else it takes to load it, as plain values that JSON can hold, so that
            bundles can carry it.
    """

    name: str
    title: str
    stage: str
    command: str
    section: str
    load: Callable[[Path, RunConfig, torch.device], TrainedHead]
    suppress: Callable[[Candidates, RunConfig], Candidates]
    settings: tuple[str, ...]
    tells_classes: Callable[[RunConfig], bool] = lambda config: False
    one_task: Callable[[RunConfig], bool] = lambda config: False
    reach: Callable[[RunConfig], HeadReach] = lambda config: AnySegment()
    finer: str = ""
    weights: str = "weights.pt"


def _load_bmn(folder: Path, config: RunConfig, device: torch.device) -> TrainedHead:
    from bmn.head import load_head

    return load_head(folder, config.proposals, device)


def _bmn_reach(config: RunConfig) -> HeadReach:
    from bmn.reach import BmnReach

    return BmnReach(config)


BMN = Head(
    name="bmn",
    title="BMN",
    stage="bmn",
    command="bmn",
    section="bmn",
    load=_load_bmn,
    suppress=suppress_by_width,
    settings=("proposals",),
    reach=_bmn_reach,
    finer="larger bmn.tscale",
)


def _load_one_stage(folder: Path, config: RunConfig, device: torch.device) -> TrainedHead:
    from one_stage.head import load_head

    return load_head(folder, config.one_stage, device)


def _one_stage(name: str, title: str) -> Head:
    return Head(
        name=name,
        title=title,
        stage="one_stage",
        command="one_stage",
        section="one_stage",
        load=_load_one_stage,
        suppress=suppress_by_class,
        settings=("one_stage",),
        tells_classes=lambda config: bool(config.one_stage.classes != "none"),
        one_task=lambda config: config.one_stage.classes in ("verb", "noun"),
    )


ACTIONFORMER = _one_stage("actionformer", "ActionFormer")
TEMPORALMAXER = _one_stage("temporalmaxer", "TemporalMaxer")
TRIDET = _one_stage("tridet", "TriDet")

HEADS: dict[str, Head] = {entry.name: entry for entry in (BMN, ACTIONFORMER, TEMPORALMAXER, TRIDET)}


def head_of(config: RunConfig) -> Head:
    """Return the head of a run.

    Raises:
        InputError: if the key `head` names none.
    """
    if config.head not in HEADS:
        close = difflib.get_close_matches(config.head, HEADS, n=1)
        hint = f"; closest: {close[0]}" if close else ""
        raise InputError(f"head must be one of {', '.join(HEADS)}, found '{config.head}'{hint}")
    return HEADS[config.head]
