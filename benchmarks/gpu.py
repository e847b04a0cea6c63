"""Everything that a device does, measured in one go: networks, heads, and extraction fed by
decoders.

    python -m benchmarks.gpu --json gpu.json       # on a machine with one GPU: under 8 minutes
    python -m benchmarks.gpu --small --device cpu  # the same on sizes for a test; the figures mean nothing

Seconds are medians of at least three calls after two to warm up, with the device waited for; a case
repeats itself until its share of the time is spent. Ratios are to the first line of a group.
"float32" lets matrix products round to TF32. Peak memory is what torch allocated on the device. The
last group says which of decoders and network waits for the other.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks import bmn as bmn_case
from benchmarks import one_stage as one_stage_case
from benchmarks.extraction_videos import render
from benchmarks.networks import networks
from benchmarks.one_stage_plain import PlainActionFormer
from feature_extraction.extractor import Extraction, Extractor, VideoExtraction
from one_stage.losses import OneStageLossConstants, learning_points, one_stage_losses
from runtime.paths import user_path
from tadaconv import create_model, optimize_for_inference
from video_datasets.time_grid import TimeGrid
from video_datasets.video.decoder_process import DecodeJob
from video_datasets.video.drive import drive
from video_datasets.video.reader import StreamSummary

Step = Callable[[], object]
WARM_UP, FEWEST, MOST = 2, 3, 50


@dataclass(frozen=True)
class Sizes:
    """How large everything is, and how long a case may repeat itself."""

    clips: tuple[int, int, int, int] = (16, 8, 128, 170)
    """Batch, frames, height, width of a forward pass."""
    training_clips: tuple[int, int, int, int] = (16, 8, 112, 112)
    bmn: str = "100x100x16"
    one_stage: tuple[str, ...] = ("thumos", "hacs")
    one_stage_batch: int = 2
    network: str = "tada2d_r50"
    """Of the extraction."""
    decoders: tuple[int, ...] = (1, 2, 4, 8)
    videos: int = 8
    video_s: float = 20.0
    case_s: float = 4.0


SMALL = Sizes(
    clips=(1, 4, 32, 32),
    training_clips=(2, 4, 32, 32),
    bmn="8x8x1",
    one_stage=("small",),
    one_stage_batch=1,
    network="tada2d_mini",
    decoders=(1, 2),
    videos=2,
    video_s=1.0,
    case_s=0.0,
)
"""For a test."""
ONE_STAGE_SIZES = {
    **one_stage_case.SIZES,
    "small": {
        "in_channels": 8, "channels": 16, "length": 64, "window": 5, "classes": 3,
        "segments": 2, "segment_rows": 10,
    },
}  # fmt: skip


@dataclass(frozen=True)
class Figure:
    """One line: a case of a group."""

    group: str
    case: str
    seconds: float
    ratio: float
    """Seconds of the group's first case over these: above 1 is faster."""
    peak_mb: float
    note: str = ""


class Bench:
    """Measures steps on a device, and keeps the figures."""

    def __init__(self, device: torch.device, case_s: float) -> None:
        self.device, self.case_s = device, case_s
        self.figures: list[Figure] = []

    def time(self, group: str, case: str, step: Step) -> None:
        """Measure one case; one that the device cannot do is told, and stops no other."""
        self._forget_peak()
        try:
            seconds = self._median(step)
        except (RuntimeError, NotImplementedError) as error:
            note = str(error).strip().splitlines()[0][:100]
            self.add(Figure(group, case, 0.0, 0.0, 0.0, note))
            return
        first = next((figure.seconds for figure in self.figures if figure.group == group), seconds)
        self.add(Figure(group, case, seconds, first / seconds, self._peak_mb()))

    def add(self, figure: Figure) -> None:
        """Keep and show a figure."""
        self.figures.append(figure)
        print(line_of(figure), flush=True)

    def wait(self) -> None:
        """Wait until the device has done what it was given."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _median(self, step: Step) -> float:
        for _ in range(WARM_UP):
            step()
        self.wait()
        seconds: list[float] = []
        while len(seconds) < FEWEST or (sum(seconds) < self.case_s and len(seconds) < MOST):
            start_s = time.perf_counter()
            step()
            self.wait()
            seconds.append(time.perf_counter() - start_s)
        return statistics.median(seconds)

    def _forget_peak(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(self.device)

    def _peak_mb(self) -> float:
        return torch.cuda.max_memory_allocated(self.device) / 1e6 if self.device.type == "cuda" else 0.0


def line_of(figure: Figure) -> str:
    """Return a figure in words."""
    if figure.note:
        return f"{figure.group:<22} {figure.case:<26} {figure.note}"
    return (
        f"{figure.group:<22} {figure.case:<26} {figure.seconds * 1e3:10.2f} ms  {figure.ratio:6.2f} x"
        f"  {figure.peak_mb:8.0f} MB"
    )


# ---- video networks


def clips_of(size: tuple[int, int, int, int], device: torch.device) -> Tensor:
    """Return random clips (B, 3, T, H, W), channels last."""
    batch, *clip = size
    clips = torch.randn(batch, 3, *clip, device=device)
    return clips.contiguous(memory_format=torch.channels_last_3d)


@torch.inference_mode()
def backbone_forward(bench: Bench, sizes: Sizes, compiled: bool) -> None:
    """TAda2D-R50 in both precisions and memory formats, the reference method, R2D."""
    group, clips = "backbone forward", clips_of(sizes.clips, bench.device)
    tada, reference, r2d = (model.eval() for model in networks(bench.device))
    ours, short = optimize_for_inference(tada), optimize_for_inference(tada, dtype=torch.bfloat16)
    bench.time(group, "TAda2D float32", partial(ours.forward_features, clips))
    bench.time(group, "TAda2D not channels-last", partial(ours.forward_features, clips.contiguous()))
    bench.time(group, "TAda2D bfloat16", partial(short.forward_features, clips))
    bench.time(group, "TAda2D reference method", partial(reference.forward_features, clips))
    bench.time(group, "R2D float32", partial(optimize_for_inference(r2d).forward_features, clips))
    if compiled:
        compiled_forward = torch.compile(ours.forward_features, dynamic=False)  # one size is enough
        bench.time(group, "TAda2D float32 compiled", partial(compiled_forward, clips))


def backbone_training(bench: Bench, sizes: Sizes, compiled: bool) -> None:
    """Forward, cross-entropy and backward of TAda2D-R50 and R2D."""
    group, clips = "backbone training", clips_of(sizes.training_clips, bench.device)
    labels = torch.arange(len(clips), device=bench.device)

    def step(model: Callable[[Tensor], Any], parameters: nn.Module, feats: Tensor, short: bool) -> None:
        parameters.zero_grad(set_to_none=True)
        with torch.autocast(bench.device.type, torch.bfloat16, enabled=short):
            loss = F.cross_entropy(model(feats), labels)
        loss.backward()

    tada, reference, r2d = networks(bench.device)
    bench.time(group, "TAda2D float32", partial(step, tada, tada, clips, False))
    bench.time(group, "TAda2D not channels-last", partial(step, tada, tada, clips.contiguous(), False))
    bench.time(group, "TAda2D bfloat16", partial(step, tada, tada, clips, True))
    bench.time(group, "TAda2D reference method", partial(step, reference, reference, clips, False))
    bench.time(group, "R2D float32", partial(step, r2d, r2d, clips, False))
    if compiled:
        bench.time(group, "TAda2D float32 compiled", partial(step, torch.compile(tada), tada, clips, False))


# ---- heads


def bmn(bench: Bench, sizes: Sizes) -> None:
    """BMN beside the dense mask of the released code."""
    case = bmn_case.Case(sizes.bmn, bench.device)
    variants = {name: case.network(name) for name in ("ours", "reference")}
    for group, work in (("BMN training", case.training_step), ("BMN inference", case.forward_pass)):
        for name, network in variants.items():
            bench.time(group, name, work(network))


def one_stage(bench: Bench, name: str, batch: int) -> None:
    """ActionFormer beside its plain form, `benchmarks.one_stage_plain`."""
    size = ONE_STAGE_SIZES[name]
    own = one_stage_case.network_of(size).to(bench.device)
    forms = {"ours": own, "plain": PlainActionFormer(own)}
    length = size["length"]
    feats = torch.randn(batch, size["in_channels"], length, device=bench.device)
    valid = torch.ones(batch, length, dtype=torch.bool, device=bench.device)
    targets = one_stage_case.targets_of(size, own.arch, batch)
    classes, offsets = (part.to(bench.device) for part in targets)
    learning = learning_points(valid, classes, own.arch.levels)

    def train(network: nn.Module) -> None:
        network.train().zero_grad(set_to_none=True)
        outputs = network(feats, valid, learning)
        one_stage_losses(outputs, valid, classes, offsets, OneStageLossConstants())["loss"].backward()

    @torch.inference_mode()
    def infer(network: nn.Module) -> None:
        network.eval()(feats, valid)

    for group, step in ((f"{name} head training", train), (f"{name} head inference", infer)):
        for form, network in forms.items():
            bench.time(group, form, partial(step, network))


# ---- extraction


class Watched:
    """An extraction that notes how long the network was at work."""

    def __init__(self, extraction: VideoExtraction, bench: Bench, busy_s: list[float]) -> None:
        self.inner, self.bench, self.busy_s = Extraction(extraction), bench, busy_s

    def add(self, indices: NDArray[np.int64], frames_NHWC: NDArray[np.uint8]) -> None:
        """Take frames (n, H, W, 3) and their grid indices (n,)."""
        self._timed(partial(self.inner.add, indices, frames_NHWC))

    def finish(self, summary: StreamSummary) -> int:
        """Return how many frames were decoded."""
        self._timed(partial(self.inner.finish, summary))
        return summary.frames_decoded

    def _timed(self, work: Step) -> None:
        start_s = time.perf_counter()
        work()
        self.bench.wait()
        self.busy_s.append(time.perf_counter() - start_s)


def extraction(bench: Bench, sizes: Sizes, scratch: Path) -> None:
    """Features of some videos with ever more decoders; the share of time that the device waits."""
    video = render(scratch / "video.mp4", fps=30, duration_s=sizes.video_s)
    grid = TimeGrid()
    model = optimize_for_inference(create_model(sizes.network).eval(), device=bench.device)
    extractor = Extractor(model, grid, 128, bench.device)
    jobs = [
        DecodeJob(video_id=str(number), path=video, fps=grid.fps, wanted=grid.may_use)
        for number in range(sizes.videos)
    ]
    first_s = 0.0
    for workers in sizes.decoders:
        busy_s: list[float] = []
        start_s = time.perf_counter()
        watched = lambda _: Watched(VideoExtraction(extractor), bench, busy_s)  # noqa: B023, E731
        frames = 0
        for _, result in drive(jobs, watched, workers=workers):
            if isinstance(result, Exception):
                raise result
            frames += result
        took_s = time.perf_counter() - start_s
        first_s = first_s or took_s
        waits = 1 - sum(busy_s) / took_s
        note = (
            f"{frames / took_s:8.0f} frames/s, {first_s / took_s:.2f} x; the device waits "
            f"{100 * waits:.0f} % of the time"
        )
        bench.add(Figure("extraction", f"{workers} decoders", took_s, first_s / took_s, 0.0, note))


def measure(device: torch.device, sizes: Sizes, *, compiled: bool = False) -> dict[str, Any]:
    """Measure everything; return it as plain values."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    torch.manual_seed(0)
    bench = Bench(device, sizes.case_s)
    backbone_forward(bench, sizes, compiled)
    backbone_training(bench, sizes, compiled)
    bmn(bench, sizes)
    for name in sizes.one_stage:
        one_stage(bench, name, sizes.one_stage_batch)
    with tempfile.TemporaryDirectory(prefix="tadaloc-gpu-") as scratch:
        extraction(bench, sizes, Path(scratch))
    card = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return {
        "device": card,
        "torch": torch.__version__,
        "sizes": asdict(sizes),
        "figures": [asdict(figure) for figure in bench.figures],
    }


def main() -> int:
    """Measure, print, and return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--small", action="store_true", help="sizes for a test")
    parser.add_argument("--compile", action="store_true", help="also torch.compile, which takes minutes")
    parser.add_argument("--json", type=user_path, metavar="FILE", help="also write the figures")
    arguments = parser.parse_args()
    if arguments.device.startswith("cuda") and not torch.cuda.is_available():
        print("error: torch sees no GPU; --small --device cpu tries the command out", file=sys.stderr)
        return 2
    found = measure(
        torch.device(arguments.device), SMALL if arguments.small else Sizes(), compiled=arguments.compile
    )
    if arguments.json:
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
