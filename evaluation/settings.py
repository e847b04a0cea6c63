"""Settings of the evaluation of a run."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.sections import section


@section("evaluation")
@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What the last stage computes and draws."""

    protocol: str = ""
    """Name in `evaluation.files.protocols.PROTOCOLS`: hacs, activitynet, thumos, ek100; empty: that
    of `data.format`, which is ek100 and activitynet where the format is, else hacs."""
    tiou: str = ""
    """Thresholds of mAP as A:STEP:B, e.g. 0.3:0.1:0.7; empty: the protocol's."""
    timelines: int = 4
    """Videos whose ground truth and detections are drawn as a PNG."""

    def __post_init__(self) -> None:
        # They load the readers of all formats, for this one check.
        from evaluation.files.protocols import HACS, protocol_named

        protocol_named(self.protocol or HACS.name, self.tiou)
