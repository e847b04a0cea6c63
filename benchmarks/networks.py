"""Cost of TAdaConv: TAda2D-R50 beside the reference method and beside the plain R2D-R50.

    (a) reference   the same weights; every TAdaConv forms one kernel per frame and runs a convolution with B * T
                    groups, all others are conv3d on contiguous tensors, the average is avg_pool3d:
                    the method of the released code
    (b) R2D         the per-frame network, optimised in the same way

All variants run in one process, in turn, so that other load hits them alike; ratios are of medians.

    python benchmarks/networks.py                    the whole table; about 10 minutes on two idle cores
    python benchmarks/networks.py --rounds 2 --only 1x8x128x170
    python benchmarks/networks.py --clock cpu        CPU time in place of wall time: for a busy machine
    python benchmarks/networks.py --device cuda
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tadaconv import TAdaConv2d, VideoNetwork, create_model, load_weights, optimize_for_inference
from tadaconv.branches import Bottleneck
from tadaconv.costs import count_costs
from tadaconv.layers import ClipConv

INFERENCE = ("1x8x224x224", "4x8x224x224", "1x8x128x170", "4x8x128x170")
TRAINING = ("2x8x112x112",)
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
PEAK_LAYERS = ((64, 56), (128, 28), (256, 14), (512, 7))  # channels and pixels of ResNet-50's 3x3 layers


class PerFrameKernels(TAdaConv2d):
    """The reference method: B * T calibrated kernels, one convolution with B * T groups."""

    def forward(self, x: Tensor, alpha: Tensor) -> Tensor:
        """As TAdaConv2d, for cal_dim "cin" without a bias."""
        n_clips, _, n_frames = x.shape[:3]
        factors = alpha.permute(0, 2, 1, 3, 4).unsqueeze(2)  # B x T x 1 x Ci x 1 x 1
        y = F.conv2d(
            x.permute(0, 2, 1, 3, 4).reshape(1, -1, *x.shape[3:]),
            (factors * self.weight).flatten(0, 2),
            None,
            self.stride[1:],
            self.padding[1:],
            self.dilation[1:],
            groups=n_clips * n_frames,
        )
        return y.view(n_clips, n_frames, self.out_channels, *y.shape[2:]).permute(0, 2, 1, 3, 4)


class PlainConv3d(ClipConv):
    """A convolution as conv3d, on contiguous tensors."""

    def forward(self, x: Tensor) -> Tensor:
        """As ClipConv."""
        return nn.Conv3d.forward(self, x.contiguous())


class PooledAverage(Bottleneck):
    """The branch of TAda2D with its average taken by avg_pool3d."""

    def normalise(self, name: str, y: Tensor) -> Tensor:
        """As Bottleneck."""
        average = F.avg_pool3d(y, (3, 1, 1), stride=1, padding=(1, 0, 0))
        normalised: Tensor = self.get_submodule("b_bn")(y) + self.b_avgpool_bn(average)
        return normalised


def reference_of(model: VideoNetwork) -> VideoNetwork:
    """The same network and weights, run by the reference method."""
    reference = create_model("tada2d_r50")
    load_weights(reference, model.state_dict())
    of_reference = {TAdaConv2d: PerFrameKernels, ClipConv: PlainConv3d, Bottleneck: PooledAverage}
    for module in reference.modules():
        if type(module) in of_reference:
            module.__class__ = of_reference[type(module)]
    return reference


def networks(device: torch.device) -> tuple[VideoNetwork, VideoNetwork, VideoNetwork]:
    """TAda2D with an active router, its reference, and R2D."""
    torch.manual_seed(0)
    tada, r2d = create_model("tada2d_r50"), create_model("r2d_r50")
    for name, parameter in tada.named_parameters():
        if name.endswith("b_rf.b.weight"):
            nn.init.normal_(parameter, std=0.01)
    return tada.to(device), reference_of(tada).to(device), r2d.to(device)


def measure(steps: Mapping[str, Callable[[], object]], rounds: int, clock: str) -> dict[str, float]:
    """Median seconds of each step; the steps take turns, after one round to warm up."""
    seconds: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(rounds + 1):
        for name, step in steps.items():
            start = CLOCKS[clock]()
            step()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if number > 0:
                seconds[name].append(CLOCKS[clock]() - start)
    return {name: statistics.median(values) for name, values in seconds.items()}


def inference(size: str, rounds: int, clock: str, device: torch.device) -> None:
    """One line of the table of forward passes."""
    tada, reference, r2d = (model.eval() for model in networks(device))
    n_clips, *clip = map(int, size.split("x"))
    clips = torch.randn(n_clips, 3, *clip, device=device).contiguous(memory_format=torch.channels_last_3d)
    models = {
        "tada": optimize_for_inference(tada),
        "reference": reference,
        "r2d": optimize_for_inference(r2d),
    }
    if device.type != "cpu" or torch.ops.mkldnn._is_mkldnn_bf16_supported():
        models["bf16"] = optimize_for_inference(tada, dtype=torch.bfloat16)
    with torch.inference_mode():
        feats = {name: model.forward_features(clips) for name, model in models.items()}
        error = (feats["tada"] - feats["reference"]).abs().max() / feats["reference"].abs().max()
        if error > 1e-4:
            raise SystemExit(f"TAda2D and its reference differ by {error:.1e}: nothing to compare")
        steps = {name: partial(model.forward_features, clips) for name, model in models.items()}
        s = measure(steps, rounds, clock)
    line = report(f"forward  {size}", s)
    macs = n_clips * count_costs("tada2d_r50", (clip[0], clip[1], clip[2])).gmacs * 1e9
    floor = s["tada"] / (2 * macs / peak_flops(device, clock))
    bf16 = f"bf16 {s['tada'] / s['bf16']:.2f} x faster" if "bf16" in s else "no bf16 instructions"
    print(f"{line} | {bf16} | {floor:.2f} x the floor", flush=True)


def training(size: str, rounds: int, clock: str, device: torch.device) -> None:
    """One line of the table of training steps: forward, cross-entropy, backward."""
    n_clips, *clip = map(int, size.split("x"))
    clips = torch.randn(n_clips, 3, *clip, device=device).contiguous(memory_format=torch.channels_last_3d)
    labels = torch.arange(n_clips, device=device)

    def step(model: VideoNetwork) -> None:
        model.zero_grad(set_to_none=True)
        logits = model(clips)
        assert isinstance(logits, Tensor)
        F.cross_entropy(logits, labels).backward()

    models = dict(zip(("tada", "reference", "r2d"), networks(device), strict=True))
    steps = {name: partial(step, model) for name, model in models.items()}
    print(report(f"training {size}", measure(steps, rounds, clock)), flush=True)


def report(label: str, s: Mapping[str, float]) -> str:
    """Seconds and the two ratios that matter."""
    return (
        f"{label:<22} TAda2D {s['tada']:.3f} s, reference {s['reference']:.3f}, R2D {s['r2d']:.3f} | "
        f"{s['reference'] / s['tada']:.2f} x faster than the reference | {s['tada'] / s['r2d']:.3f} x R2D"
    )


def peak_flops(device: torch.device, clock: str) -> float:
    """The best rate that a 3x3 convolution of ResNet-50 reaches here, in FLOP/s."""
    best = 0.0
    for channels, side in PEAK_LAYERS:
        images = torch.randn(16, channels, side, side, device=device)
        images = images.contiguous(memory_format=torch.channels_last)
        kernel = torch.randn(channels, channels, 3, 3, device=device)
        with torch.inference_mode():
            conv = partial(F.conv2d, images, kernel, padding=1)
            seconds = measure({"conv": conv}, 5, clock)["conv"]
        best = max(best, 2 * images.numel() * channels * 9 / seconds)
    return best


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", nargs="+", metavar="BxTxHxW", default=[*INFERENCE, *TRAINING])
    options = parser.parse_args()
    device = torch.device(options.device)
    print(f"torch {torch.__version__}, {device}, {torch.get_num_threads()} threads, {options.clock} time")
    for size in options.only:
        run = training if size in TRAINING else inference
        run(size, options.rounds, options.clock, device)


if __name__ == "__main__":
    main()
