"""What check sums and checks cost: shares of the CPU time of every stage of a mini run, and of
reading a store.

    python -m benchmarks.checks                      # a few minutes
    python -m benchmarks.checks --training 64        # more videos

A stage's share is the CPU time inside the functions that hash, compare and look for values that
are not finite, over that of the stage's process; its children, which decode, are not counted, so
the true share is smaller.
"""

from __future__ import annotations

import argparse
import functools
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from feature_extraction import FeatureStore, integrity
from feature_extraction.store import merge_features, write_video_features
from pipeline.stages import STAGES, load_config, stages_of
from runtime.stage import run_stage
from video_datasets.mini import MiniSize, ensure_mini
from video_datasets.time_grid import TimeGrid

CHECKS = (
    "runtime.stage.file_sha256",
    "runtime.stage.result_sums",
    "runtime.stage.refuse_changed_results",
    "runtime.fingerprint.file_sha256",
    "feature_extraction.integrity.values_sum",
    "feature_extraction.integrity.damage",
    "feature_extraction.store.holds",
    "tadaconv.weights.refuse_not_finite",
    "training.fitting.refuse_not_finite",
)
"""Functions by the names that their callers know."""


class Spent:
    """CPU time inside the checks, each moment counted once."""

    def __init__(self) -> None:
        self.seconds, self._depth = 0.0, 0

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with a clock around it."""

        @functools.wraps(function)
        def call(*words: Any, **values: Any) -> Any:
            self._depth += 1
            began = time.process_time()
            try:
                return function(*words, **values)
            finally:
                self._depth -= 1
                if not self._depth:
                    self.seconds += time.process_time() - began

        return call


def stages(folder: Path, training: int) -> None:
    """Run the stages on a small mini data set and print the checks' share of each."""
    ensure_mini(
        folder / "data", size=MiniSize(training=training, validation=8, testing=2, duration_s=(6, 12))
    )
    words = ["data.mini=false", f"data.root={folder / 'data'}", f"run_dir={folder / 'run'}", "bmn.epochs=5"]
    config = load_config("configs/hacs_mini.yaml", [*words, "finetune.epochs=2", "runtime.threads=1"])
    for spec in stages_of(config):
        spent = Spent()
        patched = [mock.patch(name, spent.timed(_function(name))) for name in CHECKS]
        for patch in patched:
            patch.start()
        began = time.process_time()
        run_stage(spec, config, commands={name: stage.command for name, stage in STAGES.items()})
        total = time.process_time() - began
        for patch in patched:
            patch.stop()
        print(
            f"{spec.name:15} {total:7.2f} s CPU, checks {spent.seconds:6.3f} s, {spent.seconds / total:6.2%}"
        )


def _function(name: str) -> Callable[..., Any]:
    module, _, attribute = name.rpartition(".")
    __import__(module)
    return getattr(sys.modules[module], attribute)  # type: ignore[no-any-return]


def store(folder: Path, videos: int = 200, rounds: int = 9) -> None:
    """Read a store with and without sums in turn, and as it was read before there were sums (halves
    converted by NumPy); print the ratios of CPU times."""
    grid, rng = TimeGrid(fps=30, stride_frames=16), np.random.default_rng(0)
    times_s = grid.times_s(230 * 16)
    for number in range(videos):
        features_TC = rng.normal(size=(len(times_s), 2048)).astype(np.float16)
        write_video_features(folder / "p", f"v{number}", features_TC, times_s, grid, attributes={})
    merge_features(folder / "p", folder / "store.h5")

    def read() -> float:
        began = time.process_time()
        for _ in FeatureStore(folder / "store.h5").values():
            pass
        return time.process_time() - began

    def as_before(values: NDArray[Any]) -> NDArray[np.float32]:
        return values.astype(np.float32, copy=False)

    without_sums = mock.patch.object(integrity, "damage", return_value="")
    by_numpy = mock.patch("feature_extraction.store.as_float32", as_before)
    taken: dict[str, list[float]] = {"with sums": [], "without sums": [], "before there were sums": []}
    for _ in range(rounds):
        taken["with sums"].append(read())
        with without_sums:
            taken["without sums"].append(read())
            with by_numpy:
                taken["before there were sums"].append(read())
    first = min(taken["with sums"])
    print(f"first reading of {videos} videos: {first:.2f} s CPU")
    for name, seconds in list(taken.items())[1:]:
        print(f"  {first / min(seconds) - 1:+.1%} against reading {name}")


def main() -> None:
    """Measure both."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--training", type=int, default=16, metavar="N", help="training videos (16)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store(Path(folder))
        stages(Path(folder), arguments.training)


if __name__ == "__main__":
    main()
