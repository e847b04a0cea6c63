"""Fingerprints: equal for equal inputs, different for any change, and the change has a name."""

from __future__ import annotations

import json
from pathlib import Path

from runtime.fingerprint import differences, digest, file_state, listing_state


def test_the_digest_depends_on_the_content_alone() -> None:
    assert digest({"a": 1, "b": [1, 2]}) == digest({"b": [1, 2], "a": 1})
    assert digest({"a": 1}) == digest(json.loads(json.dumps({"a": 1})))
    assert digest({"a": 1}) == "f9d86028c6e0d64e"  # sha256 of '{"a": 1}': records of old runs stay valid
    changed = [{"a": 2}, {"b": 1}, {"a": "1"}, {"a": 1, "b": None}, {}]
    assert len({digest(parts) for parts in [{"a": 1}, *changed]}) == 6


def test_a_file_is_described_by_name_and_size(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    assert file_state(path) == "a.json (missing)"
    path.write_bytes(b"123")
    assert file_state(path) == "a.json (3 bytes)"


def test_a_listing_notices_names_and_sizes_but_not_the_order(tmp_path: Path) -> None:
    one, two = tmp_path / "1.mp4", tmp_path / "2.mp4"
    one.write_bytes(b"1")
    two.write_bytes(b"22")
    before = listing_state([one, two])
    assert before.startswith("2 files")
    assert listing_state([two, one]) == before
    assert listing_state([one]) != before
    two.write_bytes(b"333")
    assert listing_state([one, two]) != before


def test_every_change_is_named() -> None:
    before = {"same": 1, "changed": 1, "gone": [1]}
    now = {"same": 1, "changed": 2.5, "new": "x"}
    assert differences(before, now) == [
        "changed was 1, is now 2.5",
        "gone was [1], is now not set",
        "new was not set, is now x",
    ]
    assert differences(now, now) == []
