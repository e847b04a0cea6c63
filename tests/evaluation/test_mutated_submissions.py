"""Damaged submissions: a message that names the place and exit code 2, or the score of exactly that
content.

Never a traceback. Each mutation changes one thing in a good file: a value anywhere in it, or its
raw bytes.
"""

from __future__ import annotations

import copy
import json
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from evaluation import evaluate_detections
from evaluation.__main__ import main

DEEP: Any = 1
for _ in range(300):
    DEEP = [DEEP]
VALUES: tuple[Any, ...] = (
    *(
        None,
        True,
        False,
        "",
        "x",
        "0.5",
        "1,2",
        " 3 , 4 ",
        "\ud800",
        "long " * 100,
        [],
        {},
        [1],
        [1, 2],
        [1, 2, 3],
    ),
    *(["1", "2"], [None, 1], [[1], 2], {"a": 1}, 0, -1, 3, 96, 97, 300, 0.5, 1e308, -1e308, 10**400, DEEP),
    *(float("nan"), float("inf"), float("-inf"), [float("nan"), 1], [0, float("inf")], [0, 10**400]),
)
BYTES = (
    b"",
    b"[" * 100_000,
    b'{"results":' * 5_000,
    b"\xff",
    b"\x00",
    b"<html>",
    b"9" * 5000,
    b"NaN",
    b",",
    b'"',
    b"}",
)
VIDEOS = ("P01_01", "P01_02", "P02_01")


@dataclass(frozen=True)
class Case:
    """One damaged file; `places` must all appear in the message, if there is one."""

    content: bytes
    places: tuple[str, ...]
    what: str


def good_submission(rng: random.Random, protocol: str) -> dict[str, Any]:
    results: dict[str, list[Any]] = {video: [] for video in VIDEOS}
    for number in range(12):
        verb, noun, start = rng.randrange(3), rng.randrange(3), rng.randrange(10)
        classes = {"label": f"{verb},{noun}"}
        if protocol == "ek100":
            classes = {"verb": verb, "noun": noun, "action": f"{verb},{noun}"}
        segment = [start, start + rng.randrange(1, 9) / 2]
        results[rng.choice(VIDEOS)].append({**classes, "score": 1 - number / 20, "segment": segment})
    return {
        "version": "0.2",
        "challenge": "action_detection",
        **dict.fromkeys(("sls_pt", "sls_tl", "sls_td"), 2),
        "external_data": {},
        "results": results,
    }


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Paths to all values inside a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [found for key, item in items for found in [(*path, key), *paths_of(item, (*path, key))]]


def places(path: tuple[Any, ...]) -> tuple[str, ...]:
    """What a message on this path must name: video and entry, or the key of the header."""
    if path == ("results",):  # the new value may have videos of its own
        return ()
    if path[0] != "results":
        return (str(path[0]),)
    return (f"video '{path[1]}'", *([f"entry {path[2]}"] if len(path) > 2 else []))


def mutate_value(rng: random.Random, content: dict[str, Any]) -> Case:
    content = copy.deepcopy(content)
    path = rng.choice(paths_of(content))
    parent: Any = content
    for key in path[:-1]:
        parent = parent[key]
    kind = rng.choice(["replace", "replace", "replace", "drop", "add"])
    if kind == "replace":
        parent[path[-1]] = rng.choice(VALUES)
    elif kind == "drop":
        del parent[path[-1]]
    elif isinstance(parent, list):
        parent.insert(path[-1], rng.choice(VALUES))
    else:
        parent["unknown"] = rng.choice(VALUES)
        path = (*path[:-1], "unknown")
    return Case(json.dumps(content).encode(), places(path), f"{kind} {path}")


def mutate_bytes(rng: random.Random, content: dict[str, Any]) -> Case:
    text = json.dumps(content).encode()
    position = rng.randrange(len(text))
    kind = rng.choice(["cut", "insert", "overwrite"])
    piece = rng.choice(BYTES)
    damaged = {
        "cut": text[:position],
        "insert": text[:position] + piece + text[position:],
        "overwrite": text[:position] + piece + text[position + max(len(piece), 1) :],
    }[kind]
    return Case(damaged, (), f"{kind} {piece[:20]!r} at {position}")


def plain_columns(content: dict[str, Any], task: str) -> dict[str, list[Any]]:
    """Columns of a submission, as plainly as can be."""
    rows = []
    for video, entries in content["results"].items():
        for entry in entries:
            label = entry["label"] if "label" in entry else action_text(entry["action"])
            if task in ("verb", "noun"):
                label = str(int(entry[task]))
            rows.append((video, label, *map(float, entry["segment"]), float(entry["score"])))
    names = ("video_id", "label", "start_s", "end_s", "score")
    return {name: [row[number] for row in rows] for number, name in enumerate(names)}


def action_text(action: str) -> str:
    verb, noun = action.split(",")
    return f"{int(verb)},{int(noun)}"


ROWS = [(video, verb, verb % 2, 4.0 * n, 4.0 * n + 3) for video in VIDEOS for n, verb in enumerate((0, 1, 2))]


def truth_columns(task: str) -> dict[str, list[Any]]:
    labels = {"verb": [str(row[1]) for row in ROWS], "noun": [str(row[2]) for row in ROWS]}
    return {
        "video_id": [row[0] for row in ROWS],
        "label": labels.get(task, [f"{row[1]},{row[2]}" for row in ROWS]),
        "start_s": [row[3] for row in ROWS],
        "end_s": [row[4] for row in ROWS],
    }


def write_ground_truth(folder: Path, protocol: str) -> Path:
    if protocol == "hacs":
        database: dict[str, Any] = {video: {"subset": "validation", "annotations": []} for video in VIDEOS}
        for video, verb, noun, start, end in ROWS:
            database[video]["annotations"].append({"label": f"{verb},{noun}", "segment": [start, end]})
        path = folder / "truth.json"
        path.write_text(json.dumps({"database": database}))
        return path
    lines = [f"{video},00:00:{start},00:00:{end},{verb},{noun}" for video, verb, noun, start, end in ROWS]
    path = folder / "truth.csv"
    path.write_text("video_id,start_timestamp,stop_timestamp,verb_class,noun_class\n" + "\n".join(lines))
    return path


def check_case(case: Case, protocol: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> int:
    submission, metrics = folder / "submission.json", folder / "metrics.json"
    submission.write_bytes(case.content)
    truth = folder / ("truth.json" if protocol == "hacs" else "truth.csv")
    paths = ["--ground-truth", str(truth), "--predictions", str(submission), "--json", str(metrics)]
    code = main(["--protocol", protocol, *paths])
    screen = capsys.readouterr()
    if code == 0:
        found = json.loads(metrics.read_text())
        for task in found["average_mAP"]:
            columns = plain_columns(json.loads(case.content), task)
            expected = evaluate_detections(truth_columns(task), columns, protocol=protocol)
            assert found["average_mAP"][task] == pytest.approx(expected.average_mAP, abs=1e-12), case.what
        return code
    assert code == 2, (case.what, screen.err)
    assert screen.err.startswith("error: "), case.what
    assert len(screen.err) < 5000
    for place in case.places:
        assert place in screen.err, (case.what, screen.err)
    assert "submission.json" in screen.err or "predictions: " in screen.err, case.what
    assert not screen.out
    return code


def check_mutations(seed: int, count: int, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng = random.Random(seed)
    for protocol in ("ek100", "hacs"):
        write_ground_truth(folder, protocol)
    codes = []
    for number in range(count):
        protocol = ("ek100", "hacs")[number % 2]
        content = good_submission(rng, protocol)
        mutate = mutate_bytes if rng.random() < 0.25 else mutate_value
        codes.append(check_case(mutate(rng, content), protocol, folder, capsys))
    assert min(codes.count(0), codes.count(2)) > count / 10


def test_some_mutations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_mutations(0, 300, tmp_path, capsys)


@pytest.mark.slow
def test_two_thousand_mutations(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    check_mutations(1, 2000, tmp_path, capsys)


def test_unmutated_submissions_have_a_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for protocol in ("ek100", "hacs"):
        write_ground_truth(tmp_path, protocol)
        content = json.dumps(good_submission(random.Random(2), protocol)).encode()
        assert check_case(Case(content, (), "nothing"), protocol, tmp_path, capsys) == 0
