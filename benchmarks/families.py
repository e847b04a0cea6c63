"""Speed of every family of networks: optimised for inference, beside its plain modules.

    plain       the network as `create_model` builds it, attention as products and a softmax
    optimised   `optimize_for_inference`: folded norms, fused convolutions, attention in one kernel
    bf16        the same in bfloat16, where the processor has instructions for it

All forms of a network run in one process, in turn; ratios are of medians.

    python -m benchmarks.families                          one thread, CPU time: a few minutes
    python -m benchmarks.families --rounds 9 r2d3d_18 r2p1d_10
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from benchmarks.networks import CLOCKS, measure
from tadaconv import VideoNetwork, create_model, optimize_for_inference
from tadaconv.costs import count_costs

CLIPS = {
    "r2d3d_18": (16, 112, 112),
    "r2p1d_10": (16, 112, 112),
    "s3dg": (16, 224, 224),
    "csn_r152": (8, 224, 224),
    "vivit_fac_enc_b16": (8, 224, 224),
    "vivit_b16": (8, 224, 224),
    "timesformer_b16": (8, 224, 224),
}
"""Networks and the clips that they are shown: (T, H, W)."""


def forward(
    model: VideoNetwork, clips: Tensor, context: Callable[[], AbstractContextManager[object]] = nullcontext
) -> Callable[[], Tensor]:
    """A step that computes features."""

    def step() -> Tensor:
        with context():
            return model.forward_features(clips)

    return step


def compare(name: str, rounds: int, clock: str) -> str:
    """One line: seconds, ratios, and the largest difference as a share of the largest feature."""
    clip = CLIPS[name]
    torch.manual_seed(0)
    model = create_model(name, input_size=clip).eval()
    clips = torch.randn(1, 3, *clip).contiguous(memory_format=torch.channels_last_3d)
    with torch.inference_mode():
        steps = {
            "plain": forward(model, clips, lambda: sdpa_kernel(SDPBackend.MATH)),
            "optimised": forward(optimize_for_inference(model), clips),
        }
        if torch.ops.mkldnn._is_mkldnn_bf16_supported():
            steps["bf16"] = forward(optimize_for_inference(model, torch.bfloat16), clips)
        found = {form: step() for form, step in steps.items()}
        s = measure(steps, rounds, clock)
    scale = found["plain"].abs().max()
    errors = {form: float((value - found["plain"]).abs().max() / scale) for form, value in found.items()}
    bf16 = f"bf16 {s['optimised'] / s['bf16']:.2f} x ({errors['bf16']:.0e})" if "bf16" in s else "no bf16"
    return (
        f"{name:<18} {'x'.join(map(str, clip)):<11} {count_costs(name, clip).gmacs:7.2f} GMAC | plain "
        f"{s['plain']:.3f} s, optimised {s['optimised']:.3f}: {s['plain'] / s['optimised']:.2f} x "
        f"({errors['optimised']:.0e}) | {bf16}"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NETWORK", help="default: all")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clock", choices=CLOCKS, default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {options.clock} time")
    for name in options.names or CLIPS:
        print(compare(name, options.rounds, options.clock), flush=True)


if __name__ == "__main__":
    main()
