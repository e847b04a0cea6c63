"""Characteristics of annotations that need no further annotation, and bins that suit the data set
(DETAD).

    coverage    length / duration of the video
    length      seconds
    instances   annotations of the same class in the same video

DETAD's context size, context distance and agreement of annotators need extra annotations, which
HACS and EPIC-KITCHENS-100 lack. Bins are open to the left and closed to the right, the first one
closed on both sides. DETAD leaves out annotations of length <= 0 and of coverage > 1; here they
fall into the first and the last bin.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from evaluation.metrics.columns import Segments

LARGEST_SHARE = 0.9
"""If one bin holds more of the annotations than that, the bins do not suit the data set."""
NUM_BINS = 5
NO_BIN = -1


@dataclass(frozen=True, eq=False)
class Characteristic:
    """Annotations divided into bins.

    Attributes:
        name: "coverage", "length" or "instances".
        unit: "s" or "".
        edges: K + 1 rising numbers.
        bin: (N,) int64 bin of each annotation, -1 where the value is unknown.
        note: "", or how the values or bins differ from DETAD's.
    """

    name: str
    unit: str
    edges: tuple[float, ...]
    bin: np.ndarray
    note: str = ""

    @property
    def counts(self) -> np.ndarray:
        """(K,) annotations in each bin."""
        return np.bincount(self.bin[self.bin != NO_BIN], minlength=len(self.edges) - 1)


def characterise(
    annotations: Segments, durations_s: np.ndarray, edges: Mapping[str, Sequence[float]]
) -> tuple[Characteristic, ...]:
    """Divide annotations by coverage, length and number of instances.

    Args:
        annotations: N rows; `video` counts into `durations_s`.
        durations_s: (V,) NaN where unknown; the last annotated end of the video stands in for it.
        edges: of the bins of each characteristic; quintiles where those do not suit the data.
    """
    length_s = annotations.end_s - annotations.start_s
    video_s, note = _video_lengths(annotations, durations_s)
    with np.errstate(divide="ignore", invalid="ignore"):
        coverage = length_s / video_s[annotations.video]
    values = {
        "coverage": (coverage, "", note),
        "length": (length_s, "s", ""),
        "instances": (_instances(annotations), "", ""),
    }
    return tuple(_divide(name, *of_name, edges[name]) for name, of_name in values.items())


def _video_lengths(annotations: Segments, durations_s: np.ndarray) -> tuple[np.ndarray, str]:
    last_end_s = np.zeros(len(durations_s))
    np.maximum.at(last_end_s, annotations.video, annotations.end_s)
    known = durations_s > 0
    unknown = len(np.unique(annotations.video[~known[annotations.video]]))
    note = (
        f"{unknown} videos without a duration: their last annotated end stands in for it" if unknown else ""
    )
    return np.where(known, durations_s, last_end_s), note


def _instances(annotations: Segments) -> np.ndarray:
    """(N,) annotations of the same class in the same video, itself included."""
    group = annotations.label * (annotations.video.max(initial=0) + 1) + annotations.video
    _, inverse, counts = np.unique(group, return_inverse=True, return_counts=True)
    return counts[inverse].astype(np.float64)


def _divide(name: str, values: np.ndarray, unit: str, note: str, edges: Sequence[float]) -> Characteristic:
    bins = bin_values(values, edges)
    known = bins[bins != NO_BIN]
    if len(known) and np.bincount(known).max() > LARGEST_SHARE * len(known):
        quintiles = quantile_edges(values[bins != NO_BIN])
        if len(quintiles) > 2:
            edges, bins = quintiles, bin_values(values, quintiles)
            note = "; ".join(filter(None, (note, "bins are quantiles of these annotations")))
    return Characteristic(name, unit, tuple(edges), bins, note)


def bin_values(values: np.ndarray, edges: Sequence[float]) -> np.ndarray:
    """Number the bin of each value; values beyond the edges belong to the outer bins, NaN to none
    (-1).

    >>> bin_values(np.array([0.0, 1.0, 1.5, 9.0, np.nan]), (0.0, 1.0, 2.0))
    array([ 0,  0,  1,  1, -1])
    """
    bins = np.searchsorted(np.asarray(edges[1:-1]), values, side="left")
    return np.where(np.isnan(values), NO_BIN, bins)


def quantile_edges(values: np.ndarray, num_bins: int = NUM_BINS) -> tuple[float, ...]:
    """Edges of bins of nearly equal size, rounded to two digits; fewer bins where values are alike.

    >>> quantile_edges(np.array([1.0, 2.0, 3.04, 4.0, 5.0, 6.0]), num_bins=2)
    (1.0, 3.5, 6.0)
    """
    inner = np.quantile(values, np.linspace(0, 1, num_bins + 1)[1:-1])
    low, high = float(values.min()), float(values.max())
    rounded = {float(f"{edge:.2g}") for edge in inner.tolist()}
    return (low, *sorted(edge for edge in rounded if low < edge < high), high)
