"""Random label sets for tests of labelling tools: overlaps, Unicode, subjects, scores, videos
without a bout."""

from __future__ import annotations

import random

from video_datasets.formats.tools.labelling import AnnotatedVideo, Bout, Labelling, in_order

LABELS = ("run", "pour water", "Ärger", "走る", "a,b;c", 'say "hi" & <go>', "🐭 grooms", "x|y", "1", "да")
SUBJECTS = ("", "mouse 1", "Müller", "鼠")
SUBSETS = ("training", "validation", "testing")


def random_labelling(seed: int, *, fps: float = 0.0) -> Labelling:
    """A random label set; with `fps` every end is on the edge of a frame, as tools that count
    frames have it."""
    chance = random.Random(seed)
    labels = chance.sample(LABELS, chance.randint(1, 5))
    videos = tuple(_video(f"vidéo_{number}", labels, chance, fps) for number in range(chance.randint(1, 3)))
    return Labelling(videos, tuple(labels))


def _video(name: str, labels: list[str], chance: random.Random, fps: float) -> AnnotatedVideo:
    duration_s = chance.choice((5.0, 60.0, 3600.0))
    is_detected = chance.random() < 0.5
    subjects = SUBJECTS if chance.random() < 0.5 else ("",)
    bouts = []
    for _ in range(chance.choice((0, 1, 2, 8, 20))):
        start_s = chance.uniform(0, duration_s - 1)
        end_s = min(start_s + chance.uniform(0.05, duration_s / 3), duration_s)
        if fps:
            start_s = round(start_s * fps) / fps
            end_s = max(round(end_s * fps) / fps, (round(start_s * fps) + 1) / fps)
        score = chance.random() if is_detected else None
        source = "runs/own" if is_detected else ""
        bouts.append(Bout(start_s, end_s, chance.choice(labels), chance.choice(subjects), source, score))
    subset = chance.choice(SUBSETS)
    return AnnotatedVideo(name, in_order(bouts), "", subset, duration_s, fps or 25.0)
