"""What grows how: time and memory of everything around the networks, against the number of videos.

    python -m benchmarks.scale                       # 50,000 video entries; some minutes
    python -m benchmarks.scale --entries 1000000 --start-up --json scale.json

Four data sets, of an eighth of the entries up to all of them, have annotations, video files that
are empty, stored features of small size, proposals and detections. Each part is measured in a
process of its own: CPU seconds (so that other work on the machine matters little) and the memory
that it took beyond the program itself. The exponent p is fitted to seconds ~ entries ** p.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from evaluation.report.evaluation_page import write_report
from evaluation.run import evaluate_run
from feature_extraction import FeatureStore
from feature_extraction.checks import check_store, features_problem
from feature_extraction.store import add_video
from pipeline.stages import STAGES, load_config
from proposals.video_loop import VideoResults, finish_videos
from runtime.paths import user_path
from runtime.sections import RunConfig
from runtime.stage import StageRun
from video_datasets.dataset import dataset_inputs, load_dataset
from video_datasets.predictions import (
    Predictions,
    by_video,
    concatenate,
    read_predictions,
    write_predictions,
)

SHARES = (8, 4, 2, 1)
CLASSES = 200
ROWS, CHANNELS = 4, 8
"""Of the features of a video."""
PROPOSALS, SEGMENTS = 10, 2
"""Of a video; half of the videos are for validation."""
HIGHEST_EXPONENT = 1.1
PARTS: dict[str, Callable[[RunConfig, Path], object]] = {}
"""Name -> what is measured, in an order in which each finds what it reads."""


def part(name: str) -> Callable[[Callable[[RunConfig, Path], object]], Callable[[RunConfig, Path], object]]:
    """Register a function of configuration and run folder."""

    def register(function: Callable[[RunConfig, Path], object]) -> Callable[[RunConfig, Path], object]:
        PARTS[name] = function
        return function

    return register


# ---- the data set


def make_dataset(root: Path, entries: int) -> None:
    """Write annotations in the format of HACS Segments, and an empty file for every video."""
    generator = np.random.default_rng(entries)
    starts = generator.uniform(0, 50, (entries, SEGMENTS))
    classes = (np.arange(entries)[:, None] // 2 + np.arange(SEGMENTS)) % CLASSES  # both subsets have all
    database = {}
    videos = root / "videos"
    for number in range(entries):
        folder = videos / f"{number // 5000}"
        if number % 5000 == 0:
            folder.mkdir(parents=True)
        (folder / f"v_{name_of(number)}.mp4").touch()
        database[name_of(number)] = {
            "subset": "validation" if number % 2 else "training",
            "duration": 60.0,
            "annotations": [
                {"segment": [round(start, 2), round(start + 8, 2)], "label": f"class {label}"}
                for start, label in zip(starts[number].tolist(), classes[number].tolist(), strict=True)
            ],
        }
    content = {"version": "scale", "database": database}
    (root / "HACS_segments_v1.1.1.json").write_text(json.dumps(content))


def name_of(number: int) -> str:
    """Return the id of a video.

    >>> name_of(7)
    'video_0000007'
    """
    return f"video_{number:07d}"


# ---- the parts


@part("data set, read and cleaned")
def _load(config: RunConfig, folder: Path) -> object:
    return load_dataset(config.data)


@part("fingerprint of its files")
def _fingerprint(config: RunConfig, folder: Path) -> object:
    return dataset_inputs(config.data)


@part("start of every stage: its fingerprint's parts")
def _start(config: RunConfig, folder: Path) -> object:
    stages = [spec.for_run(config) for spec in STAGES.values() if not spec.trains]
    return [(spec.settings(config), dict(spec.inputs(config))) for spec in stages]


START_UP = tuple(PARTS)
"""What every start of a stage costs."""


@part("store, written")
def _write_store(config: RunConfig, folder: Path) -> object:
    (folder / "features").mkdir(parents=True)
    features = np.ones((ROWS, CHANNELS), dtype=np.float32)
    times_s = np.arange(ROWS) + 0.5
    with h5py.File(folder / "features" / "features.h5", "w") as file:
        for name in load_dataset(config.data).videos:
            add_video(
                file, name, features, times_s, config.grid, attributes={"duration_s": 60.0}, dtype="float16"
            )
    return None


@part("store, listed and checked")
def _check_store(config: RunConfig, folder: Path) -> object:
    store = FeatureStore(folder / "features")
    check_store(store, config.grid)
    return len(store)


@part("store, every video read")
def _read_store(config: RunConfig, folder: Path) -> object:
    store = FeatureStore(folder / "features")
    return [features_problem(store, name, config.grid) or store[name].features.shape for name in store]


@dataclass(frozen=True)
class AnyProposals:
    """Finds segments by chance."""

    def __call__(self, video_id: str) -> VideoResults:
        """Return some proposals, always the same of a video."""
        generator = np.random.default_rng(int(video_id.removeprefix("video_")))
        starts = generator.uniform(0, 50, PROPOSALS)
        segments_s = np.stack([starts, starts + 8], axis=1)
        return {
            "proposals": Predictions.of_video(video_id, segments_s, -np.sort(-generator.random(PROPOSALS)))
        }


@part("proposals: the loop, kept by video, and the file")
def _propose(config: RunConfig, folder: Path) -> object:
    (folder / "proposals").mkdir()
    one = config.changed(runtime=replace(config.runtime, workers=1))
    videos = [video.video_id for video in load_dataset(config.data).subset("validation")]
    with finish_videos(
        StageRun(one, folder / "proposals"), {name: name for name in videos}, AnyProposals()
    ) as found:
        proposals = concatenate([found[name]["proposals"] for name in videos])
        write_predictions(folder / "proposals" / "proposals.h5", proposals)
    return None


@part("detections: read by video, joined, written")
def _label(config: RunConfig, folder: Path) -> object:
    (folder / "classification").mkdir()
    dataset = load_dataset(config.data)
    generator = np.random.default_rng(0)
    parts = []
    for name, found in by_video(read_predictions(folder / "proposals" / "proposals.h5")).items():
        label = generator.integers(0, CLASSES, len(found))
        parts.append(Predictions.of_video(name, found.segments_s, found.score, label, dataset.labels))
    detections = concatenate(parts)
    dataset.format.write_detections(folder / "classification" / "detections.json", detections, {})
    return None


@part("evaluation")
def _evaluate(config: RunConfig, folder: Path) -> object:
    return evaluate_run(config, lambda stage: folder / stage)


@part("evaluation and report")
def _report(config: RunConfig, folder: Path) -> object:
    results = evaluate_run(config, lambda stage: folder / stage)
    write_report(folder / "report.html", results)
    return None


# ---- measuring


def measured(function: Callable[[RunConfig, Path], object], config: RunConfig, folder: Path) -> list[float]:
    """Return CPU seconds and MB of a part, in a process of its own."""
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def work() -> None:
        before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        start_s = time.process_time()
        function(config, folder)
        cpu_s = time.process_time() - start_s
        sender.send([cpu_s, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6 - before_mb])

    process = context.Process(target=work)
    process.start()
    sender.close()
    try:
        found: list[float] = receiver.recv()
    except EOFError:
        raise SystemExit("the part failed; its own message stands above") from None
    process.join()
    return found


def exponent(sizes: list[int], values: list[float]) -> float:
    """Return p of values ~ sizes ** p, by least squares of the logarithms.

    >>> exponent([1, 2, 4], [3.0, 6.0, 12.0])
    1.0
    """
    slope = np.polyfit(np.log(sizes), np.log(np.maximum(values, 1e-9)), 1)[0]
    return float(round(slope, 6))


def measure(entries: int, scratch: Path, names: Sequence[str] = ()) -> dict[str, Any]:
    """Measure every part, or those of some names, on data sets of four sizes."""
    sizes = [max(entries // share, 1) for share in SHARES]
    figures: dict[str, list[list[float]]] = {name: [] for name in names or PARTS}
    for size in sizes:
        root = scratch / str(size)
        root.mkdir()
        make_dataset(root, size)
        words = [f"run_dir={root / 'run'}", f"data.root={root}", "data.mini=false"]
        config = load_config("configs/hacs_mini.yaml", words)
        for name, found in figures.items():
            found.append(measured(PARTS[name], config, root / "run"))
            print(f"{size:9d}  {name}: {found[-1][0]:.2f} s CPU", file=sys.stderr, flush=True)
    parts = {
        name: {
            "cpu_s": [seconds for seconds, _ in found],
            "memory_mb": [memory for _, memory in found],
            "exponent": exponent(sizes, [seconds for seconds, _ in found]),
        }
        for name, found in figures.items()
    }
    return {"entries": sizes, "parts": parts}


def render(found: dict[str, Any]) -> str:
    """Return the figures as a table of Markdown."""
    sizes = found["entries"]
    head = ["part", *(f"{size:,}" for size in sizes), "exponent", f"MB at {sizes[-1]:,}"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, values in found["parts"].items():
        seconds = [f"{value:.2f} s" for value in values["cpu_s"]]
        too_steep = " (!)" if values["exponent"] > HIGHEST_EXPONENT else ""
        cells = [name, *seconds, f"{values['exponent']:.2f}{too_steep}", f"{values['memory_mb'][-1]:.0f}"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--entries", type=int, default=50_000, metavar="N", help="of the largest (50,000)")
    parser.add_argument("--json", type=user_path, metavar="FILE", help="also write the figures")
    parser.add_argument("--start-up", action="store_true", help="only what every start of a stage costs")
    arguments = parser.parse_args()
    names = START_UP if arguments.start_up else ()
    with tempfile.TemporaryDirectory(prefix="tadaloc-scale-") as scratch:
        found = measure(arguments.entries, Path(scratch), names)
    print(render(found))
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
