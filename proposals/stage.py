"""Find scored proposals with the run's head, and suppress those that overlap, for every video
outside the training subset. The key `head` names the network (`proposals.heads`)."""

from __future__ import annotations

from dataclasses import replace

from proposals.heads import head_of
from runtime.sections import RunConfig
from runtime.stage_spec import StageRun, StageSpec


def stage_spec(config: RunConfig) -> StageSpec:
    """Return the stage with what the run's head reads."""
    head = head_of(config)
    return replace(SPEC, sections=(*SPEC.sections, *head.settings), reads=(*SPEC.reads, head.stage))


def work(run: StageRun) -> None:
    """Do the stage's work; torch is imported only here, so that a finished stage is skipped
    quickly."""
    from proposals.propose import propose

    propose(run)


SPEC = StageSpec(
    name="proposals",
    command="proposals",
    sections=("data",),
    reads=("features",),
    work=work,
    description=__doc__ or "",
    configured=stage_spec,
    per_video=True,
    results=("proposals.h5",),
)
