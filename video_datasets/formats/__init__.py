"""Annotation formats, one raw parser a file."""
