"""The networks of the study: specifications of `tadaconv`'s public classes, all of one small
ResNet.

For 32-pixel clips: four stages of one block, at 8, 4, 2 and 1 pixels, with 16, 32, 64 and 128
channels. Small enough that a training takes seconds; otherwise the networks that the paper's tables
compare (TAda!, ICLR 2022).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import Any

from tadaconv.aggregation import Aggregation
from tadaconv.branches import R2D, R2P1D, R3D, SLOW_LATE, TADA2D, Branch, calibrate
from tadaconv.calibration import Calibration
from tadaconv.resnet import ResNetSpec
from tadaconv.slowfast import SlowFastSpec

BASE = ResNetSpec(
    branches=(R2D,) * 4,
    depths=(1, 1, 1, 1),
    widths=(8, 16, 32, 64),
    expansion=2,
    stem_width=16,
    stem_stride=4,
    strides=(1, 2, 2, 2),
)


@dataclass(frozen=True)
class Variant:
    """One network to train.

    Attributes:
        spec: the network.
        clip_frames: frames of its clips, one of each of so many equal parts of a segment.
    """

    spec: ResNetSpec | SlowFastSpec
    clip_frames: int = 8

    def parts(self) -> dict[str, Any]:
        """All that distinguishes it, as plain values."""
        return {"family": type(self.spec).__name__, **asdict(self)}


def of_branch(branch: Branch) -> Variant:
    """All four stages with the same branch."""
    return Variant(replace(BASE, branches=(branch,) * 4))


def calibrated(
    kernels: tuple[int, int] = (3, 3), *, nonlinear: bool = True, global_context: bool = True
) -> Variant:
    """Calibration alone, without aggregation (Table 3a)."""
    calibration = Calibration(kernels=kernels, nonlinear=nonlinear, global_context=global_context)
    return of_branch(replace(calibrate(R2D), calibration=calibration))


def aggregated(
    pool: str = "avg", *, shortcut: bool = True, separate_bn: bool = True, calibration: bool = True
) -> Variant:
    """Aggregation behind calibrated convolutions, or behind plain ones (Table 3b)."""
    branch = calibrate(R2D) if calibration else R2D
    aggregation = Aggregation(pool=pool, shortcut=shortcut, separate_bn=separate_bn)
    return of_branch(replace(branch, aggregation=aggregation))


def tada2d(*, cal_dim: str = "cin", share: float = 1.0) -> Variant:
    """TAda2D whose alpha scales something else (Table 4), or only some of the channels (Fig. 3)."""
    return of_branch(replace(TADA2D, calibration=Calibration(cal_dim=cal_dim, share=share)))


def last_stages(count: int) -> Variant:
    """TAda2D's branch in the last `count` stages, R2D's in front of them (Fig. 3)."""
    return Variant(replace(BASE, branches=(R2D,) * (4 - count) + (TADA2D,) * count))


def r2p1d(*names: str) -> Variant:
    """R(2+1)D, with TAdaConvs in place of these of its convolutions "b1" (2D) and "b2" (1D)."""
    return of_branch(calibrate(R2P1D, *names) if names else R2P1D)


def r3d(*, with_tada: bool = False) -> Variant:
    """R3D, whose stem spans three frames as well."""
    branch = calibrate(R3D) if with_tada else R3D
    return Variant(replace(BASE, branches=(branch,) * 4, stem_kernel=(3, 7)))


def slowfast(*, with_tada: bool = False) -> Variant:
    """SlowFast: 4 slow and 16 fast frames, the fast path with a quarter of the channels."""
    slow = replace(BASE, branches=(R2D, R2D, SLOW_LATE, SLOW_LATE))
    fast = replace(BASE, branches=(SLOW_LATE,) * 4, widths=(4, 4, 8, 16), stem_width=4, stem_kernel=(5, 7))
    if with_tada:
        slow, fast = (replace(s, branches=tuple(map(calibrate, s.branches))) for s in (slow, fast))
    return Variant(SlowFastSpec(slow=slow, fast=fast, alpha=4, fusion_frames=5), clip_frames=16)
