"""Annotations, videos and predictions as small typed records; the time grid; readers and mini
data sets."""
