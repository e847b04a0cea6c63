"""Sensitivity and misses by characteristics of the annotations (DETAD).

Sensitivity: average mAP_N of the annotations in one bin. Predictions that have found an annotation
outside the bin are left out of the ranking, so that they are neither right nor wrong. DETAD's code
leaves a prediction out at every threshold, lower ones too, once it is left out at one; here each
threshold stands for itself, as in the definition.

False negatives: share of the annotations in a bin that no prediction has found. As in DETAD's code,
what is found where normalised precision is 5 % or less does not count, since a long enough list of
guesses finds everything; the share without that rule, which is 1 - recall of the tables, stands
beside it.
"""

from __future__ import annotations

import numpy as np

from evaluation.diagnosis.characteristics import Characteristic
from evaluation.metrics.average_precision import Hits, average_precision_of_hits, count_within_class
from evaluation.metrics.matches import Matches

MIN_PRECISION = 0.05


def sensitivity(matches: Matches, characteristic: Characteristic) -> np.ndarray:
    """Compute mAP_N of each bin, over the classes that have annotations in it.

    Returns:
        (K, T) float64, NaN for empty bins.
    """
    found = np.full((len(characteristic.edges) - 1, len(matches.hits)), np.nan)
    for number in np.flatnonzero(characteristic.counts):
        inside = characteristic.bin == number
        counts = np.bincount(matches.annotations.label[inside], minlength=len(matches.labels))
        for column, (hits, matched) in enumerate(zip(matches.hits, matches.matched, strict=True)):
            chosen = _renumber(hits, inside[matched[hits.row]])
            ap = average_precision_of_hits(chosen, counts, matches.average_count)
            found[number, column] = ap[counts > 0].mean()
    return found


def _renumber(hits: Hits, keep: np.ndarray) -> Hits:
    """Some true positives, as if the others were not in the ranking."""
    label = hits.label[keep]
    return Hits(hits.row[keep], label, count_within_class(label), hits.false_positives[keep])


def found_annotations(matches: Matches, min_precision: float) -> np.ndarray:
    """Tell which annotations are found where normalised precision exceeds `min_precision`.

    Args:
        matches: T thresholds, N annotations.
        min_precision: -1 accepts all.

    Returns:
        (T, N) bool.
    """
    found = np.zeros((len(matches.hits), len(matches.annotations)), dtype=bool)
    for row, hits, matched in zip(found, matches.hits, matches.matched, strict=True):
        expected = hits.nth / matches.annotation_counts[hits.label] * matches.average_count
        precise = expected / (expected + hits.false_positives) > min_precision
        row[matched[hits.row[precise]]] = True
    return found


def missed_shares(found: np.ndarray, characteristic: Characteristic) -> np.ndarray:
    """Share of the annotations in each bin that are not found.

    Args:
        found: (T, N) bool.
        characteristic: K bins.

    Returns:
        (K, T) float64, NaN for empty bins.
    """
    known = characteristic.bin >= 0
    bins, num_bins = characteristic.bin[known], len(characteristic.edges) - 1
    missed = [np.bincount(bins, weights=~row[known], minlength=num_bins) for row in found]
    with np.errstate(invalid="ignore"):
        return np.asarray(np.stack(missed, axis=1) / characteristic.counts[:, None])
