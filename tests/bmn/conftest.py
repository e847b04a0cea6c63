"""The slow reference of the sampling, used by more than one test file."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest


@pytest.fixture(scope="session")
def dense_mask() -> Callable[..., np.ndarray]:
    """Function (T, D, N, P, ratio) -> sampling mask (tau, n, d, t), one point after the other."""
    return _dense_mask


def _dense_mask(tscale: int, dscale: int, num_samples: int, per_bin: int, ratio: float) -> np.ndarray:
    mask = np.zeros((tscale, num_samples, dscale, tscale))
    for d in range(dscale):
        for t in range(tscale - d):
            first, last = t - ratio * (d + 1), t + d + ratio * (d + 1)
            step = (last - first) / (num_samples * per_bin - 1)
            for k in range(num_samples * per_bin):
                fraction, whole = math.modf(first + step * k)
                for tau, weight in ((int(whole), 1 - fraction), (math.ceil(first + step * k), fraction)):
                    if 0 <= tau < tscale:
                        mask[tau, k // per_bin, d, t] += weight / per_bin
    return mask
