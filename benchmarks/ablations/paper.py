"""The tables of the study: their rows, the paper's figure beside each, and the order that the paper
finds.

Paper: TAda! Temporally-Adaptive Convolutions for Video Understanding (ICLR 2022, arXiv 2110.06178),
top-1 accuracy in percent on Something-Something V2, ResNet-50 with ImageNet weights, 8 frames
(SlowFast 4 + 32).

The paper itself was not at hand when this was written. Its column therefore holds only what the
model zoo of the released code confirms (projects/tada/README.md: TAda2D-R50, 8 frames, 64.0); the
other cells are for whoever has the paper open. The order of the main rows is the paper's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from benchmarks.ablations.variants import (
    Variant,
    aggregated,
    calibrated,
    last_stages,
    of_branch,
    r2p1d,
    r3d,
    slowfast,
    tada2d,
)
from tadaconv.branches import R2D


@dataclass(frozen=True)
class Row:
    """One network of a table; paper: top-1 accuracy in percent, None where we could not confirm
    it."""

    variant: Variant
    paper: float | None = None


@dataclass(frozen=True)
class Table:
    """Rows by label, and what the paper finds.

    Attributes:
        order: (worse, better) labels.
    """

    title: str
    rows: Mapping[str, Row]
    order: tuple[tuple[str, str], ...] = field(default=())


_PER_FRAME = Row(of_branch(R2D))
_CALIBRATED = Row(calibrated())
_TADA2D = Row(aggregated(), 64.0)

TABLES: Mapping[str, Table] = {
    "3a": Table(
        "Table 3a: how the calibration is computed (kernels: temporal, of the router's two layers)",
        {
            "no calibration (per frame, TSN)": _PER_FRAME,
            "local, linear, kernel 1": Row(calibrated((1, 1), nonlinear=False, global_context=False)),
            "local, linear, kernel 3": Row(calibrated((3, 1), nonlinear=False, global_context=False)),
            "local, kernels 1 1": Row(calibrated((1, 1), global_context=False)),
            "local, kernels 3 1": Row(calibrated((3, 1), global_context=False)),
            "local, kernels 1 3": Row(calibrated((1, 3), global_context=False)),
            "local, kernels 3 3": Row(calibrated(global_context=False)),
            "global, linear, kernel 1": Row(calibrated((1, 1), nonlinear=False)),
            "global, kernels 1 1": Row(calibrated((1, 1))),
            "local + global, kernels 3 3": _CALIBRATED,
        },
        order=(
            ("no calibration (per frame, TSN)", "local, kernels 3 3"),
            ("no calibration (per frame, TSN)", "global, kernels 1 1"),
            ("local, kernels 3 3", "local + global, kernels 3 3"),
            ("global, kernels 1 1", "local + global, kernels 3 3"),
        ),
    ),
    "3b": Table(
        "Table 3b: how frames are aggregated behind the convolution",
        {
            "per frame": _PER_FRAME,
            "per frame, average alone": Row(aggregated(shortcut=False, separate_bn=False, calibration=False)),
            "per frame, shortcut + average": Row(aggregated(separate_bn=False, calibration=False)),
            "per frame, separate BNs": Row(aggregated(calibration=False)),
            "TAdaConv": _CALIBRATED,
            "TAdaConv, average alone": Row(aggregated(shortcut=False, separate_bn=False)),
            "TAdaConv, shortcut + average": Row(aggregated(separate_bn=False)),
            "TAdaConv, separate BNs (TAda2D)": _TADA2D,
            "TAdaConv, separate BNs, maximum": Row(aggregated("max")),
            "TAdaConv, separate BNs, mix": Row(aggregated("mix")),
        },
        order=(
            ("per frame", "per frame, separate BNs"),
            ("per frame, separate BNs", "TAdaConv, separate BNs (TAda2D)"),
            ("TAdaConv", "TAdaConv, separate BNs (TAda2D)"),
            ("TAdaConv, average alone", "TAdaConv, separate BNs (TAda2D)"),
            ("TAdaConv, shortcut + average", "TAdaConv, separate BNs (TAda2D)"),
        ),
    ),
    "4": Table(
        "Table 4: what alpha scales",
        {
            "input channels (TAda2D)": _TADA2D,
            "output channels": Row(tada2d(cal_dim="cout")),
            "input and output channels": Row(tada2d(cal_dim="cin_cout")),
            "positions of the kernel": Row(tada2d(cal_dim="k2")),
        },
    ),
    "fig3": Table(
        "Figure 3: where TAda2D's branch stands, and how many channels are calibrated",
        {
            "no stage": Row(of_branch(R2D)),
            "last stage": Row(last_stages(1)),
            "last two stages": Row(last_stages(2)),
            "last three stages": Row(last_stages(3)),
            "all stages (TAda2D)": Row(aggregated()),
            "1/8 of the channels": Row(tada2d(share=1 / 8)),
            "1/4 of the channels": Row(tada2d(share=1 / 4)),
            "1/2 of the channels": Row(tada2d(share=1 / 2)),
        },
    ),
    "2": Table(
        "Table 2: TAdaConv plugged into other networks",
        {
            "R(2+1)D": Row(r2p1d()),
            "R(2+1)D + TAdaConv (2d)": Row(r2p1d("b1")),
            "R(2+1)D + TAdaConv (2d+1d)": Row(r2p1d("b1", "b2")),
            "R3D": Row(r3d()),
            "R3D + TAdaConv (3d)": Row(r3d(with_tada=True)),
            "SlowFast": Row(slowfast()),
            "SlowFast + TAdaConv": Row(slowfast(with_tada=True)),
        },
        order=(
            ("R(2+1)D", "R(2+1)D + TAdaConv (2d)"),
            ("R3D", "R3D + TAdaConv (3d)"),
            ("SlowFast", "SlowFast + TAdaConv"),
        ),
    ),
}

MAIN_VARIANTS = frozenset(
    table.rows[label].variant for table in TABLES.values() for pair in table.order for label in pair
)
"""The networks that the paper's order is about: they are trained with several seeds."""
