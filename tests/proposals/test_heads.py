"""The table of heads, and the record that their candidates become."""

from __future__ import annotations

import numpy as np
import pytest

from proposals.heads import HEADS, AnySegment, head_of
from runtime.errors import InputError
from runtime.sections import run_config


def test_every_entry_stands_under_its_name() -> None:
    assert {name: head.name for name, head in HEADS.items()} == {name: name for name in HEADS}


def test_the_default_is_bmn() -> None:
    assert head_of(run_config()).title == "BMN"


def test_an_unknown_head_is_refused_with_the_closest() -> None:
    with pytest.raises(InputError, match=r"head must be one of bmn.*, found 'bnm'; closest: bmn"):
        head_of(run_config(head="bnm"))


def test_a_head_without_limits_has_no_bounds() -> None:
    segments_s = np.array([[1.0, 3.0]])
    assert AnySegment().best(segments_s, 5.0, 8) == ()
    assert "last 2.0 s" in AnySegment().remark(AnySegment().lengths(segments_s, 5.0))
