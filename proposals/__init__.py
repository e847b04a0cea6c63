"""Proposals: the table of heads, suppression, and the stage. The arithmetic needs numpy only."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from proposals.gaussian_nms import gaussian_soft_nms
from proposals.soft_nms import soft_nms

if sys.argv[:1] == ["-m"]:  # a command is looked for, and a file of the user may hide our packages
    runpy.run_path(f"{Path(__file__).parents[1]}/runtime/hidden_packages.py")

__all__ = ["gaussian_soft_nms", "soft_nms"]
