"""Extract sliding-window clip features of videos into one HDF5 feature store.

As a stage (--config):  every annotated video, with the finetuned model
As a tool (--videos):   every video of a folder, with any model, no annotations
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from feature_extraction.settings import FeaturesConfig
from feature_extraction.stage import SPEC
from pipeline.stages import STAGES, load_config
from runtime.command import KEYS_HELP, SCHEDULER_HELP, limit_spinning, run_of_words
from runtime.config import find_config
from runtime.errors import InputError
from runtime.exit_codes import EXIT_CODES_HELP, EXIT_DONE, EXIT_SKIPPED_ITEMS, guarded
from runtime.help_text import CommandParser, program_name
from runtime.paths import user_path
from runtime.settings import RuntimeConfig
from video_datasets.time_grid import TimeGrid

PAPER_SETTINGS = {
    "hacs": (TimeGrid(), FeaturesConfig()),
    "ek100": (TimeGrid(fps=60.0, stride_frames=8), FeaturesConfig(short_side_px=224)),
}
"""Grid and features of the paper (App. A.2) for its two data sets."""

_EXAMPLES = f"""examples:
  python -m feature_extraction --config configs/hacs_mini.yaml
  python -m feature_extraction --config configs/hacs.yaml --dry-run
  python -m feature_extraction --videos my_videos --model tada2d_r50 --weights tada2d_r50_k400.pyth --out my.h5
  python -m feature_extraction --config configs/hacs.yaml --scheduler tcp://host:8786

Cut off, the same command goes on. What is done about damaged videos: feature_extraction/extract.py; clusters:
runtime/cluster.py; other people's features: features.store=FILE.h5 instead of extracting.

{KEYS_HELP}
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = _parser()
    arguments = parser.parse_intermixed_args(argv)
    if (arguments.config is None) == (arguments.videos is None):
        parser.error("expected either --config FILE or --videos DIR")
    if arguments.videos is not None and (arguments.model is None or arguments.out is None):
        parser.error("--videos needs --model and --out, too")
    if arguments.videos is not None and arguments.overrides:
        parser.error(f"key=value belongs to --config, found {' '.join(arguments.overrides)}")
    limit_spinning()
    return guarded(lambda: _stage(arguments) if arguments.config else _tool(arguments))


def _stage(arguments: argparse.Namespace) -> int:
    words = list(arguments.overrides)
    words += [f"runtime.scheduler={arguments.scheduler}"] if arguments.scheduler else []
    if not arguments.dry_run:
        return run_of_words(SPEC, STAGES, arguments.config, words, force=arguments.force)
    config = load_config(find_config(arguments.config), words)
    if config.features.store is not None:
        raise InputError("--dry-run looks ahead at an extraction, but with features.store there is none")
    from feature_extraction.extract import preview

    report = preview(config)
    print(report)
    return EXIT_SKIPPED_ITEMS if report.missing or report.unreadable else EXIT_DONE


def _tool(arguments: argparse.Namespace) -> int:
    from feature_extraction.own_videos import OwnVideos, extract_own_videos

    grid, features = PAPER_SETTINGS[arguments.protocol]

    def given(*names: str) -> dict[str, Any]:
        return {name: value for name in names if (value := getattr(arguments, name)) is not None}

    try:
        grid = replace(grid, **given("fps", "stride_frames", "clip_frames", "interval_frames"))
        features = replace(
            features, **given("short_side_px", "crops", "precision", "dtype", "min_decoded_share")
        )
        runtime = replace(RuntimeConfig(), **given(*_RUNTIME_WORDS))
    except ValueError as error:  # of a section: out of range
        raise InputError(str(error)) from error
    asked = OwnVideos(
        videos=arguments.videos,
        out=arguments.out,
        model=arguments.model,
        weights=arguments.weights,
        grid=grid,
        features=features,
        runtime=runtime,
    )
    return extract_own_videos(asked, dry_run=arguments.dry_run, force=arguments.force)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog=program_name("feature_extraction"),
        description=__doc__,
        epilog=_EXAMPLES + EXIT_CODES_HELP,
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what there is to do, and its cost")
    parser.add_argument("--force", action="store_true", help="redo everything from nothing")
    parser.add_argument("--scheduler", metavar="tcp://...", help=SCHEDULER_HELP)
    run = parser.add_argument_group("as a stage")
    run.add_argument("--config", metavar="FILE", help="YAML file of the run, e.g. configs/hacs.yaml")
    run.add_argument("overrides", nargs="*", metavar="key=value", help="settings over those of the file")
    tool = parser.add_argument_group("as a tool")
    tool.add_argument(
        "--videos", type=user_path, metavar="DIR", help="folder of videos, searched at any depth"
    )
    tool.add_argument("--model", metavar="NAME", help="network, see `python -m tadaconv`")
    tool.add_argument(
        "--weights", type=user_path, metavar="FILE", help="released, finetuned or image weights"
    )
    tool.add_argument(
        "--out", type=user_path, metavar="FILE.h5", help="the feature store to make or complete"
    )
    tool.add_argument(
        "--protocol",
        choices=PAPER_SETTINGS,
        default="hacs",
        help="hacs (default): 30 fps, stride 16, short side 128; ek100: 60 fps, stride 8, short side 224",
    )
    _add_settings(tool)
    return parser


_RUNTIME_WORDS = ("device", "threads", "workers", "scheduler", "video_max_hours", "video_max_megapixels")


def _add_settings(tool: argparse._ArgumentGroup) -> None:
    """Options of single settings; those that are not given are the protocol's."""
    tool.add_argument("--fps", type=float, help="of the uniform time grid")
    tool.add_argument("--stride", dest="stride_frames", type=int, help="grid frames between features")
    tool.add_argument("--clip-frames", type=int, help="frames per clip (8; SlowFast 32)")
    tool.add_argument("--interval", dest="interval_frames", type=int, help="between them (8; SlowFast 2)")
    tool.add_argument("--short-side", dest="short_side_px", type=int, help="of the frames, in pixels")
    tool.add_argument(
        "--crops", choices=("whole", "centre", "three"), help="what the network sees of a frame"
    )
    tool.add_argument("--precision", choices=("float32", "bfloat16", "float16"), help="of the network")
    tool.add_argument("--dtype", choices=("float16", "float32"), help="of the stored features")
    tool.add_argument(
        "--min-decoded-share", type=float, help="less of a video's frames than this: left out (0.9)"
    )
    tool.add_argument("--device", help="auto (default), cpu, cuda, cuda:1; cuda:0,cuda:1 for both")
    tool.add_argument("--threads", type=int, help="of torch (default: all cores)")
    tool.add_argument("--workers", type=int, help="processes that decode (default 2)")
    tool.add_argument(
        "--max-hours", dest="video_max_hours", type=float, help="a longer file is left out (24)"
    )
    tool.add_argument(
        "--max-megapixels", dest="video_max_megapixels", type=float, help="larger frames: left out (36)"
    )


if __name__ == "__main__":
    sys.exit(main())
