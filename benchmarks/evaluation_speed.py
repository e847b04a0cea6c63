"""Speed of the evaluation against a plain per-class pandas loop of the official algorithm, and
against json.load.

    python -m benchmarks.evaluation_speed           slices for the loop, whole files for the rest; about a minute
    python -m benchmarks.evaluation_speed --full    the loop on whole files too; about six minutes

The loop is `evaluation_plain_loop`, in the structure of the official evaluators; its figures must
equal ours to 1e-12. Both sides start from tables in memory; matching and AP are timed, reading is
not. All times are CPU seconds of one process (user + system), so other work on the machine matters
little; ours are medians of 5, the loop runs once. Nothing is extrapolated: a case that was not run
is not shown.

The files are those of `golden/evaluation` under $TADALOC_SHARED (default: ../shared beside the
checkout).
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import pandas as pd

from benchmarks.evaluation_plain_loop import plain_ap, plain_average_recall
from evaluation.files.protocols import PROTOCOLS
from evaluation.metrics.average_recall import proposal_metrics
from evaluation.metrics.columns import code_tables
from evaluation.metrics.detection import detection_metrics

ROOT = Path(__file__).resolve().parents[1]
GOLDEN = Path(os.environ.get("TADALOC_SHARED", ROOT.parent / "shared")) / "golden" / "evaluation"
REPEATS = 5
LARGE = 585_459  # detections of a HACS validation run with about 100 a video
TOLERANCE = 1e-12


# --- Data
# ------------------------------------------------------------------------------------------------------


def load(name: str) -> Any:
    """One golden JSON file."""
    with gzip.open(GOLDEN / name, "rt", encoding="utf-8") as file:
        return json.load(file)


def ek100_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ground truth and predictions of the action task."""
    from video_datasets.formats.ek100_csv import read_ek100_csv

    truth = read_ek100_csv(GOLDEN / "ek100_val_gt.csv.gz")
    videos = np.array(truth.video_ids)[truth.video_index]
    annotations = pd.DataFrame(
        {"video_id": videos, "label": truth.labels, "start_s": truth.start_s, "end_s": truth.end_s}
    )
    results = load("ek100_pred.json.gz")["results"]
    return annotations, prediction_table(results, "action")


def hacs_tables() -> tuple[pd.DataFrame, pd.DataFrame]:
    """Ground truth and predictions in the shape of HACS."""
    database = load("hacs_gt.json.gz")["database"]
    rows = [
        (video, annotation["label"], *map(float, annotation["segment"]))
        for video, entry in database.items()
        if entry["subset"] == "validation"
        for annotation in entry["annotations"]
    ]
    annotations = pd.DataFrame(rows, columns=["video_id", "label", "start_s", "end_s"])
    return annotations, prediction_table(load("hacs_pred.json.gz")["results"], "label")


def prediction_table(results: dict[str, Any], label: str) -> pd.DataFrame:
    """All entries of a submission as a table, in file order."""
    rows = [
        (video, entry[label], *map(float, entry["segment"]), float(entry["score"]))
        for video, entries in results.items()
        for entry in entries
    ]
    return pd.DataFrame(rows, columns=["video_id", "label", "start_s", "end_s", "score"])


def of_first_videos(found: pd.DataFrame, count: int) -> pd.DataFrame:
    """Predictions of `count` videos, spread evenly over the file."""
    videos = found["video_id"].unique()
    return found[found["video_id"].isin(videos[:: max(len(videos) // count, 1)][:count])].reset_index(
        drop=True
    )


def enlarged(results: dict[str, Any], size: int) -> dict[str, Any]:
    """A submission of `size` detections: every entry copied with jittered times and scores, then
    cut."""
    rng = np.random.default_rng(0)
    rows = [(video, entry) for video, entries in results.items() for entry in entries]
    copies = -(-size // len(rows))
    jitter = rng.normal(0, 1, (copies, len(rows), 2)).round(2)
    score = rng.random((copies, len(rows)))
    grown: dict[str, list[Any]] = {video: [] for video in results}
    for number in range(size):
        copy, row = divmod(number, len(rows))
        video, entry = rows[row]
        start, end = map(float, entry["segment"])
        segment = [start + jitter[copy, row, 0], end + jitter[copy, row, 1]] if copy else [start, end]
        grown[video].append({**entry, "segment": segment, "score": score[copy, row]})
    return {"version": "VERSION 1.3", "external_data": {}, "results": grown}


# --- Measuring
# -------------------------------------------------------------------------------------------------


def cpu_s(action: Callable[[], Any]) -> tuple[float, Any]:
    """CPU seconds of a call, and its result."""
    before = time.process_time()
    result = action()
    return time.process_time() - before, result


def median_cpu_s(action: Callable[[], Any]) -> tuple[float, Any]:
    """Median CPU seconds of five calls, and the last result."""
    runs = [cpu_s(action) for _ in range(REPEATS)]
    return median(seconds for seconds, _ in runs), runs[-1][1]


def command_cost(*arguments: str) -> tuple[float, float]:
    """Median CPU seconds and largest memory (MB) of `python -m evaluation`, start-up included."""
    # The peak that wait4 reports may be that of this process before exec; the kernel's own mark is
    # not.
    code = (
        "import sys; from evaluation.__main__ import main; code = main(sys.argv[1:]);"
        "print([line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')][0]);"
        "sys.exit(code)"
    )
    costs = []
    for _ in range(REPEATS):
        before = os.times()
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        )
        after = os.times()
        cpu = after.children_user + after.children_system - before.children_user - before.children_system
        costs.append((cpu, int(done.stdout.split()[-1]) / 1024))
    return median(cpu for cpu, _ in costs), max(memory for _, memory in costs)


def json_load_s(path: Path) -> float:
    """Median CPU seconds of `json.load` alone, each in a process of its own."""
    code = (
        "import json, sys, time; file = open(sys.argv[1]); before = time.process_time();"
        "content = json.load(file); print(time.process_time() - before)"
    )
    command = [sys.executable, "-c", code, str(path)]
    return median(
        float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
        for _ in range(REPEATS)
    )


def compare(name: str, size: int, plain: Callable[[], np.ndarray], ours: Callable[[], np.ndarray]) -> None:
    """Time both, check that they agree, print one row."""
    ours_s, ours_value = median_cpu_s(ours)
    plain_s, plain_value = cpu_s(plain)
    difference = float(np.abs(plain_value - ours_value).max())
    if difference > TOLERANCE:
        raise SystemExit(f"{name}: the loop and ours differ by {difference}")
    print(
        f"{name:34} {size:8d} {plain_s:9.2f} {ours_s:9.4f} {plain_s / ours_s:7.0f} x {difference:10.1e}",
        flush=True,
    )


def compare_detection(
    name: str, truth: pd.DataFrame, found: pd.DataFrame, thresholds: tuple[float, ...]
) -> None:
    """Matching and AP of one task."""
    levels = np.array(thresholds)
    columns = code_tables(truth, found, with_labels=True)
    compare(
        name,
        len(found),
        lambda: plain_ap(truth, found, levels),
        lambda: detection_metrics(*columns, levels).ap,
    )


def compare_proposals(name: str, truth: pd.DataFrame, found: pd.DataFrame) -> None:
    """AR@AN."""
    levels = np.array(PROTOCOLS["hacs"].tiou_thresholds)
    annotations, proposals, _ = code_tables(truth, found, with_labels=False)
    compare(
        name,
        len(found),
        lambda: plain_average_recall(truth, found, levels),
        lambda: proposal_metrics(annotations, proposals).recall,
    )


def measure_against_loop(full: bool) -> None:
    """Print the first table."""
    print(
        f"{'matching and AP, or AR@AN':34} {'rows':>8} {'loop':>9} {'ours':>9} {'ratio':>9} {'difference':>10}"
    )
    truth, found = ek100_tables()
    compare_detection(
        "EK100 action, slice of 5 videos",
        truth,
        of_first_videos(found, 5),
        PROTOCOLS["ek100"].tiou_thresholds,
    )
    if full:
        compare_detection("EK100 action, whole file", truth, found, PROTOCOLS["ek100"].tiou_thresholds)
    truth, found = hacs_tables()
    compare_detection(
        "HACS-shaped, slice of 150 videos",
        truth,
        of_first_videos(found, 150),
        PROTOCOLS["hacs"].tiou_thresholds,
    )
    if full:
        compare_detection("HACS-shaped, whole file", truth, found, PROTOCOLS["hacs"].tiou_thresholds)
    part = truth["video_id"].unique()[::10]
    few_truth, few_found = (
        table[table["video_id"].isin(part)].reset_index(drop=True) for table in (truth, found)
    )
    compare_proposals("AR@AN, a tenth of the videos", few_truth, few_found)
    if full:
        compare_proposals("AR@AN, whole file", truth, found)


def measure_alone() -> None:
    """Print matching and AP of the large case and of EK100's three tasks; the loop would take
    many minutes."""
    from evaluation.files.evaluate import evaluate_tables

    truth, _ = hacs_tables()
    large = prediction_table(enlarged(load("hacs_pred.json.gz")["results"], LARGE)["results"], "label")
    annotations, predictions, labels = code_tables(truth, large, with_labels=True)
    seconds, _ = median_cpu_s(
        lambda: detection_metrics(annotations, predictions, labels, PROTOCOLS["hacs"].tiou_thresholds)
    )
    print(
        f"\n{'ours alone':34} {'rows':>8} {'ours':>9}\n{'HACS-shaped, enlarged':34} {len(large):8d} {seconds:9.4f}"
    )
    protocol = PROTOCOLS["ek100"]
    tables = protocol.format.read(GOLDEN / "ek100_val_gt.csv.gz")
    submission = protocol.format.read_detections(GOLDEN / "ek100_pred.json.gz")
    seconds, _ = median_cpu_s(lambda: evaluate_tables(tables, submission, protocol))
    name = "EK100, 3 tasks and sanity report"
    print(f"{name:34} {len(submission):8d} {seconds:9.4f}", flush=True)


def measure_commands(folder: Path) -> None:
    """Print the second table: the whole command against json.load on the same file."""
    files = {name: folder / f"{name}.json" for name in ("ek100_pred", "hacs_pred", "hacs_gt")}
    for name, path in files.items():
        path.write_bytes(gzip.decompress((GOLDEN / f"{name}.json.gz").read_bytes()))
    large = folder / "large.json"
    large.write_text(json.dumps(enlarged(load("hacs_pred.json.gz")["results"], LARGE)))
    print(f"\n{'whole command, files from disk':34} {'json.load':>9} {'command':>9} {'ratio':>9} {'MB':>6}")
    for name, protocol, truth, path in (
        ("EK100, 110,681 detections", "ek100", GOLDEN / "ek100_val_gt.csv.gz", files["ek100_pred"]),
        ("HACS-shaped, 198,902 detections", "hacs", files["hacs_gt"], files["hacs_pred"]),
        (f"HACS-shaped, {LARGE:,} detections", "hacs", files["hacs_gt"], large),
    ):
        base = json_load_s(path)
        arguments = ("--protocol", protocol, "--ground-truth", str(truth), "--predictions", str(path))
        seconds, memory = command_cost(*arguments)
        print(f"{name:34} {base:9.3f} {seconds:9.3f} {seconds / base:7.2f} x {memory:6.0f}", flush=True)


def main() -> None:
    """Print all tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--full", action="store_true", help="run the loop on whole files too")
    full = parser.parse_args().full
    print("CPU seconds (user + system)\n")
    measure_against_loop(full)
    measure_alone()
    with tempfile.TemporaryDirectory() as folder:
        measure_commands(Path(folder))


if __name__ == "__main__":
    main()
