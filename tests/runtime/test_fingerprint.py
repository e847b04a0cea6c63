"""Fingerprints: equal for equal inputs, different for any change, and the change has a name."""

from __future__ import annotations

import json
from pathlib import Path

from runtime.fingerprint import content_state, digest, file_state, listing_state, size_state
from runtime.record import changes


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


def test_an_edit_that_keeps_the_size_counts(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"start_s": 1.0}')
    before = content_state(path)
    path.write_text('{"start_s": 9.0}')
    assert content_state(path) != before
    assert size_state(content_state(path)) == size_state(before) == "a.json (16 bytes)"
    assert content_state(tmp_path / "none.json") == "none.json (missing)"


def test_every_change_is_named() -> None:
    before = {"same": 1, "changed": 1, "gone": [1]}
    now = {"same": 1, "changed": 2.5, "new": "x"}
    assert changes(before, now, {}) == [
        "changed was 1, is now 2.5",
        "gone was [1], is now not set",
        "new was not set, is now x",
    ]
    assert changes(now, now, {}) == []


def test_records_of_earlier_versions_are_compared_by_what_counts_now() -> None:
    """Keys that a stage does not read, keys that were unknown, and files known by name and size
    alone."""
    before = {
        "config.bmn.epochs": 9,
        "config.data.other_format": "x.csv",
        "input.annotations": "a.json (12 bytes)",
    }
    now = {
        "config.bmn.epochs": 9,
        "config.bmn.new_key": 0.0,
        "input.annotations": "a.json (12 bytes, sha256 0123456789abcdef)",
    }
    assert changes(before, now, {"bmn.new_key": 0.0}) == []
    assert changes(before, {**now, "config.bmn.new_key": 0.5}, {"bmn.new_key": 0.0}) == [
        "config.bmn.new_key was 0.0, is now 0.5"
    ]
    assert changes(now, {**now, "input.annotations": "a.json (12 bytes, sha256 f123456789abcdef)"}, {}) != []
