"""The sampling matrix against the original's masks and a plain double loop."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bmn.labels import validity_mask
from bmn.sampling import sampling_matrix


def as_mask(matrix: np.ndarray, tscale: int, dscale: int, num_samples: int) -> np.ndarray:
    mask = np.zeros((tscale, num_samples, dscale, tscale))
    valid = np.nonzero(validity_mask(tscale, dscale))
    mask[:, :, *valid] = matrix.reshape(-1, tscale, num_samples).transpose(1, 2, 0)
    return mask


@pytest.mark.parametrize(
    ("file", "sizes"),
    [
        ("mask_T16_D16_N8_P3", (16, 16, 8, 3, 0.5)),
        ("mask_T20_D10_N32_P3", (20, 10, 32, 3, 0.5)),
        ("mask_cls_ratio0_N6_T20_D10", (20, 10, 6, 3, 0.0)),  # class scores, without extension
    ],
)
def test_equals_original_mask(shared: Path, file: str, sizes: tuple[int, int, int, int, float]) -> None:
    golden = np.load(shared / "golden/bmn" / f"{file}.npz")["mask"]
    ours = as_mask(sampling_matrix(*sizes).toarray(), sizes[0], sizes[1], sizes[2])
    np.testing.assert_allclose(ours, golden, atol=1e-6)


@settings(max_examples=40, deadline=None)
@given(
    tscale=st.integers(1, 11),
    dscale=st.integers(1, 11),
    num_samples=st.integers(1, 5),
    per_bin=st.integers(1, 4),
    ratio=st.sampled_from([0, 0.3, 0.5, 2]),
)
def test_equals_plain_loop(
    dense_mask: Callable[..., np.ndarray],
    tscale: int,
    dscale: int,
    num_samples: int,
    per_bin: int,
    ratio: float,
) -> None:
    sizes = tscale, min(dscale, tscale), num_samples, max(per_bin, 2 // num_samples), ratio
    ours = as_mask(sampling_matrix(*sizes).toarray(), sizes[0], sizes[1], num_samples)
    np.testing.assert_allclose(ours, dense_mask(*sizes), atol=1e-12)


def test_known_number_of_entries() -> None:
    assert sampling_matrix(100, 100, 32, 3, 0.5).nnz == 476_827  # counted in the original's mask


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((8, 9, 4, 3, 0.5), "dscale must be within 1..tscale, got dscale=9, tscale=8"),
        ((8, 0, 4, 3, 0.5), "dscale must be within"),
        ((8, 8, 1, 1, 0.5), "product >= 2"),
        ((8, 8, 0, 3, 0.5), "num_samples=0"),
        ((8, 8, 4, 3, -0.1), "boundary_ratio must be >= 0"),
    ],
)
def test_refuses_bad_sizes(sizes: tuple[int, int, int, int, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        sampling_matrix(*sizes)
