"""Annotations, videos and predictions as small typed records; the time grid; readers and mini
data sets."""

import runpy
import sys
from pathlib import Path

if sys.argv[:1] == ["-m"]:  # a command is looked for, and a file of the user may hide our packages
    runpy.run_path(f"{Path(__file__).parents[1]}/runtime/hidden_packages.py")
