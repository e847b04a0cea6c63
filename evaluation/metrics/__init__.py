"""The arithmetic of the figures."""
