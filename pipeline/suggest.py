"""Suggest what to label next: stretches of videos, in the order in which to watch them.

--by random (the default) draws them evenly over time. --by uncertainty detects with the run, and
puts first where the model is unsure whether, or which, action takes place. Where it was measured it
saved no labelling (docs/labels.md): compare both on your own data before you rely on it.

Printed, and with --csv written as labels to begin with: each stretch is a segment "(watched)",
which says that it, and nothing else of its video, is labelled (docs/labels.md). Delete what you
have not watched.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from evaluation.files.sanity import encodable
from pipeline.detect import named_videos
from pipeline.uncertainty import Stretch, stretches_of, uncertain_stretches
from runtime.errors import InputError
from runtime.exit_codes import EXIT_CODES_HELP, EXIT_DONE, EXIT_SKIPPED_ITEMS, guarded
from runtime.help_text import CommandParser, program_name
from runtime.paths import user_path
from runtime.progress import progress
from video_datasets.formats.tools.labelling import (
    AnnotatedVideo,
    Bout,
    Labelling,
    LabelReading,
    Notes,
    in_order,
)
from video_datasets.formats.tools.plain_labels import write_label_csv
from video_datasets.formats.tools.table import tool_of
from video_datasets.formats.tools.tool_media import Media
from video_datasets.video.decoding import VideoError
from video_datasets.watched import WATCHED

WAYS = ("random", "uncertainty")
_EXAMPLES = """examples:
  python -m pipeline.suggest videos/ --run runs/own --stretch 30 --top 10
  python -m pipeline.suggest videos/ --run runs/own --by uncertainty --labelled labels.csv --csv next.csv

"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = CommandParser(
        prog=program_name("pipeline.suggest"),
        description=__doc__,
        epilog=_EXAMPLES + EXIT_CODES_HELP,
    )
    parser.add_argument(
        "videos", nargs="+", type=user_path, metavar="VIDEO_OR_FOLDER", help="folders at any depth"
    )
    parser.add_argument("--run", type=user_path, help="run folder or bundle; --by uncertainty needs it")
    parser.add_argument("--by", choices=WAYS, default="random", help="order (default random)")
    parser.add_argument("--stretch", type=float, default=30.0, metavar="SECONDS", help="length (default 30)")
    parser.add_argument("--top", type=int, default=20, help="how many (default 20)")
    parser.add_argument(
        "--labelled", type=user_path, metavar="FILE", help="labels that exist already: left out"
    )
    parser.add_argument("--seed", type=int, default=0, help="of --by random (default 0)")
    parser.add_argument("--csv", type=user_path, metavar="FILE", help="write labels to begin with")
    parser.add_argument("--device", default="auto", help="auto (default), cpu, cuda, cuda:1")
    arguments = parser.parse_args(argv)
    return guarded(lambda: suggest(arguments))


def suggest(arguments: argparse.Namespace) -> int:
    """Print and write the suggestions; a bad video is listed and stops nothing.

    Raises:
        InputError: if an option is out of range, or there is no video.
    """
    if not arguments.stretch > 0 or arguments.top < 1:
        raise InputError(
            f"expected --stretch above 0 and --top of at least 1, found {arguments.stretch:g}, {arguments.top}"
        )
    if arguments.by == "uncertainty" and arguments.run is None:
        raise InputError("--by uncertainty: expected a trained run (--run), found none")
    videos = named_videos(arguments.videos)
    failed: dict[str, str] = {}
    found = (
        _by_uncertainty(videos, arguments, failed)
        if arguments.by == "uncertainty"
        else _at_random(videos, arguments, failed)
    )
    if arguments.labelled:
        found = _not_labelled(found, arguments.labelled, Media(videos))
        if not found:
            print(
                f"nothing to suggest: {arguments.labelled} has labels of all of these videos", file=sys.stderr
            )
    best = found[: arguments.top]
    for rank, stretch in enumerate(best, start=1):
        value = f"  {stretch.value:.3f}" if arguments.by == "uncertainty" else ""
        where = f"{stretch.start_s:8.2f} - {stretch.end_s:8.2f} s{value}"
        print(f"{rank:4d}  {where}  {encodable(str(videos[stretch.video_id]))}")
    if arguments.csv:
        write_label_csv(arguments.csv, _labelling(best), Media(), Notes())
        print(f"written to {arguments.csv}", file=sys.stderr)
    for name, reason in failed.items():
        print(f"{encodable(name)}: left out: {encodable(reason)}", file=sys.stderr)
    return EXIT_SKIPPED_ITEMS if failed else EXIT_DONE


def _at_random(
    videos: Mapping[str, Path], arguments: argparse.Namespace, failed: dict[str, str]
) -> list[Stretch]:
    """All stretches of all videos, shuffled."""
    from video_datasets.formats.tools.frame_clock import clock_of_video

    stretches: list[Stretch] = []
    for name, path in videos.items():
        try:
            edges_s = clock_of_video(path).edges_s
        except VideoError as error:
            failed[str(path)] = error.reason
            continue
        assert edges_s is not None  # of a video it has an end
        stretches += stretches_of(name, float(edges_s[-1]), arguments.stretch)
    order = np.random.default_rng(arguments.seed).permutation(len(stretches))
    return [stretches[place] for place in order.tolist()]


def _by_uncertainty(
    videos: Mapping[str, Path], arguments: argparse.Namespace, failed: dict[str, str]
) -> list[Stretch]:
    """All stretches of all videos, the most uncertain first."""
    from pipeline.detector import Detector  # takes seconds to load

    detector = Detector(arguments.run, device=arguments.device)
    stretches: list[Stretch] = []
    for name, path in progress(list(videos.items()), description="videos", unit="video"):
        try:
            found = detector.detect(path)
        except VideoError as error:
            failed[str(path)] = error.reason
            continue
        stretches += uncertain_stretches(
            name, found.duration_s, arguments.stretch, found.segments_s, found.scores, found.labels
        )
    return sorted(stretches, key=lambda stretch: -stretch.value)


def _not_labelled(stretches: Sequence[Stretch], path: Path, media: Media) -> list[Stretch]:
    """Leave out videos that are labelled, and of partly labelled ones what overlaps their
    watched stretches."""
    labelled = {
        video.video_id: video for video in tool_of(path).read(path, LabelReading(media.clock_of)).videos
    }

    def is_new(stretch: Stretch) -> bool:
        if stretch.video_id not in labelled:
            return True
        watched = [bout for bout in labelled[stretch.video_id].bouts if bout.label == WATCHED]
        overlaps = any(bout.start_s < stretch.end_s and stretch.start_s < bout.end_s for bout in watched)
        return bool(watched) and not overlaps

    return [stretch for stretch in stretches if is_new(stretch)]


def _labelling(stretches: Sequence[Stretch]) -> Labelling:
    videos: dict[str, list[Bout]] = {}
    for stretch in stretches:
        videos.setdefault(stretch.video_id, []).append(Bout(stretch.start_s, stretch.end_s, WATCHED))
    return Labelling(
        tuple(AnnotatedVideo(name, in_order(bouts)) for name, bouts in videos.items()), (WATCHED,)
    )


if __name__ == "__main__":
    sys.exit(main())
