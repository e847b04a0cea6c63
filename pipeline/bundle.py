"""Pack a trained run into one portable file, or the folder of a model repository; `python -m
pipeline.detect --run` takes either.

Both hold the finetuned network, the head, class names, time grid and settings, as plain arrays and
JSON: nothing in them is executed, and no path of this machine is in them. The file's format:
pipeline/bundle_file.py. The folder has the layout of huggingface.co (pipeline/hub_folder.py), with
a card that gives figures and licences; upload it with the tools of the site.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.hub_card import NOT_STATED, ModelFacts, render_card
from runtime.exit_codes import EXIT_CODES_HELP, EXIT_DONE, guarded
from runtime.help_text import CommandParser, program_name
from runtime.paths import user_path

if TYPE_CHECKING:
    from pipeline.trained_run import TrainedRun

_EXAMPLES = """examples:
  python -m pipeline.bundle --run runs/hacs_mini --out hacs_mini.zip
  python -m pipeline.detect my_video.mp4 --run hacs_mini.zip
  python -m pipeline.bundle --run runs/own --hub my-model --licence cc-by-4.0 --dataset "Mice of our lab"

"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = CommandParser(
        prog=program_name("pipeline.bundle"),
        description=__doc__,
        epilog=_EXAMPLES + EXIT_CODES_HELP,
    )
    parser.add_argument(
        "--run", required=True, type=user_path, metavar="FOLDER", help="of a run, e.g. runs/hacs_mini"
    )
    parser.add_argument("--out", type=user_path, metavar="FILE.zip", help="the file to write")
    parser.add_argument(
        "--hub", type=user_path, metavar="FOLDER", help="the model repository to write; new or empty"
    )
    card = parser.add_argument_group("for the card of --hub")
    card.add_argument("--licence", default="", metavar="NAME", help="of the weights, e.g. apache-2.0")
    card.add_argument(
        "--licence-videos", default=NOT_STATED, metavar="TEXT", help="of what it was trained on"
    )
    card.add_argument("--dataset", default=NOT_STATED, metavar="TEXT", help="name of the data set")
    arguments = parser.parse_args(argv)
    if arguments.out is None and arguments.hub is None:
        parser.error("expected --out FILE.zip or --hub FOLDER")
    facts = ModelFacts(
        licence=arguments.licence, licence_videos=arguments.licence_videos, dataset=arguments.dataset
    )
    return guarded(lambda: bundle(arguments.run, arguments.out, arguments.hub, facts))


def bundle(run_dir: Path, out: Path | None, hub: Path | None = None, facts: ModelFacts | None = None) -> int:
    """Pack a run folder.

    Args:
        run_dir: folder of the run.
        out: zip file to write, if any.
        hub: folder of a model repository to write, if any.
        facts: for its card.

    Raises:
        InputError: if the run is not complete (`pipeline.trained_run.open_run`).
        NotADirectoryError: if `run_dir` is no folder.
    """
    from pipeline.bundle_file import pack_bundle  # these take seconds to load
    from pipeline.hub_folder import write_hub_folder
    from pipeline.portable import portable_name
    from pipeline.trained_run import open_run
    from runtime.config import config_to_dict
    from runtime.resources import versions

    if run_dir.exists() and not run_dir.is_dir():
        raise NotADirectoryError(f"{run_dir}: expected the folder of a run")
    run = open_run(run_dir)
    information = {
        "name": run.name,
        "model": portable_name(run.backbone.name),
        "backbone_sha256": run.backbone.sha256,
        "remark": run.remark,
        "versions": versions(),
    }
    config = config_to_dict(run.config)
    written = {}
    if out is not None:
        written[out] = pack_bundle(run_dir, out, config, information)
    if hub is not None:
        card = _card(run, run_dir, hub.resolve().name, facts or ModelFacts())
        written[hub] = write_hub_folder(run_dir, hub, config, information, card)
    for path, size in written.items():
        print(f"{path}: {run.backbone.name} with {run.num_classes}, {size / 1e6:.1f} MB", file=sys.stderr)
    return EXIT_DONE


def _card(run: TrainedRun, run_dir: Path, name: str, facts: ModelFacts) -> str:
    from proposals.heads import head_of
    from video_datasets.annotations import read_json_object

    grid, metrics = run.config.grid, run_dir / "metrics.json"
    rows = {
        "network": f"{run.backbone.name}, {run.num_classes}",
        "head": f"{head_of(run.config).title}, sees {run.head.looks_at}",
        "time grid": f"{grid.fps:g} fps, a feature every {grid.stride_frames / grid.fps:.3f} s",
    }
    figures = read_json_object(metrics) if metrics.is_file() else None
    return render_card(name, facts, rows, run.backbone.heads, figures, run.remark)


if __name__ == "__main__":
    sys.exit(main())
