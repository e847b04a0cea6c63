"""From the outputs of a head to scored temporal proposals. The arithmetic needs numpy only."""

from __future__ import annotations

from proposals.candidates import Candidates, candidate_pairs
from proposals.from_maps import ProposalConstants, proposals_from_maps
from proposals.gaussian_nms import gaussian_soft_nms
from proposals.scoring import proposal_scores
from proposals.soft_nms import soft_nms
from proposals.window_fusion import WindowMaps, fuse_windows

__all__ = [
    "Candidates",
    "ProposalConstants",
    "WindowMaps",
    "candidate_pairs",
    "fuse_windows",
    "gaussian_soft_nms",
    "proposal_scores",
    "proposals_from_maps",
    "soft_nms",
]
