"""The tables of the study: their rows, the paper's figure beside each, and the order that the paper finds.

Paper: TAda! Temporally-Adaptive Convolutions for Video Understanding (ICLR 2022, arXiv 2110.06178), top-1 accuracy in
percent on Something-Something V2, ResNet-50 with ImageNet weights, 8 frames (SlowFast 4 + 32). Fig. 3 is a plot and
gives no numbers.

Only some of these figures could be compared with a public source other than the paper (`CONFIRMED_BY`). The others
were noted down from memory of the paper and are still to be compared with it: `checked` is False, and they are
printed with a "~".
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

CONFIRMED_BY = "model zoo of the released code, projects/tada/README.md: TAda2D-R50, 8 frames, SSV2, 64.0"


@dataclass(frozen=True)
class PaperFigure:
    """Top-1 accuracy in percent as the paper gives it.

    Attributes:
        checked: whether it was compared with a public source.
    """

    top1: float
    checked: bool = False

    def __str__(self) -> str:
        """As printed, e.g. "64.0" or "~32.0"."""
        return f"{'' if self.checked else '~'}{self.top1:.1f}"


@dataclass(frozen=True)
class Row:
    """One network of a table; paper: None where the paper has no number for it."""

    variant: Variant
    paper: PaperFigure | None = None


@dataclass(frozen=True)
class Table:
    """Rows by label, and what the paper finds.

    Attributes:
        order: (worse, better) labels.
    """

    title: str
    rows: Mapping[str, Row]
    order: tuple[tuple[str, str], ...] = field(default=())


def _row(variant: Variant, top1: float | None = None, *, checked: bool = False) -> Row:
    return Row(variant, None if top1 is None else PaperFigure(top1, checked))


_PER_FRAME = _row(of_branch(R2D), 32.0)
_CALIBRATED = _row(calibrated(), 59.2)
_TADA2D = _row(aggregated(), 64.0, checked=True)

TABLES: Mapping[str, Table] = {
    "3a": Table(
        "Table 3a: how the calibration is computed (kernels: temporal, of the router's two layers)",
        {
            "no calibration (per frame, TSN)": _PER_FRAME,
            "local, linear, kernel 1": _row(calibrated((1, 1), nonlinear=False, global_context=False), 37.5),
            "local, linear, kernel 3": _row(calibrated((3, 1), nonlinear=False, global_context=False), 56.5),
            "local, kernels 1 1": _row(calibrated((1, 1), global_context=False), 36.8),
            "local, kernels 3 1": _row(calibrated((3, 1), global_context=False), 57.1),
            "local, kernels 1 3": _row(calibrated((1, 3), global_context=False), 57.3),
            "local, kernels 3 3": _row(calibrated(global_context=False), 57.8),
            "global, linear, kernel 1": _row(calibrated((1, 1), nonlinear=False), 53.4),
            "global, kernels 1 1": _row(calibrated((1, 1)), 54.4),
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
            "per frame, average alone": _row(
                aggregated(shortcut=False, separate_bn=False, calibration=False), 47.9
            ),
            "per frame, shortcut + average": _row(aggregated(separate_bn=False, calibration=False), 49.0),
            "per frame, separate BNs": _row(aggregated(calibration=False), 57.0),
            "TAdaConv": _CALIBRATED,
            "TAdaConv, average alone": _row(aggregated(shortcut=False, separate_bn=False), 60.1),
            "TAdaConv, shortcut + average": _row(aggregated(separate_bn=False), 61.5),
            "TAdaConv, separate BNs (TAda2D)": _TADA2D,
            "TAdaConv, separate BNs, maximum": _row(aggregated("max"), 63.5),
            "TAdaConv, separate BNs, mix": _row(aggregated("mix"), 63.7),
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
            "output channels": _row(tada2d(cal_dim="cout"), 63.4),
            "input and output channels": _row(tada2d(cal_dim="cin_cout"), 63.7),
            "positions of the kernel": _row(tada2d(cal_dim="k2"), 62.0),
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
            "R(2+1)D": _row(r2p1d(), 61.1),
            "R(2+1)D + TAdaConv (2d)": _row(r2p1d("b1"), 62.9),
            "R(2+1)D + TAdaConv (2d+1d)": _row(r2p1d("b1", "b2"), 63.8),
            "R3D": _row(r3d(), 60.0),
            "R3D + TAdaConv (3d)": _row(r3d(with_tada=True), 62.9),
            "SlowFast": _row(slowfast(), 56.7),
            "SlowFast + TAdaConv": _row(slowfast(with_tada=True), 59.8),
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
