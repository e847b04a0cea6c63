"""Features of whole videos by sliding clips, and the store that keeps them with their time grid."""

import runpy
import sys
from pathlib import Path

if sys.argv[:1] == ["-m"]:  # a command is looked for, and a file of the user may hide our packages
    runpy.run_path(f"{Path(__file__).parents[1]}/runtime/hidden_packages.py")

from feature_extraction.store import FeatureStore

__all__ = ["FeatureStore"]
