"""Official-parity metrics of temporal action localization: mAP of detections, AR@AN of proposals.

Imports neither torch nor a stage. `python -m evaluation --help` shows the command.
"""

from __future__ import annotations

import runpy
import sys
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if sys.argv[:1] == ["-m"]:  # a command is looked for, and a file of the user may hide our packages
    runpy.run_path(f"{Path(__file__).parents[1]}/runtime/hidden_packages.py")

if TYPE_CHECKING:
    from evaluation.frames import evaluate_detections, evaluate_proposals, recall_at_top_k
    from evaluation.metrics.average_recall import ProposalMetrics
    from evaluation.metrics.detection import DetectionMetrics

__all__ = [
    "DetectionMetrics",
    "ProposalMetrics",
    "evaluate_detections",
    "evaluate_proposals",
    "recall_at_top_k",
]

_MODULES = {
    "DetectionMetrics": "evaluation.metrics.detection",
    "ProposalMetrics": "evaluation.metrics.average_recall",
    "evaluate_detections": "evaluation.frames",
    "evaluate_proposals": "evaluation.frames",
    "recall_at_top_k": "evaluation.frames",
}


def __getattr__(name: str) -> Any:
    """Import public names on first use, so that `--help` need not wait for them (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module 'evaluation' has no attribute '{name}'")
    return getattr(import_module(_MODULES[name]), name)
