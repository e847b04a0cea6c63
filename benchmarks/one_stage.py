"""Time and memory of ActionFormer here, of a plain form with dense masked attention, and the
multiply-add floor.

    python benchmarks/one_stage.py                        # everything; minutes on a laptop
    python benchmarks/one_stage.py --size hacs --steps 3

The plain form is the same network, its attention over all T x T pairs with a mask and its norms
written out. The floor is the time that matrix products of the same number of multiply-adds take at
the speed of one large product. Times are of one thread's own seconds (CPU time), so that other work
on the machine matters little; each case runs in a process of its own, whose peak memory is given.
At the end: suppression of candidates against a plain loop.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402
from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from one_stage import transformer  # noqa: E402
from one_stage.architecture import Architecture  # noqa: E402
from one_stage.labels import pyramid_points  # noqa: E402
from one_stage.layers import SequenceNorm  # noqa: E402
from one_stage.losses import OneStageLossConstants, one_stage_losses  # noqa: E402
from one_stage.network import OneStageNetwork  # noqa: E402
from one_stage.weights import regression_ranges  # noqa: E402
from proposals import gaussian_soft_nms  # noqa: E402

SIZES = {
    "thumos": {"in_channels": 2048, "channels": 512, "length": 2304, "window": 19, "classes": 20},
    "hacs": {"in_channels": 2304, "channels": 256, "length": 960, "window": 13, "classes": 200},
}


def dense_attention(q: Tensor, k: Tensor, v: Tensor, valid_BT: Tensor, radius: int | None) -> Tensor:
    """Attention over all pairs of rows, with a mask."""
    length = q.shape[2]
    rows = torch.arange(length, device=q.device)
    allowed = valid_BT[:, None, None] & ((rows - rows[:, None]).abs() <= (radius or length))
    logits = (q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)
    return logits.masked_fill(~allowed, -math.inf).softmax(-1) @ v


def plain_norm(norm: SequenceNorm, values: Tensor) -> Tensor:
    """Layer norm over channels, written out."""
    centred = values - values.mean(dim=1, keepdim=True)
    normed = centred / torch.sqrt((centred**2).mean(dim=1, keepdim=True) + norm.eps)
    return normed * norm.weight[:, None] + norm.bias[:, None]


def made_plain() -> None:
    """Put the plain forms in place."""
    transformer.band_attention = dense_attention  # type: ignore[assignment]
    SequenceNorm.forward = plain_norm  # type: ignore[assignment,method-assign]


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
        return {"seconds": floor_seconds(size, batch, training=part == "training"), "peak_mb": 0.0}
    if form == "plain":
        made_plain()
    network, length = network_of(size), size["length"]
    feats = torch.randn(batch, size["in_channels"], length)
    valid = torch.ones(batch, length, dtype=torch.bool)
    points = len(pyramid_points(length, network.arch.regression_ranges))
    classes = torch.zeros(batch, points, size["classes"], dtype=torch.bool)
    classes[:, ::97, 0] = True
    offsets = torch.ones(batch, points, 2)
    before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    def step() -> None:
        network.zero_grad(set_to_none=True)
        outputs = network(feats, valid)
        one_stage_losses(outputs, valid, classes, offsets, OneStageLossConstants())["loss"].backward()

    def infer() -> None:
        with torch.inference_mode():
            network(feats, valid)

    network.train(part == "training")
    seconds = cpu_seconds(step if part == "training" else infer, steps)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": seconds, "peak_mb": peak_mb - before_mb}


def floor_seconds(size: dict[str, int], batch: int, *, training: bool) -> float:
    """Multiply-adds of the network over the speed of a large matrix product; backward costs
    twice the forward."""
    network: nn.Module = network_of(size)
    feats = torch.zeros(1, size["in_channels"], size["length"])
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        network(feats, torch.ones(1, size["length"], dtype=torch.bool))
    a, b = torch.randn(1024, 1024), torch.randn(1024, 1024)
    product_s = cpu_seconds(lambda: [a @ b for _ in range(5)], 5) / 5
    return counter.get_total_flops() / (2 * 1024**3) * product_s * batch * (3 if training else 1)


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


def main() -> None:
    """Run every case in a process of its own and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", choices=SIZES, action="append")
    parser.add_argument("--steps", type=int, default=2)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        size, form, part = arguments.case.split(",")
        print(json.dumps(measure(size, form, part, arguments.steps, arguments.batch)))
        return
    print(f"{'size':8} {'part':10} {'form':6} {'CPU s':>8} {'MB':>7}")
    for size in arguments.size or SIZES:
        for part in ("training", "inference"):
            for form in ("ours", "plain", "floor"):
                words = ["--case", f"{size},{form},{part}", "--steps", str(arguments.steps)]
                words += ["--batch", str(arguments.batch)]
                output = subprocess.check_output([sys.executable, __file__, *words], text=True)
                found = json.loads(output)
                print(
                    f"{size:8} {part:10} {form:6} {found['seconds']:8.2f} {found['peak_mb']:7.0f}", flush=True
                )
    suppression()


if __name__ == "__main__":
    main()
