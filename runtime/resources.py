"""Peak memory and the versions that a result was made with."""

from __future__ import annotations

import platform
import resource
import sys
from importlib import metadata

RECORDED_PACKAGES = ("tadaloc", "torch", "numpy", "h5py", "av", "pandas", "scipy")


def peak_memory_mb() -> float:
    """Return the largest resident memory of this process or of one finished child, in MB (10^6
    bytes)."""
    # Linux counts kilobytes, macOS bytes.
    unit = 1.0 if sys.platform == "darwin" else 1024.0
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
    return round(max(own, children) * unit / 1e6, 1)


def versions() -> dict[str, str]:
    """Return the versions of Python, the platform and the packages that shape results."""
    found = {"python": platform.python_version(), "platform": platform.platform()}
    for name in RECORDED_PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found
