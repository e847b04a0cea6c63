"""Cost of BMN: our sparse, folded network beside the dense-mask layer of the released code.

    reference   the same weights; the sequence is multiplied with the dense sampling mask (T, N * D * T), the
                tensor (B, C, N, D, T) that results goes through Conv3d (N, 1, 1), the map through
                Conv2d

Both run in one process, in turn, so that other load hits them alike; seconds are medians, ratios
are of medians. Outputs are compared before anything is timed. A training step is forward, three
losses, backward and AdamW, with 2048 channels in. Peak memory is the high-water mark of the
resident set above its level after set-up (model, mask, data, optimiser), each variant in a fresh
process (on a GPU: of allocated memory); Linux. The floor is the time that the multiply-adds of our
step take at the best rate of a matrix product here.

    python -m benchmarks.bmn                       all tables; about 3 minutes on two idle cores
    python -m benchmarks.bmn --rounds 2 --only 100x100x1
    python -m benchmarks.bmn --clock cpu           CPU time in place of wall time: for a busy machine
    python -m benchmarks.bmn --device cuda
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.networks import CLOCKS, measure
from bmn import BMN, bmn_loss, boundary_labels, validity_mask
from bmn.sampling import sampling_matrix
from bmn.settings import BmnConfig
from training.optimizer import build_optimizer

ROOT = Path(__file__).resolve().parents[1]
IN_CHANNELS, NUM_SAMPLES, PER_BIN, RATIO = 2048, 32, 3, 0.5
COMPARED = ("100x100x1", "100x100x4")
"""T x D x batch of the cases that the reference runs, too."""
ALONE = ("200x100x4",)
"""Cases of ours alone: the reference would need 9 GB."""
SEGMENTS = [[0.1, 0.4], [0.35, 0.45], [0.5, 0.9]]
TOLERANCE = 1e-5
STEPS_FOR_MEMORY = 2  # the second one has gradients and optimiser state from the start


class DenseMaskBMN(nn.Module):
    """The reference method, on the modules of a BMN."""

    def __init__(self, model: BMN) -> None:
        super().__init__()
        for module in model.modules():
            if isinstance(module, nn.ReLU):
                module.inplace = True  # as in the released code
        self.model, self.shape = model, (NUM_SAMPLES, model.dscale, model.tscale)
        mask = np.zeros((model.tscale, *self.shape), dtype=np.float32)
        weights = sampling_matrix(model.tscale, model.dscale, NUM_SAMPLES, PER_BIN, RATIO).tocoo()
        cell, (position, sample) = weights.row, np.divmod(weights.col, NUM_SAMPLES)
        duration, start = np.nonzero(validity_mask(model.tscale, model.dscale))
        mask[position, sample, duration[cell], start[cell]] = weights.data
        self.register_buffer("mask", torch.from_numpy(mask).flatten(1))

    def forward(self, feats_BCT: Tensor) -> dict[str, Tensor]:
        """As BMN."""
        head = self.model.head
        feats = self.model.backbone(feats_BCT)
        sampled = (head.x_1d_p(feats) @ self.mask).unflatten(-1, self.shape)  # B, C, N, D, T
        return {
            "start": head.x_1d_s(feats).squeeze(1).sigmoid(),
            "end": head.x_1d_e(feats).squeeze(1).sigmoid(),
            "confidence_map": head.x_2d_p(head.x_3d_p(sampled).squeeze(2)).sigmoid(),
        }


class Case:
    """One size: features, labels, and the work to be timed."""

    def __init__(self, size: str, device: torch.device) -> None:
        self.tscale, self.dscale, self.batch = map(int, size.split("x"))
        self.device = device
        torch.manual_seed(0)
        self.feats = torch.randn(self.batch, IN_CHANNELS, self.tscale, device=device)
        labels = boundary_labels(SEGMENTS, self.tscale, self.dscale)
        self.labels = [torch.from_numpy(a).expand(self.batch, *a.shape).to(device) for a in labels]

    def network(self, variant: str) -> nn.Module:
        """ "ours" or "reference", with the same weights."""
        torch.manual_seed(0)
        model = BMN(IN_CHANNELS, self.tscale, self.dscale, NUM_SAMPLES, PER_BIN, RATIO)
        return (model if variant == "ours" else DenseMaskBMN(model)).to(self.device)

    def training_step(self, network: nn.Module) -> Callable[[], None]:
        """A step with the optimiser of the stage."""
        optimizer = build_optimizer(network, BmnConfig(learning_rate=1e-4))

        def step() -> None:
            optimizer.zero_grad(set_to_none=True)
            draw = torch.Generator(self.device).manual_seed(0)
            bmn_loss(network(self.feats), *self.labels, generator=draw)["loss"].backward()
            optimizer.step()

        return step

    def forward_pass(self, network: nn.Module) -> Callable[[], None]:
        """A forward pass without gradients."""

        def forward() -> None:
            with torch.inference_mode():
                network(self.feats)

        return forward


def check_equal(case: Case, networks: dict[str, nn.Module]) -> None:
    """Stop if the two compute different things."""
    with torch.inference_mode():
        ours, reference = (networks[name](case.feats) for name in ("ours", "reference"))
    worst = max(float((ours[name] - reference[name]).abs().max()) for name in ours)
    if worst > TOLERANCE:
        raise SystemExit(f"ours and the reference differ by {worst:.1e}: nothing to compare")


def compare(size: str, rounds: int, clock: str, device: torch.device) -> None:
    """One size against the reference: time and memory of the step, time of the forward pass."""
    case = Case(size, device)
    networks = {name: case.network(name) for name in ("ours", "reference")}
    check_equal(case, networks)
    for label, work in (("training step", case.training_step), ("forward, no grad", case.forward_pass)):
        s = measure({name: work(network) for name, network in networks.items()}, rounds, clock)
        print(
            f"{size:<10} {label:<17} ours {s['ours']:8.4f} s, reference {s['reference']:8.4f} s: "
            f"{s['reference'] / s['ours']:5.1f} x faster",
            flush=True,
        )
    mib = {name: peak_memory(size, name, device) for name in networks}
    print(
        f"{size:<10} {'peak of the step':<17} ours {mib['ours']:6.0f} MiB, reference {mib['reference']:6.0f} MiB: "
        f"1/{mib['reference'] / mib['ours']:.1f}",
        flush=True,
    )


def alone(size: str, rounds: int, clock: str, device: torch.device) -> None:
    """One size of ours alone: time, distance from the floor, memory."""
    case = Case(size, device)
    network = case.network("ours")
    step = case.training_step(network)
    step_s = measure({"step": step}, rounds, clock)["step"]
    floor_s = 2 * step_multiply_adds(case, network, step) / peak_flops(device, clock)
    mib = peak_memory(size, "ours", device)
    print(
        f"{size:<10} {'step, ours alone':<17} {step_s:8.4f} s, {step_s / floor_s:.1f} x the floor of {floor_s:.4f} s; "
        f"peak {mib:.0f} MiB",
        flush=True,
    )


def step_multiply_adds(case: Case, network: nn.Module, step: Callable[[], None]) -> float:
    """Multiply-adds of a training step: products and convolutions as counted, and the sparse
    sampling."""
    with FlopCounterMode(display=False) as counter:
        step()
    entries = sampling_matrix(case.tscale, case.dscale, NUM_SAMPLES, PER_BIN, RATIO).nnz
    conv_3d = network.get_submodule("head.x_3d_p.0")
    assert isinstance(conv_3d, nn.Conv3d)
    return counter.get_total_flops() / 2 + 2 * case.batch * entries * conv_3d.out_channels


def peak_flops(device: torch.device, clock: str) -> float:
    """FLOP/s of a large matrix product."""
    side = 1024 if device.type == "cpu" else 8192
    factors = torch.randn(2, side, side, device=device)
    return 2 * side**3 / measure({"mm": partial(torch.mm, *factors)}, 5, clock)["mm"]


def peak_memory(size: str, variant: str, device: torch.device) -> float:
    """MiB above the level after set-up, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.bmn", "--device", str(device), "--peak-of", variant]
    done = subprocess.run([*command, "--only", size], cwd=ROOT, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


def own_peak(size: str, variant: str, device: torch.device) -> float:
    """The same, of this process: MiB that two training steps add at their worst moment."""
    case = Case(size, device)
    step = case.training_step(case.network(variant))
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
    else:
        Path("/proc/self/clear_refs").write_text("5")  # the high-water mark starts again from here
        before = resident_bytes("VmRSS")
    for _ in range(STEPS_FOR_MEMORY):
        step()
    after = torch.cuda.max_memory_allocated() if device.type == "cuda" else resident_bytes("VmHWM")
    return (after - before) / 2**20


def resident_bytes(name: str) -> int:
    """VmRSS or VmHWM of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--only", nargs="+", metavar="TxDxB", default=[*COMPARED, *ALONE])
    parser.add_argument("--peak-of", choices=("ours", "reference"), help="print one figure of memory")
    options = parser.parse_args()
    device = torch.device(options.device)
    if options.peak_of:
        print(own_peak(options.only[0], options.peak_of, device))
        return
    print(f"torch {torch.__version__}, {device}, {torch.get_num_threads()} threads, {options.clock} time")
    for size in options.only:
        if size not in ALONE:
            compare(size, options.rounds, options.clock, device)
        alone(size, options.rounds, options.clock, device)


if __name__ == "__main__":
    main()
