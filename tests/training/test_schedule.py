"""The learning rate against the original's formula, written out a second time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.schedule import cosine_learning_rate

RATES = st.floats(1e-6, 1.0)


def _reference(epoch: float, base: float, epochs: float, warmup_epochs: float, warmup_start: float) -> float:
    """lr(e) = base (1 + cos(pi e / MAX)) / 2; e < W: linear from the start rate to lr(W), the
    cosine's value."""
    cosine = lambda e: base * (np.cos(np.pi * e / epochs) + 1) / 2  # noqa: E731
    if epoch < warmup_epochs:
        return float(np.interp(epoch, [0, warmup_epochs], [warmup_start, cosine(warmup_epochs)]))
    return float(cosine(epoch))


@given(st.floats(0, 1), RATES, st.integers(1, 200), st.floats(0, 1), RATES)
def test_it_is_the_formula_of_the_original(
    progress: float, base: float, epochs: int, warmup_share: float, start: float
) -> None:
    epoch, warmup_epochs = progress * epochs, warmup_share * epochs
    rate = cosine_learning_rate(
        epoch, base=base, epochs=epochs, warmup_epochs=warmup_epochs, warmup_start=start
    )
    assert rate == pytest.approx(_reference(epoch, base, epochs, warmup_epochs, start), rel=1e-9, abs=1e-15)


@pytest.mark.parametrize(
    ("epoch", "rate"),
    [
        (0.0, 0.01),  # the start of the warm-up
        (4.0, (0.01 + 0.236) / 2),  # half-way up
        (8.0, 0.236),  # the cosine's own value, not the base rate
        (50.0, 0.12),  # half of the base rate
        (100.0, 0.0),
    ],
)
def test_the_recipe_of_kinetics(epoch: float, rate: float) -> None:
    found = cosine_learning_rate(epoch, base=0.24, epochs=100, warmup_epochs=8, warmup_start=0.01)
    assert found == pytest.approx(rate, abs=5e-4)
