"""Mini data sets, rendered on the spot, that look to the pipeline exactly like the real ones."""

from video_datasets.mini.build import ensure_mini
from video_datasets.mini.plan import MiniSize

__all__ = ["MiniSize", "ensure_mini"]
