"""The official algorithms as plain pandas loops: one class, one prediction, one threshold after the
other.

Written in the structure of the official evaluators (ActivityNet eval_detection.py and
eval_proposal.py 82304fa, EPIC-KITCHENS C2-Action-Detection 4835721), with their sorts made stable.
The reference of `evaluation_speed`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd


def plain_tiou(segment: np.ndarray, others: np.ndarray) -> np.ndarray:
    """tIoU of one segment with (N, 2) others."""
    inside = np.minimum(segment[1], others[:, 1]) - np.maximum(segment[0], others[:, 0])
    inside = inside.clip(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return inside / ((others[:, 1] - others[:, 0]) + (segment[1] - segment[0]) - inside)


def plain_class_ap(truth: pd.DataFrame, found: pd.DataFrame, thresholds: np.ndarray) -> np.ndarray:
    """AP of one class at each threshold, one prediction after the other."""
    if found.empty:
        return np.zeros(len(thresholds))
    found = found.iloc[found["score"].to_numpy().argsort(kind="stable")[::-1]].reset_index(drop=True)
    taken = np.zeros((len(thresholds), len(truth)), dtype=bool)
    hit = np.zeros((len(thresholds), len(found)))
    truth_of_video = truth.groupby("video_id")
    for row, prediction in found.iterrows():
        try:
            candidates = truth_of_video.get_group(prediction["video_id"]).reset_index()
        except KeyError:
            continue
        segment = prediction[["start_s", "end_s"]].to_numpy()
        tiou = plain_tiou(segment, candidates[["start_s", "end_s"]].to_numpy()).astype(float)
        order = tiou.argsort(kind="stable")[::-1]
        for level, threshold in enumerate(thresholds):
            for candidate in order:
                if tiou[candidate] < threshold:
                    break
                annotation = candidates.loc[candidate]["index"]
                if not taken[level, annotation]:
                    taken[level, annotation] = True
                    hit[level, row] = 1
                    break
    recall = hit.cumsum(axis=1) / len(truth)
    precision = hit.cumsum(axis=1) / np.arange(1, len(found) + 1)
    return np.array([plain_envelope(*curve) for curve in zip(precision, recall, strict=True)])


def plain_envelope(precision: np.ndarray, recall: np.ndarray) -> float:
    """Area under the envelope of precision over recall."""
    precision = np.hstack([[0], precision, [0]])
    recall = np.hstack([[0], recall, [1]])
    for place in range(len(precision) - 1)[::-1]:
        precision[place] = max(precision[place], precision[place + 1])
    steps = np.where(recall[1:] != recall[:-1])[0] + 1
    return float(np.sum((recall[steps] - recall[steps - 1]) * precision[steps]))


def plain_ap(truth: pd.DataFrame, found: pd.DataFrame, thresholds: np.ndarray) -> np.ndarray:
    """AP of all annotated classes (in order of first appearance) at each threshold: C x T."""
    truth_of_class, found_of_class = truth.groupby("label"), found.groupby("label")
    groups = found_of_class.groups
    return np.array(
        [
            plain_class_ap(
                truth_of_class.get_group(label).reset_index(drop=True),
                found_of_class.get_group(label) if label in groups else found.iloc[:0],
                thresholds,
            )
            for label in truth["label"].unique()
        ]
    )


def plain_average_recall(truth: pd.DataFrame, found: pd.DataFrame, thresholds: np.ndarray) -> np.ndarray:
    """Official AR@AN with 100 proposals a video on average: T x 100."""
    videos = truth["video_id"].unique()
    ratio = 100.0 * float(len(videos)) / len(found)
    truth_of_video, found_of_video = truth.groupby("video_id"), found.groupby("video_id")
    overlaps, total = [], 0
    for video in videos:
        annotations = truth_of_video.get_group(video)[["start_s", "end_s"]].to_numpy()
        if video not in found_of_video.groups:
            overlaps.append(np.zeros((len(annotations), 1)))
            continue
        proposals = found_of_video.get_group(video)
        proposals = proposals.iloc[proposals["score"].to_numpy().argsort(kind="stable")[::-1]]
        kept = proposals[["start_s", "end_s"]].to_numpy()[: min(int(len(proposals) * ratio), len(proposals))]
        overlaps.append(np.array([plain_tiou(segment, kept) for segment in annotations]))
        total += len(kept)
    share = np.arange(1, 101) / 100.0 * (100.0 * float(len(videos)) / total)
    recall = np.empty((len(thresholds), 100))
    for level, threshold in enumerate(thresholds):
        matches = np.empty((len(videos), 100))
        for row, overlap in enumerate(overlaps):
            enough = overlap >= threshold
            for point in range(100):
                kept_here = min(int(enough.shape[1] * share[point]), enough.shape[1])
                matches[row, point] = np.count_nonzero(enough[:, :kept_here].sum(axis=1))
        recall[level] = matches.sum(axis=0) / len(truth)
    return recall
