"""Section of the diagnosis: false-positive profile, gains, sensitivity, false negatives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from evaluation.diagnosis.advice import advice
from evaluation.diagnosis.confusion import TIOU, confusion, most_confused
from evaluation.diagnosis.diagnose import BinnedFigures, Diagnosis
from evaluation.diagnosis.tasks import TaskAnalysis
from evaluation.diagnosis.words import bin_names
from evaluation.metrics.matches import Matches
from evaluation.report.charts import Series, bar_chart, figure, stacked_chart
from evaluation.report.fragments import for_tasks, grid, matrix, table
from evaluation.report.page import Section, render_fragment
from runtime.text import encodable

MOST_CLASSES = 20
"""As many columns fit a page."""
MOST_PAIRS = 20
STYLES = tuple(f"cat-{index}" for index in range(6))
_CONFUSION = Markup(
    """<h3>Confusion</h3>
<p class="muted">Of each annotation the class of the best-scored detection that overlaps it by tIoU {} or more: rows
annotated, columns detected, counts; shades are shares of the row.</p>
{}"""
)
TITLES = {
    "coverage": "coverage (length / duration)",
    "length": "length (s)",
    "instances": "instances of the class in the video",
}


def diagnosis_section(analyses: Mapping[str, TaskAnalysis]) -> Section:
    """Charts after Alwassel et al., "Diagnosing Error in Temporal Action Detectors", ECCV 2018."""
    words = {task: _advice(found.diagnosis) for task, found in analyses.items()}
    charts = {task: _charts(found.diagnosis) + _confusion(found.matches) for task, found in analyses.items()}
    body = render_fragment("diagnosis.html.jinja", advice=for_tasks(words), charts=for_tasks(charts))
    return Section("diagnosis", "Diagnosis", body)


def _advice(diagnosis: Diagnosis) -> Markup:
    return render_fragment("advice.html.jinja", sentences=advice(diagnosis))


def _confusion(matches: Matches) -> Markup:
    """The matrix of few classes, or the most frequent pairs of many."""
    counts = confusion(matches)
    names = [*(encodable(str(label)) for label in matches.labels), "nothing"]
    if len(matches.labels) < 2:
        return Markup("")
    if len(matches.labels) <= MOST_CLASSES:
        return _CONFUSION.format(TIOU, matrix("annotated \\ detected", names, counts))
    totals = counts.sum(axis=1)
    pairs = [
        [names[a], names[b], str(counts[a, b]), f"{100 * counts[a, b] / totals[a]:.0f} %"]
        for a, b in most_confused(counts, MOST_PAIRS)
    ]
    title = f"Most frequent confusions, at tIoU {TIOU}: the best-scored detection over the annotation"
    head = ["annotated", "detected", "annotations", "of its class"]
    return Markup('<h3>Confusion</h3><div class="pairs">{}</div>').format(table([head, *pairs], title))


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
