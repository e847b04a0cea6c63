"""Boundary-Matching Network: model, labels, losses, training."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if sys.argv[:1] == ["-m"]:  # a command is looked for, and a file of the user may hide our packages
    runpy.run_path(f"{Path(__file__).parents[1]}/runtime/hidden_packages.py")

from bmn.labels import boundary_labels, validity_mask

if TYPE_CHECKING:
    from bmn.losses import LossConstants, bmn_loss
    from bmn.model import BMN, load_original_weights

__all__ = ["BMN", "LossConstants", "bmn_loss", "boundary_labels", "load_original_weights", "validity_mask"]


def __getattr__(name: str) -> Any:
    # Lazy: labels and masks need no torch, and `python -m bmn --help` should not wait for it.
    if name in ("BMN", "load_original_weights"):
        from bmn import model

        return getattr(model, name)
    if name in ("LossConstants", "bmn_loss"):
        from bmn import losses

        return getattr(losses, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
