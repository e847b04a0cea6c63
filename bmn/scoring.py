"""The score of a proposal."""

from __future__ import annotations

import numpy as np


def proposal_scores(
    cls_score: np.ndarray, reg_score: np.ndarray, *, cls_power: float = 1.2, reg_power: float = 1.0
) -> np.ndarray:
    """Merge both confidences of BMN: cls ** cls_power * reg ** reg_power.

    Source: score type "cr" of the TAdaConv code with the powers of its EPIC-KITCHENS-100 config,
    which are also those of Qing et al. 2021c on HACS. Start and end probabilities do not enter; its
    types "se" and "secr", in which they should, multiply the start's by itself and are not offered
    here.

    Args:
        cls_score: (n,) IoU by classification, in [0, 1].
        reg_score: (n,) IoU by regression, in [0, 1].
        cls_power: exponent of the first.
        reg_power: exponent of the second.

    Returns:
        (n,) float64 scores in [0, 1].

    >>> proposal_scores(np.array([0.5, 1.0]), np.array([0.5, 0.8])).round(3)
    array([0.218, 0.8  ])
    """
    return np.power(cls_score, cls_power, dtype=np.float64) * np.power(reg_score, reg_power, dtype=np.float64)
