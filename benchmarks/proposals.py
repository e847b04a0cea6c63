"""Speed of proposals and their classification against the Python loops of the released code.

    soft-NMS    3,000 proposals, 100 kept, constants for HACS; the loop on Python lists. Mostly short segments
                (median 7 % of the video; 28 % of all pairs overlap), and, the hard case, uniform
                ends (67 %)
    video       one EPIC-KITCHENS-100 video of 267 s: 1000 cells, about 14,000 candidates, 267 kept, 5 detections
                each. The reference classifies every candidate, then runs soft-NMS; ours the other
                way round. "maps given": the reference starts from the probabilities of every class
                in every cell; "whole": making them is timed, too (ours classifies only what is
                kept, in both rows)

The loops are in `proposals_plain_loop`. Kept rows and detections must be the same, scores to 1e-12.
Ours and the loops take turns in one process; times are medians, ratios are of medians. (Numpy only:
nothing to run on a GPU.)

    python -m benchmarks.proposals                 about a minute
    python -m benchmarks.proposals --clock cpu     CPU time in place of wall time: for a busy machine
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from benchmarks.networks import CLOCKS, measure
from benchmarks.proposals_plain_loop import plain_class_map, plain_detections, plain_soft_nms
from bmn.candidates import candidate_pairs
from bmn.scoring import proposal_scores
from classification.verb_noun import fuse_verb_noun
from proposals import soft_nms

TOLERANCE = 1e-12
HACS = {"alpha": 0.4, "low": 0.0, "high": 0.0, "power": 2.5}
EK100 = {"alpha": 0.4, "low": 0.25, "high": 0.9, "power": 2.0, "cls_power": 1.2, "reg_power": 1.0}
NUM_CELLS, LONGEST_CELLS, CELL_S, NUM_VERBS, NUM_NOUNS = 1000, 100, 0.266666666, 97, 300


class Video(NamedTuple):
    """Maps of one video, and logits whose sum is the class evidence of a cell."""

    start: np.ndarray
    """(T,)."""
    end: np.ndarray
    """(T,)."""
    confidence_map: np.ndarray
    """(2, D, T)."""
    verb_logits: tuple[np.ndarray, np.ndarray]
    """By duration (V, D) and by start (V, T)."""
    noun_logits: tuple[np.ndarray, np.ndarray]
    """By duration (M, D) and by start (M, T)."""
    duration_s: float


def random_video() -> Video:
    """As many candidates as BMN finds on EPIC-KITCHENS-100: about 14 a cell."""
    draw = np.random.default_rng(0)
    start, end = draw.random((2, NUM_CELLS)) ** 3  # so that few exceed half of the maximum
    verb, noun = (
        (draw.normal(0, 1, (classes, LONGEST_CELLS)), draw.normal(0, 2, (classes, NUM_CELLS)))
        for classes in (NUM_VERBS, NUM_NOUNS)
    )
    confidence_map = draw.random((2, LONGEST_CELLS, NUM_CELLS))
    return Video(start, end, confidence_map, verb, noun, NUM_CELLS * CELL_S)


def our_detections(video: Video) -> list[tuple[int, int, float, float, float]]:
    """(verb, noun, score, start_s, end_s) of five detections for each kept proposal."""
    found = candidate_pairs(video.start, video.end, video.confidence_map)
    scores = proposal_scores(
        found.cls_score, found.reg_score, cls_power=EK100["cls_power"], reg_power=EK100["reg_power"]
    )
    kept, decayed = our_soft_nms(found.segments, scores, EK100, int(video.duration_s) + 1)
    start = found.start_index[kept]
    duration = found.end_index[kept] - start - 1
    verb, noun = (
        softmax(by_duration[:, duration] + by_start[:, start]).T
        for by_duration, by_start in (video.verb_logits, video.noun_logits)
    )
    actions = fuse_verb_noun(verb, noun)
    segments_s = np.repeat(found.segments[kept] * video.duration_s, actions.score.shape[1], axis=0)
    columns = actions.verb, actions.noun, actions.score * decayed[:, None]
    return list(zip(*(column.ravel().tolist() for column in columns), *segments_s.T.tolist(), strict=True))


def our_soft_nms(
    segments: np.ndarray, scores: np.ndarray, constants: dict[str, float], keep: int
) -> tuple[np.ndarray, np.ndarray]:
    """Soft-NMS with a table of constants."""
    return soft_nms(
        segments,
        scores,
        alpha=constants["alpha"],
        low_threshold=constants["low"],
        high_threshold=constants["high"],
        iou_power=constants["power"],
        max_proposals=keep,
    )


def softmax(logits: np.ndarray) -> np.ndarray:
    """Over classes, the first axis."""
    powers = np.exp(logits - logits.max(axis=0))
    return np.asarray(powers / powers.sum(axis=0))


def their_detections(
    video: Video, maps: tuple[np.ndarray, np.ndarray] | None
) -> list[tuple[int, int, float, float, float]]:
    """The same by the loops; without given maps of verb and noun probabilities they are made."""
    verb_map, noun_map = maps or (plain_class_map(*video.verb_logits), plain_class_map(*video.noun_logits))
    return plain_detections(
        video.start, video.end, video.confidence_map, verb_map, noun_map, video.duration_s, EK100
    )


def check_equal(name: str, ours: np.ndarray, theirs: np.ndarray) -> None:
    """Stop if two tables differ."""
    if ours.shape != theirs.shape or np.abs(ours - theirs).max() > TOLERANCE:
        raise SystemExit(f"{name}: the loop and ours differ: nothing to compare")


def report(
    name: str, ours: Callable[[], object], loop: Callable[[], object], rounds: int, clock: str
) -> None:
    """One row."""
    s = measure({"ours": ours, "loop": loop}, rounds, clock)
    ms = {side: 1000 * seconds for side, seconds in s.items()}
    print(
        f"{name:<52} ours {ms['ours']:8.2f} ms, loop {ms['loop']:8.1f} ms: {ms['loop'] / ms['ours']:5.0f} x faster",
        flush=True,
    )


def compare_soft_nms(rounds: int, clock: str, count: int = 3000, keep: int = 100) -> None:
    """Soft-NMS alone, with segments mostly short, as BMN proposes them, and with segments of all
    lengths."""
    draw = np.random.default_rng(0)
    centres, widths = draw.random(count), 0.6 * draw.random(count) ** 3
    short = np.clip(np.stack([centres - widths / 2, centres + widths / 2], axis=1), 0, 1)
    for name, segments in (("short", short), ("all lengths", np.sort(draw.random((count, 2)), axis=1))):
        scores = draw.random(count)
        table = pd.DataFrame({"start": segments[:, 0], "end": segments[:, 1], "score": scores})
        ours = partial(our_soft_nms, segments, scores, HACS, keep)
        loop = partial(plain_soft_nms, table, **HACS, keep=keep)
        check_equal("soft-NMS", np.stack(ours(), axis=1), loop()[["row", "score"]].to_numpy())
        report(f"soft-NMS, {count:,} proposals, {keep} kept, {name}", ours, loop, rounds, clock)


def compare_video(rounds: int, clock: str) -> None:
    """From maps to detections, with the class maps given and without."""
    video = random_video()
    maps = plain_class_map(*video.verb_logits), plain_class_map(*video.noun_logits)
    ours = partial(our_detections, video)
    check_equal("video", np.array(ours()), np.array(their_detections(video, maps)))
    candidates = candidate_pairs(video.start, video.end, video.confidence_map)
    size = f"{len(candidates.segments):,} candidates"
    report(f"video, {size}, maps given", ours, partial(their_detections, video, maps), rounds, clock)
    report(f"video, {size}, whole", ours, partial(their_detections, video, None), rounds, clock)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    options = parser.parse_args()
    print(f"numpy {np.__version__}, {options.clock} time")
    compare_soft_nms(options.rounds, options.clock)
    compare_video(options.rounds, options.clock)


if __name__ == "__main__":
    main()
