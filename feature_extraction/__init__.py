"""Features of whole videos by sliding clips, and the store that keeps them with their time grid."""

from feature_extraction.store import FeatureStore

__all__ = ["FeatureStore"]
