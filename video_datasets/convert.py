"""Convert labels and detections between labelling tools.

The format of IN is recognised by its content; IN and --out are a file or a folder as the format has
it:

    boris         project file                  read and written
    boris-export  CSV or TSV of its exports     read
    elan          .eaf, or a folder of them     read and written
    via           VIA 3 project file            read and written
    label-studio  JSON of tasks                 read and written
    fiftyone      folder with labels.json       read and written
    feral         JSON of classes a frame       read and written
    activitynet   ActivityNet or HACS JSON      read and written; detections also in HDF5
    mmaction2     anet_anno_*.json              read
    csv           your own CSV                  read and written

Each thing that a format cannot hold, or that could be meant in two ways, goes by a stated rule
(docs/labels.md) and is listed. With --merge, IN is what a person made of the detections in FILE:
what is still as the model wrote it keeps the model's source and score, everything else is the
person's.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import InputError
from runtime.exit_codes import EXIT_CODES_HELP, EXIT_DONE, EXIT_SKIPPED_ITEMS, guarded
from runtime.help_text import CommandParser, program_name
from runtime.overwriting import refuse_overwriting
from runtime.paths import user_path
from video_datasets.formats.tools.labelling import (
    Labelling,
    LabelReading,
    Notes,
    lines,
    writable,
)
from video_datasets.formats.tools.merging import best, merged
from video_datasets.formats.tools.set_aside import set_aside
from video_datasets.formats.tools.table import TOOLS, WRITERS, tool_named, tool_of
from video_datasets.formats.tools.tool_media import Media
from video_datasets.video.search import index_video_files

MERGE_TOLERANCE_S = 0.002
"""Ends that differ by less are the same: tools round to milliseconds. Formats that count frames:
by half a frame."""
_FRAME_FORMATS = {"label-studio": 0.5, "feral": 0.5}
_EXAMPLES = """examples:
  python -m video_datasets.convert project.boris --to csv --out labels.csv
  python -m video_datasets.convert via.json --validation 0.2 --to csv --out labels.csv
  python -m video_datasets.convert labels.csv --videos videos --to elan --out eaf
  python -m video_datasets.convert detections.json --videos videos --to boris --out found.boris --min-score 0.3 --top 20
  python -m video_datasets.convert found.boris --merge detections.json --to csv --out corrected.csv

"""


@dataclass(frozen=True)
class Conversion:
    """What a user asks for; see the command's help."""

    source: Path
    out: Path
    to: str
    source_format: str | None = None
    videos: Path | None = None
    fps: float = math.nan
    point_half_width_s: float = 0.0
    min_score: float = -math.inf
    top: int | None = None
    merge: Path | None = None
    validation: float | None = None


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = CommandParser(
        prog=program_name("video_datasets.convert"),
        description=__doc__,
        epilog=_EXAMPLES + EXIT_CODES_HELP,
    )
    parser.add_argument("source", type=user_path, metavar="IN", help="file or folder")
    parser.add_argument("--to", required=True, choices=WRITERS, metavar="FORMAT", help=", ".join(WRITERS))
    parser.add_argument("--out", required=True, type=user_path, metavar="PATH", help="file or folder")
    parser.add_argument(
        "--from", dest="source_format", choices=TOOLS, metavar="FORMAT", help="of IN, where told wrong"
    )
    parser.add_argument(
        "--videos", type=user_path, metavar="DIR", help="the videos: their lengths, frame times and places"
    )
    parser.add_argument(
        "--fps", type=float, default=math.nan, help="frame rate where the videos are not there"
    )
    parser.add_argument(
        "--point-half-width",
        dest="point_half_width_s",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="widen point events by so much to either side",
    )
    parser.add_argument("--min-score", type=float, default=-math.inf, help="least score of a detection")
    parser.add_argument("--top", type=int, help="most detections of a video")
    parser.add_argument(
        "--merge", type=user_path, metavar="FILE", help="the detections that IN was made from"
    )
    parser.add_argument(
        "--validation",
        type=float,
        metavar="SHARE",
        help="put this share of the videos into the subset validation, where IN knows no subsets",
    )
    arguments = parser.parse_args(argv)
    return guarded(lambda: _run(Conversion(**vars(arguments))))


def _run(conversion: Conversion) -> int:
    notes = convert(conversion)
    for line in (*lines(notes.remarks), *lines(notes.lost)):
        print(line, file=sys.stderr)
    print(f"written to {conversion.out}", file=sys.stderr)
    return EXIT_SKIPPED_ITEMS if notes.lost else EXIT_DONE


def convert(conversion: Conversion) -> Notes:
    """Convert a file or folder; returns what was left out or decided on the way.

    Raises:
        FileNotFoundError: if something named is not there.
        InputError: if it cannot be read, or not be written in the other format.
    """
    if conversion.videos is not None and not conversion.videos.is_dir():
        raise InputError(f"--videos: expected a folder, found '{conversion.videos}'")
    if not conversion.point_half_width_s >= 0:
        raise InputError(
            f"--point-half-width: expected seconds from 0 on, found {conversion.point_half_width_s:g}"
        )
    if not (math.isnan(conversion.fps) or conversion.fps > 0):
        raise InputError(f"--fps: expected a rate above 0, found {conversion.fps:g}")
    media = Media(index_video_files(conversion.videos) if conversion.videos else {}, conversion.fps)
    refuse_overwriting([conversion.out], [conversion.source, conversion.merge, *media.paths.values()])
    labelling = read_labelling(conversion.source, media, conversion)
    notes = Notes(labelling.notes.lost.copy(), labelling.notes.remarks.copy())
    if conversion.merge is not None:
        written = read_labelling(conversion.merge, media, conversion)
        tool = tool_of(conversion.source).name
        labelling = merged(labelling, written, _tolerance_s(tool, labelling, media, notes), notes)
    if conversion.validation is not None:
        labelling = set_aside(labelling, conversion.validation, notes)
    labelling = writable(best(labelling, conversion.min_score, conversion.top), notes)
    WRITERS[conversion.to](conversion.out, labelling, media, notes)
    return notes


def read_labelling(path: Path, media: Media, conversion: Conversion) -> Labelling:
    """Read a file or folder of any tool."""
    named = conversion.source_format if path == conversion.source else None
    tool = tool_named(named) if named else tool_of(path)

    return tool.read(path, LabelReading(media.clock_of, conversion.point_half_width_s))


def _tolerance_s(tool: str, labelling: Labelling, media: Media, notes: Notes) -> float:
    """How far the tool that wrote a file may have rounded its times."""
    if tool not in _FRAME_FORMATS or not labelling.videos:
        return MERGE_TOLERANCE_S
    return (
        _FRAME_FORMATS[tool] / min(media.clock(video, notes).fps for video in labelling.videos)
        + MERGE_TOLERANCE_S
    )


if __name__ == "__main__":
    sys.exit(main())
