"""Time and memory of ActionFormer here, of a plain form with dense masked attention, and the
multiply-add floor.

    python benchmarks/one_stage.py                        # everything; minutes on a laptop
    python benchmarks/one_stage.py --size hacs --steps 3
    python benchmarks/one_stage.py --hour                 # an hour of video, each head, and no more

The plain form is the same network as one writes it down (`benchmarks/one_stage_plain.py`):
torch's convolutions, norms written out, attention over all T x T pairs with a mask, the boundaries
of all points also in training, where ours computes those that learn a segment. The floor is the
time that matrix products of the same number of multiply-adds take at the speed of one large
product. Times are of one thread's own seconds (CPU time), so that other work on the machine matters
little; each case runs in a process of its own. Of memory, the growth of the process's peak is
given, and the most that tensors held at a time: the rest is what the C library keeps between them.
At the end: suppression of candidates against a plain loop.

--hour: from a store with an hour of THUMOS14's features (27,000 of 2048 channels, 221 MB as
float32) to the detections, as stages and `detect` do it, at THUMOS size with untrained heads; the
peak is the whole process's.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.profiler import ProfilerActivity, profile  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from benchmarks.one_stage_plain import PlainActionFormer  # noqa: E402
from feature_extraction import FeatureStore  # noqa: E402
from feature_extraction.store import write_video_features  # noqa: E402
from one_stage import products  # noqa: E402
from one_stage.architecture import Architecture  # noqa: E402
from one_stage.head import OneStageHead  # noqa: E402
from one_stage.labels import one_hot, point_labels, pyramid_points  # noqa: E402
from one_stage.losses import OneStageLossConstants, learning_points, one_stage_losses  # noqa: E402
from one_stage.network import OneStageNetwork  # noqa: E402
from one_stage.settings import OneStageConfig  # noqa: E402
from one_stage.stage import KINDS  # noqa: E402
from one_stage.weights import TrainedOneStage, configured_architecture, regression_ranges  # noqa: E402
from proposals import gaussian_soft_nms  # noqa: E402
from video_datasets.time_grid import TimeGrid  # noqa: E402

SIZES = {
    "thumos": {
        "in_channels": 2048, "channels": 512, "length": 2304, "window": 19, "classes": 20,
        "segments": 22, "segment_rows": 34,
    },
    "hacs": {
        "in_channels": 2304, "channels": 256, "length": 960, "window": 13, "classes": 200,
        "segments": 3, "segment_rows": 120,
    },
}  # fmt: skip
"""Segments of a video and their mean length: about those of THUMOS14 (15 of 4.5 s in 206 s) and HACS."""

HOUR_S = 3600
CLASS_NAMES = tuple(f"class {number}" for number in range(20))


def network_of(size: dict[str, int]) -> OneStageNetwork:
    """Return ActionFormer of a size."""
    arch = Architecture(
        kind="actionformer",
        in_channels=size["in_channels"],
        class_towers=(size["classes"],),
        channels=size["channels"],
        regression_ranges=regression_ranges(6, "adjacent"),
        windows=(size["window"],) * 6,
    )
    return OneStageNetwork(arch)


def targets_of(size: dict[str, int], arch: Architecture, batch: int) -> tuple[Tensor, Tensor]:
    """Label the points of videos with random segments: classes (B, P, K) and offsets (B, P, 2)."""
    generator = np.random.default_rng(0)
    points_P4 = pyramid_points(size["length"], arch.regression_ranges)
    labels = []
    for _ in range(batch):
        lengths = generator.exponential(size["segment_rows"], size["segments"])
        starts = generator.uniform(0, np.maximum(size["length"] - lengths, 1.0))
        classes = generator.integers(0, size["classes"], (size["segments"], 1))
        segments = np.stack([starts, starts + lengths], axis=1).astype(np.float32)
        labels.append(point_labels(points_P4, segments, one_hot(classes, arch.class_towers)))
    classes, offsets = (torch.from_numpy(np.stack(part)) for part in zip(*labels, strict=True))
    return classes, offsets


def cpu_seconds(work: Callable[[], object], steps: int) -> float:
    """Best CPU time of some calls after one more."""
    times = []
    for _ in range(steps + 1):
        began = time.process_time()
        work()
        times.append(time.process_time() - began)
    return min(times[1:])


def measure(size_name: str, form: str, part: str, steps: int, batch: int) -> dict[str, float]:
    """Time a training step or an inference of one form."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    size = SIZES[size_name]
    if form == "floor":
        return {
            "seconds": floor_seconds(size, batch, training=part == "training"),
            "peak_mb": 0.0,
            "live_mb": 0.0,
        }
    own = network_of(size)
    network = PlainActionFormer(own) if form == "plain" else own
    feats = torch.randn(batch, size["in_channels"], size["length"])
    valid = torch.ones(batch, size["length"], dtype=torch.bool)
    classes, offsets = targets_of(size, own.arch, batch)
    learning = learning_points(valid, classes, own.arch.levels)
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def step() -> None:
        network.zero_grad(set_to_none=True)
        outputs = network(feats, valid, learning)
        one_stage_losses(outputs, valid, classes, offsets, OneStageLossConstants())["loss"].backward()

    def infer() -> None:
        with torch.inference_mode():
            network(feats, valid)

    network.train(part == "training")
    seconds = cpu_seconds(step if part == "training" else infer, steps)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    live_mb = most_held_mb(step if part == "training" else infer)
    return {"seconds": seconds, "peak_mb": peak_mb - before_mb, "live_mb": live_mb}


def most_held_mb(work: Callable[[], object]) -> float:
    """Most memory that tensors made by a call held at a time."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as trace:
        work()
    events = trace.profiler.kineto_results.events()
    moves = sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]")
    return float(np.cumsum([size for _, size in moves]).max()) / 2**20


def floor_seconds(size: dict[str, int], batch: int, *, training: bool) -> float:
    """Multiply-adds of the network, its convolutions as sums of products, over the speed of a large
    matrix product; backward costs twice the forward."""
    products.WINOGRAD_CHANNELS = sys.maxsize
    network: nn.Module = network_of(size)
    feats = torch.zeros(1, size["in_channels"], size["length"])
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        network(feats, torch.ones(1, size["length"], dtype=torch.bool))
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    product_s = cpu_seconds(lambda: [a @ b for _ in range(5)], 5) / 5
    return counter.get_total_flops() / (2 * 1024**3) * product_s * batch * (3 if training else 1)


def hour(kind: str) -> dict[str, float]:
    """Time an hour of video from the store to its detections, and measure the process."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = OneStageConfig()
    arch = configured_architecture(kind, 2048, (20,), config)
    grid = TimeGrid(fps=30, stride_frames=4, clip_frames=16)
    times_s = grid.times_s(HOUR_S * 30)
    network = OneStageNetwork(arch).eval()
    network.class_heads()[0].set_prior(range(20), 0.3)  # of the untrained: candidates in plenty
    head = OneStageHead(
        TrainedOneStage(network, grid, {"action": CLASS_NAMES}), config, torch.device("cpu"), CLASS_NAMES
    )
    with TemporaryDirectory() as folder:
        features = np.random.default_rng(0).standard_normal((len(times_s), 2048), dtype=np.float32)
        write_video_features(
            Path(folder),
            "v",
            features.astype(np.float16),
            times_s,
            grid,
            attributes={"duration_s": float(HOUR_S)},
        )
        del features
        before_mb = float(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
        began = time.process_time()
        found = head.candidates(FeatureStore(folder), "v")
        kept = gaussian_soft_nms(
            found.segments,
            found.scores,
            found.classes,
            sigma=0.5,
            min_score=0.001,
            max_segments=200,
            per_class=True,
        )
        seconds = time.process_time() - began
    peak_kb = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert peak_kb
    assert len(kept.scores) == 200
    return {
        "seconds": seconds,
        "peak_mb": int(peak_kb[1]) / 1024,
        "before_mb": before_mb,
        "rows": len(times_s),
    }


def plain_loop(segments: np.ndarray, scores: np.ndarray, sigma: float, min_score: float) -> int:
    """Soft-NMS of one class, candidate after candidate; returns how many are kept."""
    left = [(float(score), *map(float, segment)) for score, segment in zip(scores, segments, strict=True)]
    kept = 0
    while left:
        best = max(range(len(left)), key=lambda place: left[place][0])
        _, start, end = left.pop(best)
        kept += 1
        decayed = []
        for score, other_start, other_end in left:
            shared = max(0.0, min(end, other_end) - max(start, other_start))
            iou = shared / (end - start + other_end - other_start + 2e-6 - shared)
            score *= math.exp(-iou * iou / sigma)
            if score >= min_score:
                decayed.append((score, other_start, other_end))
        left = decayed
    return kept


def suppression(candidates: int = 5000, classes: int = 97) -> None:
    """Compare suppression of so many candidates of every class with a plain loop over one class,
    times the classes."""
    generator = np.random.default_rng(0)
    starts = generator.uniform(0, 600, candidates * classes)
    segments = np.stack([starts, starts + generator.exponential(5, len(starts))], axis=1)
    scores, labels = generator.uniform(0.001, 1, len(starts)), np.repeat(np.arange(classes), candidates)
    settings = {"sigma": 0.4, "min_score": 0.001, "max_segments": 2000, "per_class": True}
    ours = cpu_seconds(lambda: gaussian_soft_nms(segments, scores, labels, **settings), 1)
    began = time.process_time()
    plain_loop(segments[:candidates], scores[:candidates], 0.4, 0.001)
    plain = (time.process_time() - began) * classes
    print(f"soft-NMS, {candidates} candidates x {classes} classes: {ours:.2f} s, plain loop {plain:.0f} s, "
          f"{plain / ours:.0f} x")  # fmt: skip


def show_hours() -> None:
    """Run an hour of video with each head, in a process of its own."""
    for kind in KINDS:
        output = subprocess.check_output([sys.executable, __file__, "--case", kind], text=True)
        found = json.loads(output)
        print(f"an hour ({found['rows']} features), {kind:14} {found['seconds']:6.1f} CPU s, process at most "
              f"{found['peak_mb']:5.0f} MB ({found['before_mb']:.0f} before)", flush=True)  # fmt: skip


def main() -> None:
    """Run every case in a process of its own and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", choices=SIZES, action="append")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--hour", action="store_true", help="an hour of video with each head, and no more")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case in KINDS:
        print(json.dumps(hour(arguments.case)))
        return
    if arguments.hour:
        show_hours()
        return
    if arguments.case:
        size, form, part = arguments.case.split(",")
        print(json.dumps(measure(size, form, part, arguments.steps, arguments.batch)))
        return
    print(f"{'size':8} {'part':10} {'form':6} {'CPU s':>8} {'MB':>7} {'tensors, MB':>12}")
    for size in arguments.size or SIZES:
        for part in ("training", "inference"):
            for form in ("ours", "plain", "floor"):
                words = ["--case", f"{size},{form},{part}", "--steps", str(arguments.steps)]
                words += ["--batch", str(arguments.batch)]
                output = subprocess.check_output([sys.executable, __file__, *words], text=True)
                found = json.loads(output)
                row = f"{size:8} {part:10} {form:6} {found['seconds']:8.2f} {found['peak_mb']:7.0f}"
                print(f"{row} {found['live_mb']:12.0f}", flush=True)
    suppression()


if __name__ == "__main__":
    main()
