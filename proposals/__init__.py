"""Proposals: the table of heads, suppression, and the stage. The arithmetic needs numpy only."""

from __future__ import annotations

from proposals.gaussian_nms import gaussian_soft_nms
from proposals.soft_nms import soft_nms

__all__ = ["gaussian_soft_nms", "soft_nms"]
