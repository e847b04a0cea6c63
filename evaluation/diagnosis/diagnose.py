"""The whole diagnosis of one task, and its JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from evaluation.diagnosis.characteristics import Characteristic, characterise
from evaluation.diagnosis.false_positives import (
    CATEGORIES,
    BestOverlap,
    best_overlap,
    categorise,
    profile_counts,
    shares,
)
from evaluation.diagnosis.gains import gains, normalised_gains
from evaluation.diagnosis.sensitivity import MIN_PRECISION, found_annotations, missed_shares, sensitivity
from evaluation.metrics.matches import Matches

ERRORS = CATEGORIES[1:]


@dataclass(frozen=True)
class Profile:
    """Categories of the best predictions of each class; lists, ready for JSON.

    Attributes:
        categories: the six names.
        counts: [T][10][6] predictions in the k-th band of G ranks, see `profile_counts`.
        bands: [10][6] shares of the categories in each band, mean over tIoU; None where a band is
            empty.
        top: [10][6] the same at the best k G, k = 1..10.
    """

    categories: tuple[str, ...]
    counts: list[list[list[int]]]
    bands: list[list[float] | None]
    top: list[list[float] | None]


@dataclass(frozen=True)
class Gain:
    """What removing one kind of error would add.

    Attributes:
        error: one of `CATEGORIES` without the true positives.
        mAP: [T] added to mAP, fractions.
        average_mAP: mean over tIoU.
        average_mAP_N: the same of mAP_N over the best 10 G predictions, DETAD's figure.
    """

    error: str
    mAP: list[float]  # noqa: N815 (the field's spelling, also in the JSON)
    average_mAP: float  # noqa: N815
    average_mAP_N: float  # noqa: N815


@dataclass(frozen=True)
class Bin:
    """Annotations of one bin.

    Attributes:
        low: lower edge, exclusive but for the first bin.
        high: upper edge, inclusive; None: no bound.
        count: annotations.
        mAP_N: [T]; None without annotations.
        average_mAP_N: mean over tIoU; None likewise.
        missed: [T] share that is not found with a normalised precision over 5 %; None likewise.
        average_missed: mean over tIoU; None likewise.
        average_missed_at_any_score: the same whatever the precision; None likewise.
    """

    low: float
    high: float | None
    count: int
    mAP_N: list[float] | None  # noqa: N815
    average_mAP_N: float | None  # noqa: N815
    missed: list[float] | None
    average_missed: float | None
    average_missed_at_any_score: float | None


@dataclass(frozen=True)
class BinnedFigures:
    """Sensitivity and false negatives by one characteristic.

    Attributes:
        name: "coverage", "length" or "instances".
        unit: "s" or "".
        note: "", or how values or bins were chosen.
        bins: by rising value.
    """

    name: str
    unit: str
    note: str
    bins: tuple[Bin, ...]


@dataclass(frozen=True)
class Diagnosis:
    """The diagnosis of one task; fractions, not percent.

    Attributes:
        tiou_thresholds: [T].
        average_mAP: as in the tables.
        average_mAP_N: with normalised precision.
        profile: the false-positive profile.
        gains: per kind of error.
        characteristics: sensitivity and false negatives.
    """

    tiou_thresholds: list[float]
    average_mAP: float  # noqa: N815
    average_mAP_N: float  # noqa: N815
    profile: Profile
    gains: tuple[Gain, ...]
    characteristics: tuple[BinnedFigures, ...]


def diagnose(
    matches: Matches,
    durations_s: np.ndarray,
    edges: Mapping[str, Sequence[float]],
    best: BestOverlap | None = None,
) -> Diagnosis:
    """Diagnose the detections of one task.

    Args:
        matches: from `evaluation.metrics.matches.match_columns`.
        durations_s: (V,) seconds, NaN where unknown.
        edges: of the bins of each characteristic, as `evaluation.files.protocols.Protocol.edges`.
        best: `best_overlap` of the two, if it is known already.
    """
    category = categorise(matches, best or best_overlap(matches.annotations, matches.predictions))
    counts = profile_counts(matches, category)
    removed, removed_normalised = gains(matches, category), normalised_gains(matches, category)
    found, found_ever = found_annotations(matches, MIN_PRECISION), found_annotations(matches, -1.0)
    return Diagnosis(
        tiou_thresholds=matches.tiou_thresholds.tolist(),
        average_mAP=float(matches.average_precision.mean()),
        average_mAP_N=float(matches.normalised_average_precision.mean()),
        profile=Profile(
            CATEGORIES, counts.tolist(), _rows(shares(counts)), _rows(shares(counts.cumsum(axis=1)))
        ),
        gains=tuple(
            Gain(error, gain.tolist(), float(gain.mean()), float(normalised.mean()))
            for error, gain, normalised in zip(ERRORS, removed, removed_normalised, strict=True)
        ),
        characteristics=tuple(
            _figures(matches, characteristic, found, found_ever)
            for characteristic in characterise(matches.annotations, durations_s, edges)
        ),
    )


def _figures(
    matches: Matches, characteristic: Characteristic, found: np.ndarray, found_ever: np.ndarray
) -> BinnedFigures:
    precision = sensitivity(matches, characteristic)
    missed, missed_ever = missed_shares(found, characteristic), missed_shares(found_ever, characteristic)
    bins = []
    for number, count in enumerate(characteristic.counts.tolist()):
        low, high = characteristic.edges[number : number + 2]
        bound = high if np.isfinite(high) else None
        if not count:
            bins.append(Bin(low, bound, 0, None, None, None, None, None))
            continue
        means = (float(figure[number].mean()) for figure in (precision, missed, missed_ever))
        average, average_missed, average_missed_ever = means
        bins.append(
            Bin(
                *(low, bound, count, precision[number].tolist(), average),
                *(missed[number].tolist(), average_missed, average_missed_ever),
            )
        )
    return BinnedFigures(characteristic.name, characteristic.unit, characteristic.note, tuple(bins))


def _rows(values: np.ndarray) -> list[list[float] | None]:
    """Rows as lists, None instead of NaN."""
    return [None if np.isnan(row).any() else row.tolist() for row in values]


def diagnosis_to_json(diagnosis: Diagnosis) -> dict[str, Any]:
    """Turn a diagnosis into plain lists and dictionaries, as `--diagnosis` writes it."""
    return asdict(diagnosis)
