"""The diagnosis in three sentences: what costs most, what is not found, where it is hard."""

from __future__ import annotations

from evaluation.diagnosis.diagnose import Bin, BinnedFigures, Diagnosis
from evaluation.diagnosis.words import bin_names

KINDS = {
    "labels": ("wrong label", "confusion"),
    "boundaries": ("localisation",),
    "double detections": ("double detection",),
    "background": ("background",),
}
REMEDIES = {
    "labels": "See which classes are taken for which below; more or better training of the classifier would pay",
    "boundaries": "Finer features or better boundaries of the proposals would pay",
    "double detections": "A stronger suppression would pay",
    "background": "Lower scores where nothing happens would pay",
}
SMALLEST_SHARE = 0.05
"""Bins with fewer of the annotations are an accident."""
NEGLIGIBLE = 0.005
"""Of a fraction: half a point."""


def advice(diagnosis: Diagnosis) -> list[str]:
    """Say in words what the charts show; figures are points of percent.

    Returns:
        Up to three sentences.
    """
    return [*_costs(diagnosis), *_missed(diagnosis), *_weakest(diagnosis)]


def _costs(diagnosis: Diagnosis) -> list[str]:
    gain = {found.error: found.average_mAP for found in diagnosis.gains}
    costs = {kind: sum(gain[error] for error in errors) for kind, errors in KINDS.items()}
    ranked = sorted(costs, key=lambda kind: -costs[kind])
    words = ", ".join(f"{kind} {100 * costs[kind]:.1f}" for kind in ranked[1:])
    if costs[ranked[0]] < NEGLIGIBLE:
        return ["No kind of false positive costs half a point of average mAP: what is missing was not found."]
    first = ranked[0]
    return [
        f"{first[0].upper()}{first[1:]} cost {100 * costs[first]:.1f} points of average mAP; {words}."
        f" {REMEDIES[first]}."
    ]


def _missed(diagnosis: Diagnosis) -> list[str]:
    """Share of the annotations that nothing finds, over the bins of one characteristic."""
    bins = [part for part in diagnosis.characteristics[0].bins if part.count]
    total = sum(part.count for part in bins)
    if not total:
        return []
    usable = sum(part.count * (part.average_missed or 0.0) for part in bins) / total
    ever = sum(part.count * (part.average_missed_at_any_score or 0.0) for part in bins) / total
    return [
        f"{100 * ever:.1f} % of the annotations are found by no detection at all, {100 * usable:.1f} % by none"
        f" that ranks high enough to count (mean over tIoU)."
    ]


def _weakest(diagnosis: Diagnosis) -> list[str]:
    """The bin of lowest mAP_N among those with enough annotations."""
    candidates: list[tuple[float, BinnedFigures, Bin, str]] = []
    for found in diagnosis.characteristics:
        total = sum(part.count for part in found.bins)
        for part, name in zip(found.bins, bin_names(found), strict=True):
            if part.average_mAP_N is not None and part.count >= SMALLEST_SHARE * total:
                candidates.append((part.average_mAP_N, found, part, name))
    if not candidates:
        return []
    value, found, part, name = min(candidates, key=lambda candidate: candidate[0])
    unit = f" {found.unit}" if found.unit else ""
    return [
        f"Hardest are the {part.count} annotations of {found.name} {name}{unit}: normalised average mAP"
        f" {100 * value:.1f} against {100 * diagnosis.average_mAP_N:.1f} for all."
    ]
