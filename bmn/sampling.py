"""Sampling weights of the boundary-matching layer, as one sparse matrix.

Axes: T start positions, D durations, N samples of a cell, P points of a sample. Cell (d, t) of the
map stands for the segment [t / T, (t + d + 1) / T] of the window.
"""

from __future__ import annotations

import math

import numpy as np
import scipy.sparse

from bmn.labels import validity_mask

MAX_POINTS = 40_000_000
"""Points of all cells of a map; building the weights takes some 100 bytes for each. 40 times the
paper's."""


def sampling_matrix(
    tscale: int, dscale: int, num_samples: int, num_samples_per_bin: int, boundary_ratio: float
) -> scipy.sparse.csr_array:
    """Build the weights with which each valid cell reads the T positions of a feature sequence.

    A cell of length L = d + 1 reads the range [t - ratio L, t + d + ratio L]. N * P points are
    spread evenly over it, both ends included; sample n is the mean of points n P ... n P + P - 1; a
    point is interpolated linearly between its two neighbouring positions.

    Source: BMN (Lin et al., ICCV 2019), Sec. 4.2; borders as in `bmn_head.py` of the TAdaConv code:
    the left neighbour is found by truncation toward zero, neighbours outside [0, T - 1] are
    dropped. So a point in (-1, 0) reads position 0 with the full weight, a point in (T - 1, T)
    reads T - 1 with the weight that is left, and points further out read nothing. (JJBOY's code
    extends by one cell more.)

    Args:
        tscale: positions T.
        dscale: durations D, at most T.
        num_samples: samples N of a cell.
        num_samples_per_bin: points P that are averaged into one sample.
        boundary_ratio: extension on both sides, as a fraction of the cell's length, >= 0.

    Returns:
        Float64 matrix (valid cells, T * N), rows in the order of `np.nonzero(validity_mask(T, D))`;
        column tau * N + n holds the weight of position tau in sample n. Indices are sorted,
        duplicates summed.

    Raises:
        ValueError: if D is not within 1..T, N or P is below 1, N * P below 2, D * T * N * P above
            `MAX_POINTS`, or the ratio is negative or not finite.
    """
    _check_sampling(tscale, dscale, num_samples, num_samples_per_bin, boundary_ratio)
    num_points = num_samples * num_samples_per_bin
    duration, start = np.nonzero(validity_mask(tscale, dscale))
    extension = (duration + 1.0) * boundary_ratio
    first = start - extension
    spacing = (start + duration + extension - first) / (num_points - 1.0)
    points = first[:, None] + spacing[:, None] * np.arange(num_points)  # cells x N*P

    left, right = np.trunc(points), np.ceil(points)
    fraction = points - left  # in (-1, 1): negative left of position 0, where left == right == 0
    position = np.stack([left, right]).astype(np.int64)
    weight = np.stack([1.0 - fraction, fraction]) / num_samples_per_bin
    cell = np.broadcast_to(np.arange(len(start))[:, None], position.shape)
    sample = np.broadcast_to(np.arange(num_points) // num_samples_per_bin, position.shape)

    inside = (position >= 0) & (position < tscale)
    column = position[inside] * num_samples + sample[inside]
    shape = (len(start), tscale * num_samples)
    matrix = scipy.sparse.coo_array((weight[inside], (cell[inside], column)), shape=shape).tocsr()
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix


def _check_sampling(
    tscale: int, dscale: int, num_samples: int, num_samples_per_bin: int, boundary_ratio: float
) -> None:
    if not 1 <= dscale <= tscale:
        raise ValueError(f"dscale must be within 1..tscale, got dscale={dscale}, tscale={tscale}")
    if num_samples < 1 or num_samples_per_bin < 1 or num_samples * num_samples_per_bin < 2:
        raise ValueError(
            "num_samples and num_samples_per_bin must be >= 1 and their product >= 2, got "
            f"num_samples={num_samples}, num_samples_per_bin={num_samples_per_bin}"
        )
    if not 0 <= boundary_ratio < math.inf:
        raise ValueError(f"boundary_ratio must be >= 0, got {boundary_ratio}")
    points = tscale * dscale * num_samples * num_samples_per_bin
    if points > MAX_POINTS:
        raise ValueError(
            f"tscale * dscale * num_samples * num_samples_per_bin must be at most {MAX_POINTS}, got {points}"
        )
