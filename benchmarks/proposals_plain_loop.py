"""From maps to detections of one video in the structure of the released code: the reference of
`proposals`.

Structure of `tal_tools.py` (TAdaConv 75b7839; its soft-NMS is that of JJBOY's BMN): verb and noun
probabilities for every cell of the map, a Python loop over all cells for the candidates, a full
sort of the verb-noun products for every candidate, soft-NMS on Python lists.
"""

from __future__ import annotations

import numpy as np
import pandas as pd


def plain_soft_nms(
    proposals: pd.DataFrame, alpha: float, low: float, high: float, power: float, keep: int
) -> pd.DataFrame:
    """Columns start, end, score of the kept proposals and their `row` in the input."""
    proposals = proposals.sort_values(by="score", ascending=False, kind="stable")
    starts, ends = list(proposals["start"].to_numpy()), list(proposals["end"].to_numpy())
    scores, rows = list(proposals["score"].to_numpy()), list(proposals.index.to_numpy())
    picked = []
    while len(scores) > 1 and len(picked) < keep:
        best = scores.index(max(scores))
        overlaps = plain_iou(starts[best], ends[best], np.array(starts), np.array(ends))
        for other in range(len(scores)):
            if other == best:
                continue
            if overlaps[other] > low + (high - low) * (ends[best] - starts[best]):
                scores[other] = scores[other] * np.exp(-(overlaps[other] ** power) / alpha)
        picked.append((starts[best], ends[best], scores[best], rows[best]))
        for column in (starts, ends, scores, rows):
            column.pop(best)
    return pd.DataFrame(picked, columns=["start", "end", "score", "row"])


def plain_iou(start: float, end: float, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """IoU of one segment with many."""
    inside = np.maximum(np.minimum(ends, end) - np.maximum(starts, start), 0.0)
    return inside / ((ends - starts) + (end - start) - inside)


def plain_candidates(start: np.ndarray, end: np.ndarray, confidence_map: np.ndarray) -> pd.DataFrame:
    """All pairs of a candidate start and a candidate end, one cell after the other."""
    _, dscale, tscale = confidence_map.shape
    is_start, is_end = plain_peaks(start), plain_peaks(end)
    is_start[0] = is_end[-1] = 1
    rows = []
    for d in range(dscale):
        for t in range(tscale):
            last = t + d + 1
            if last < tscale and is_start[t] == 1 and is_end[last] == 1:
                reg, cls = confidence_map[0, d, t], confidence_map[1, d, t]
                rows.append([t / tscale, last / tscale, start[t], end[last], cls, reg, d, t])
    return pd.DataFrame(rows, columns=["start", "end", "start_score", "end_score", "cls", "reg", "d", "t"])


def plain_peaks(probability: np.ndarray) -> np.ndarray:
    """1 where a position is a peak or above half of the maximum."""
    peaks = np.zeros(len(probability))
    highest = max(probability)
    for i in range(1, len(probability) - 1):
        is_peak = probability[i] > probability[i - 1] and probability[i] > probability[i + 1]
        if is_peak or probability[i] > 0.5 * highest:
            peaks[i] = 1
    return peaks


def plain_class_map(by_duration: np.ndarray, by_start: np.ndarray) -> np.ndarray:
    """Class probabilities of every cell (classes, D, T), from logits by duration and by start."""
    logits = by_duration[:, :, None] + by_start[:, None, :]
    powers = np.exp(logits - logits.max(axis=0))
    return np.asarray(powers / powers.sum(axis=0))


def plain_verb_noun(verb: np.ndarray, noun: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The 20 best of 10 verbs x 30 nouns: indices (20, 2) and products (20,)."""
    verbs, nouns = np.argsort(-verb, kind="stable")[:10], np.argsort(-noun, kind="stable")[:30]
    products = (verb[verbs][:, None] * noun[nouns][None, :]).ravel()
    order = np.argsort(-products, kind="stable")[:20]
    pairs = np.stack([verbs[order // 30], nouns[order % 30]], axis=1)
    return pairs, products[order]


def plain_detections(
    start: np.ndarray,
    end: np.ndarray,
    confidence_map: np.ndarray,
    verb_map: np.ndarray,
    noun_map: np.ndarray,
    duration_s: float,
    constants: dict[str, float],
) -> list[tuple[int, int, float, float, float]]:
    """(verb, noun, score, start_s, end_s) of five detections for each proposal left by the
    soft-NMS."""
    proposals = plain_candidates(start, end, confidence_map)
    fused = [
        plain_verb_noun(verb_map[:, d, t], noun_map[:, d, t])
        for d, t in zip(proposals["d"], proposals["t"], strict=True)
    ]
    cls, reg = proposals["cls"].to_numpy(), proposals["reg"].to_numpy()
    proposals["score"] = cls ** constants["cls_power"] * reg ** constants["reg_power"]
    kept = plain_soft_nms(
        proposals,
        constants["alpha"],
        constants["low"],
        constants["high"],
        constants["power"],
        int(duration_s) + 1,
    )
    detections = []
    for _, proposal in kept.iterrows():
        pairs, products = fused[int(proposal["row"])]
        segment_s = proposal["start"] * duration_s, proposal["end"] * duration_s
        for (verb, noun), product in zip(pairs[:5], products[:5], strict=True):
            detections.append((int(verb), int(noun), float(product * proposal["score"]), *segment_s))
    return detections
