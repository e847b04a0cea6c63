"""The collector rests while it is told to, and works again afterwards, whatever happened."""

from __future__ import annotations

import gc

import pytest

from runtime.garbage import garbage_collection_paused


def test_the_collector_rests_and_works_again() -> None:
    @garbage_collection_paused()
    def inside(fails: bool) -> bool:
        with garbage_collection_paused():
            pass
        if fails:
            raise ValueError("bad row")
        return gc.isenabled()

    assert gc.isenabled()
    assert not inside(fails=False)
    assert gc.isenabled()
    with pytest.raises(ValueError, match="bad row"):
        inside(fails=True)
    assert gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with garbage_collection_paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
