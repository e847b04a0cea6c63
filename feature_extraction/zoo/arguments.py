"""The arguments of `python -m feature_extraction.zoo`; imports nothing heavy, so that --help is
quick."""

from __future__ import annotations

import argparse

from feature_extraction.zoo.presets import PRESETS, describe_presets
from runtime.exit_codes import EXIT_CODES_HELP
from runtime.help_text import CommandParser, program_name
from runtime.paths import user_path
from video_datasets.formats import FORMATS
from video_datasets.time_grid import CONVENTIONS, SPACINGS

READERS_OF = {name: entry.title for name, entry in FORMATS.items() if entry.localizes}

DESCRIPTION = """\
Features as people exchange them.

  pack     a finished store -> a folder to publish: HDF5, card, index, check sums
  verify   check such a folder; with --videos also against a new extraction
  export   a store -> one file a video for OpenTAD, ActionFormer, BMN, with the settings they need
  import   released features (TAdaConv .pkl, npy, npz, pt, csv, HDF5) -> a store with an explicit time grid

Each has its own --help. docs/features.md explains the store, the time grids, and whose features follow which."""

EPILOG = f"""\
examples:
  python -m feature_extraction.zoo pack runs/hacs --out hacs_tada2d --name "TAda2D on HACS" --dataset "HACS Segments"
  python -m feature_extraction.zoo pack runs/hacs --out hacs_tada2d --shard-gb 10
  python -m feature_extraction.zoo verify hacs_tada2d --videos hacs/videos --weights runs/hacs/finetune/weights.pt
  python -m feature_extraction.zoo export runs/hacs --format npy --out hacs_npy
  python -m feature_extraction.zoo import epic_features --out ek100.h5 --preset tadaconv-ek100 \\
      --annotations EPIC_100_validation.csv --format ek100 --durations EPIC_100_video_info.csv

{EXIT_CODES_HELP}"""

IMPORT_EPILOG = f"""\
presets (any option given besides overrules its value):
{describe_presets()}

without a preset, name the grid: --fps, --stride-frames, --clip-frames, --interval-frames, --convention
  ActionFormer  its default_fps, feat_stride and num_frames, 1, no_padding
  OpenTAD       likewise; --clip-frames is twice its offset_frames

example:
  python -m feature_extraction.zoo import thumos/i3d --out i3d.h5 --files npy --fps 30 --stride-frames 4 \\
      --clip-frames 16 --interval-frames 1 --convention no_padding --durations durations.csv

{EXIT_CODES_HELP}"""


VERIFY_DESCRIPTION = """\
Check sums, index, layout, attributes, times and values of a folder that pack wrote.

Every problem is listed with its place; exit code 2 if there is any, 1 if a video could not be compared."""

IMPORT_DESCRIPTION = """\
Bring released features into a store with an explicit time grid, and say whether they fit their videos.

Unreadable files are listed and left out. With durations (from annotations or --durations) the expected and the found
numbers of features are compared; with annotations also what is missing, and which share of the labelled segments the
grid can express: the best tIoU of each segment with stretches of whole cells of one stride."""


def zoo_parser() -> argparse.ArgumentParser:
    """Define the arguments of the four commands."""
    parser = CommandParser(
        prog=program_name("feature_extraction.zoo"),
        description=DESCRIPTION,
        epilog=EPILOG,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="pack|verify|export|import")
    for name, (define, description, epilog) in _COMMANDS.items():
        define(
            commands.add_parser(
                name,
                description=description,
                epilog=epilog,
            )
        )
    return parser


def _define_pack(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "store", type=user_path, metavar="STORE", help="store file, its folder, a run folder, or a packed one"
    )
    add("--out", type=user_path, required=True, metavar="DIR", help="the folder to write")
    add("--dtype", default="float16", choices=("float16", "float32"), help="(default: %(default)s)")
    add(
        "--shard-gb",
        type=float,
        metavar="G",
        help="write files of about G GB and an index; again on the same DIR: add the videos that it lacks",
    )
    add("--name", default="Features", help="title of the card")
    add("--dataset", default="not stated", help="name of the data set")
    for what in ("features", "videos", "weights"):
        flags = ["--licence", "--licence-features"] if what == "features" else [f"--licence-{what}"]
        add(*flags, dest=f"licence_{what}", default="not stated", metavar="TEXT", help=f"of the {what}")
    add(
        "--metrics",
        type=user_path,
        metavar="FILE",
        help="evaluation JSON (default: metrics.json of a run folder)",
    )


def _define_verify(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("folder", type=user_path, metavar="DIR", help="a folder that pack wrote")
    add(
        "--videos",
        type=user_path,
        metavar="DIR",
        help="extract some of the videos below it again and compare",
    )
    add("--weights", type=user_path, metavar="FILE", help="of the network, e.g. RUN/finetune/weights.pt")
    add("--sample", type=int, default=3, metavar="N", help="videos to extract again (default: %(default)s)")


def _define_export(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "store", type=user_path, metavar="STORE", help="store file, its folder, a run folder, or a packed one"
    )
    add("--out", type=user_path, required=True, metavar="DIR", help="the folder to write")
    add("--format", required=True, choices=("npy", "npz", "pt", "csv"), help="of the files")
    add(
        "--cells", type=int, metavar="N", help="rescale every video to N rows (BMN: --format csv --cells 100)"
    )
    _add_annotations(parser, "--annotation-format")


def _define_import(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add(
        "source",
        type=user_path,
        metavar="SOURCE",
        help="folder of feature files, HDF5 file, or .pkl of arrays by id",
    )
    add("--out", type=user_path, required=True, metavar="FILE.h5", help="the store to write")
    add("--preset", choices=tuple(PRESETS), metavar="NAME", help="whose features these are, see below")
    add("--fps", type=float, metavar="F", help="frames per second on which the features were extracted")
    add("--stride-frames", type=int, metavar="N", help="frames from one feature to the next")
    add("--clip-frames", type=int, metavar="N", help="frames of a clip")
    add("--interval-frames", type=int, metavar="N", help="frames from one frame of a clip to the next")
    add(
        "--convention",
        choices=CONVENTIONS,
        metavar="NAME",
        help=f"which frame a feature stands for: {', '.join(CONVENTIONS)} (video_datasets/time_grid.py)",
    )
    add("--spacing", choices=SPACINGS, help="how a clip is spread (default: interval)")
    add(
        "--files",
        choices=("npy", "npz", "pt", "csv", "pkl"),
        help="kind of files in a folder of several kinds",
    )
    add("--prefix", metavar="TEXT", help="before the video id in file names, e.g. v_")
    add("--suffix", metavar="TEXT", help="behind the video id in file names")
    add("--pieces", action="store_true", help="files are pieces, <video>_<start ms>_<end ms>")
    add("--transposed", action="store_true", help="arrays are C x T")
    add("--channels", type=int, metavar="C", help="expected (default: those of the first video)")
    add("--dtype", default="float16", choices=("float16", "float32"), help="(default: %(default)s)")
    add("--backbone", metavar="TEXT", help="recorded as the features' origin")
    _add_annotations(parser, "--format")
    add("--subset", default="", help="look at annotated videos of this subset only")
    add("--durations", type=user_path, metavar="CSV", help="durations, e.g. EPIC_100_video_info.csv")


def _add_annotations(parser: argparse.ArgumentParser, format_flag: str) -> None:
    parser.add_argument(
        "--annotations", type=user_path, metavar="FILE", help="of the data set, to name what is missing"
    )
    known = ", ".join(f"{name}: {what}" for name, what in READERS_OF.items())
    parser.add_argument(
        format_flag,
        dest="annotation_format",
        default="hacs",
        choices=tuple(READERS_OF),
        metavar="NAME",
        help=f"of the annotations ({known}; default: %(default)s)",
    )


_COMMANDS = {
    "pack": (_define_pack, "Write a folder to publish.", EXIT_CODES_HELP),
    "verify": (_define_verify, VERIFY_DESCRIPTION, EXIT_CODES_HELP),
    "export": (_define_export, "Write one file a video, and the settings for its readers.", EXIT_CODES_HELP),
    "import": (_define_import, IMPORT_DESCRIPTION, IMPORT_EPILOG),
}
