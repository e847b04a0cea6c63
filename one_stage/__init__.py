"""One-stage heads: ActionFormer, TemporalMaxer and TriDet, which give labels and segments at
once."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if sys.argv[:1] == ["-m"]:  # a command is looked for, and a file of the user may hide our packages
    runpy.run_path(f"{Path(__file__).parents[1]}/runtime/hidden_packages.py")

if TYPE_CHECKING:
    from one_stage.released import from_released

__all__ = ["from_released"]


def __getattr__(name: str) -> Any:
    # Lazy: settings need no torch.
    if name == "from_released":
        from one_stage.released import from_released

        return from_released
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
