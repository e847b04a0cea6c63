"""Drawing curves takes a hundred times as long as these trainings: only the tests of the picture
draw it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module", autouse=True)
def _undrawn_curves() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.loop.draw_curves", lambda metrics, path: None)
        yield
