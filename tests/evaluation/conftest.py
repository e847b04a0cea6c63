"""Files that tests of the report share: small, but with every kind of thing in them that a page
can get wrong."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from evaluation.__main__ import main

NASTY_LABELS = ("<script>window.broken = 1</script>", "</script><img src=x onerror='window.broken = 2'>")
PLAIN_LABELS = ("Hula hoop & dance", 'say "hi"', "Ünïcode ✓", "\ud800 half")
NASTY_VIDEO = "<b onclick='window.broken = 3'>"


def report_files(folder: Path, videos: int = 12) -> dict[str, Path]:
    """Annotations and detections of HACS in which labels, ids and file names look like markup."""
    generator = np.random.default_rng(0)
    labels = (*NASTY_LABELS, *PLAIN_LABELS)
    database: dict[str, Any] = {}
    results: dict[str, Any] = {}
    for video in range(videos):
        name = NASTY_VIDEO if video == 1 else f"video {video:02d}"
        label = labels[video % len(labels)]
        starts = generator.uniform(0, 40, 3)
        database[name] = {
            "subset": "validation",
            "duration": 60,
            "annotations": [{"label": label, "segment": [s, s + 4 + 3 * n]} for n, s in enumerate(starts)],
        }
        results[name] = [
            {
                "label": label if n % 4 else labels[(video + n) % len(labels)],
                "score": float(generator.uniform(0.05, 1)),
                "segment": [max(0.0, start + shift), start + shift + 7],
            }
            for n, (start, shift) in enumerate(
                zip(np.repeat(starts, 8), generator.normal(0, 2, 24), strict=True)
            )
        ]
    files = {"truth": folder / "truth <i>.json", "found": folder / "found & <u>.json"}
    files["truth"].write_text(json.dumps({"database": database}))
    files["found"].write_text(json.dumps({"results": results}))
    return files


def write_ek100(folder: Path) -> dict[str, Path]:
    """Two kitchens with a few actions each, and a submission."""
    generator = np.random.default_rng(0)
    lines = ["video_id,start_timestamp,stop_timestamp,verb_class,noun_class"]
    results: dict[str, Any] = {}
    for video in ("P01_01", "P02_01"):
        for start in range(0, 50, 5):
            verb, noun = int(generator.integers(3)), int(generator.integers(4))
            lines.append(f"{video},00:00:{start:02d}.00,00:00:{start + 3:02d}.00,{verb},{noun}")
            wrong = int(generator.integers(4)) == 0
            entry = {"verb": verb, "noun": noun + wrong, "action": f"{verb},{noun + wrong}"}
            shift = float(generator.normal(0, 0.8))
            entry |= {"score": float(generator.uniform()), "segment": [start + shift, start + 3 + shift]}
            results.setdefault(video, []).append(entry)
    header = {"version": "0.2", "challenge": "action_detection", "sls_pt": 0, "sls_tl": 0, "sls_td": 0}
    files = {"truth": folder / "truth.csv", "found": folder / "submission.json"}
    files["truth"].write_text("\n".join(lines) + "\n")
    files["found"].write_text(json.dumps({**header, "results": results}))
    return files


def make_report(files: dict[str, Path], page: Path, *options: str, protocol: str = "hacs") -> Path:
    """Run the command."""
    paths = ["--ground-truth", str(files["truth"]), "--predictions", str(files["found"])]
    assert main(["--protocol", protocol, *paths, "--report", str(page), *options]) == 0
    return page


@pytest.fixture(scope="session")
def write_hacs() -> Callable[..., dict[str, Path]]:
    """`report_files` as a fixture."""
    return report_files


@pytest.fixture(scope="session")
def write_kitchens() -> Callable[..., dict[str, Path]]:
    """`write_ek100` as a fixture."""
    return write_ek100


@pytest.fixture(scope="session")
def hacs_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Page of detections with nasty labels."""
    folder = tmp_path_factory.mktemp("hacs_report")
    return make_report(report_files(folder), folder / "report.html")


@pytest.fixture(scope="session")
def proposals_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Page of the same as proposals."""
    folder = tmp_path_factory.mktemp("proposals_report")
    return make_report(report_files(folder), folder / "report.html", "--task", "proposals")


@pytest.fixture(scope="session")
def ek100_report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Page of verbs, nouns and actions."""
    folder = tmp_path_factory.mktemp("ek100_report")
    return make_report(write_ek100(folder), folder / "report.html", protocol="ek100")
