"""Learning rate by iteration: half-period cosine with linear warm-up.

Source: `tadaconv/utils/lr_policy.py` of the original. Its warm-up aims at the value that the cosine
has at the end of the warm-up, not at the base rate.
"""

from __future__ import annotations

import math


def cosine_learning_rate(
    epoch: float, *, base: float, epochs: float, warmup_epochs: float, warmup_start: float
) -> float:
    """Return the learning rate at a fractional epoch.

    Args:
        epoch: completed steps / steps per epoch, 0 <= epoch <= epochs.
        base: peak of the cosine, at epoch 0.
        epochs: length of the half period.
        warmup_epochs: 0 turns warm-up off.
        warmup_start: rate at epoch 0 of the warm-up.

    >>> cosine_learning_rate(5, base=1.0, epochs=10, warmup_epochs=0, warmup_start=0)
    0.5
    """
    if epoch >= warmup_epochs:
        return base * 0.5 * (1.0 + math.cos(math.pi * epoch / epochs))
    target = base * 0.5 * (1.0 + math.cos(math.pi * warmup_epochs / epochs))
    return warmup_start + (target - warmup_start) * epoch / warmup_epochs
