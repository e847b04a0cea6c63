"""Section of the diagnosis: false-positive profile, gains, sensitivity, false negatives."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from markupsafe import Markup

from evaluation.diagnosis.diagnose import Bin, BinnedFigures, Diagnosis
from evaluation.diagnosis.tasks import TaskAnalysis
from evaluation.report.charts import Series, bar_chart, figure, stacked_chart
from evaluation.report.fragments import for_tasks, grid
from evaluation.report.page import Section, render_fragment

STYLES = tuple(f"cat-{index}" for index in range(6))
TITLES = {
    "coverage": "coverage (length / duration)",
    "length": "length (s)",
    "instances": "instances of the class in the video",
}


def diagnosis_section(analyses: Mapping[str, TaskAnalysis]) -> Section:
    """Charts after Alwassel et al., "Diagnosing Error in Temporal Action Detectors", ECCV 2018."""
    bodies = {task: _charts(analysis.diagnosis) for task, analysis in analyses.items()}
    body = render_fragment("diagnosis.html.jinja", charts=for_tasks(bodies))
    return Section("diagnosis", "Diagnosis", body)


def _charts(diagnosis: Diagnosis) -> Markup:
    profile = diagnosis.profile
    charts = [
        _profile(
            profile.categories,
            profile.top,
            "Best k G detections",
            "What the best k G detections of each class are, G being its annotations; mean over tIoU.",
            "k",
        ),
        _profile(
            profile.categories,
            profile.bands,
            "k-th band of G detections",
            "The same for the ranks from (k - 1) G to k G alone: how errors change down the ranking.",
            "band",
        ),
        _gains(diagnosis),
        *(_sensitivity(found, diagnosis.average_mAP_N) for found in diagnosis.characteristics),
        *(_missed(found) for found in diagnosis.characteristics),
    ]
    return grid(charts)


def _profile(
    categories: Sequence[str], shares: Sequence[list[float] | None], title: str, explanation: str, axis: str
) -> Markup:
    series = [
        Series(name, [None if row is None else 100 * row[index] for row in shares], STYLES[index])
        for index, name in enumerate(categories)
    ]
    names = [str(band) for band in range(1, len(shares) + 1)]
    return figure(title, explanation, stacked_chart(names, series, axis, "share (%)"), series)


def _gains(diagnosis: Diagnosis) -> Markup:
    names = [gain.error for gain in diagnosis.gains]
    hints = [
        f"without {gain.error}: average mAP +{100 * gain.average_mAP:.2f}, average mAP_N (best 10 G)"
        f" +{100 * gain.average_mAP_N:.2f}"
        for gain in diagnosis.gains
    ]
    values = [100 * gain.average_mAP for gain in diagnosis.gains]
    short = [name.split()[0] for name in names]
    return figure(
        "Gain from removing errors",
        f"Points of average mAP (now {100 * diagnosis.average_mAP:.2f}) that would be won without one kind of error.",
        bar_chart(short, values, "error", "gain (points)", styles=STYLES[1:], hints=hints),
    )


def _sensitivity(found: BinnedFigures, average: float) -> Markup:
    values = [None if part.average_mAP_N is None else 100 * part.average_mAP_N for part in found.bins]
    names = bin_names(found)
    hints = [
        f"{name}: {part.count} annotations, average mAP_N {value or 0:.2f} %"
        for name, part, value in zip(names, found.bins, values, strict=True)
    ]
    return figure(
        f"Sensitivity to {found.name}",
        f"Average mAP_N of the annotations in each bin; dashed: all of them ({100 * average:.1f}). {_note(found)}",
        bar_chart(
            names,
            values,
            TITLES[found.name],
            "mAP_N (%)",
            hints=hints,
            reference=100 * average,
            highest=100.0,
        ),
    )


def _missed(found: BinnedFigures) -> Markup:
    values = [None if part.average_missed is None else 100 * part.average_missed for part in found.bins]
    names = bin_names(found)
    hints = [
        f"{name}: {part.count} annotations, {value or 0:.2f} % missed"
        f" ({100 * (part.average_missed_at_any_score or 0):.2f} % whatever the precision)"
        for name, part, value in zip(names, found.bins, values, strict=True)
    ]
    return figure(
        f"False negatives by {found.name}",
        "Share of the annotations that nothing finds at a normalised precision over 5 %, mean over tIoU.",
        bar_chart(names, values, TITLES[found.name], "missed (%)", hints=hints, highest=100.0),
    )


def _note(found: BinnedFigures) -> str:
    return f"{found.note[0].upper()}{found.note[1:]}." if found.note else ""


def bin_names(found: BinnedFigures) -> list[str]:
    """What each bin holds, short enough for an axis.

    >>> parts = [Bin(low, high, 0, None, None, None, None, None) for low, high in ((0, 1), (1, 4), (4, None))]
    >>> bin_names(BinnedFigures("instances", "", "", tuple(parts)))
    ['1', '2-4', '> 4']
    >>> bin_names(BinnedFigures("coverage", "", "", (Bin(0.2, 0.4, 0, None, None, None, None, None),)))
    ['20-40 %']
    """
    counted = found.name == "instances"
    return [_bin_name(part, found.name, counted and index > 0) for index, part in enumerate(found.bins)]


def _bin_name(part: Bin, characteristic: str, above: bool) -> str:
    """Name one bin; `above`: its lowest whole number is the one after the lower edge."""
    if part.high is None:
        return f"> {part.low:g}"
    if characteristic == "instances":
        low, high = max(math.floor(part.low) + above, 1), math.floor(part.high)
        return f"{high}" if low >= high else f"{low}-{high}"
    if characteristic == "coverage":
        return f"{100 * part.low:.3g}-{100 * part.high:.3g} %"
    return f"{part.low:.3g}-{part.high:.3g}"
