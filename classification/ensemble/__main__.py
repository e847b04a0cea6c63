"""`python -m classification.ensemble`: several networks or runs as one, with the figures of each."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from evaluation.arguments import add_ground_truth, add_protocol, make_parser, run_command
from runtime.errors import InputError
from runtime.overwriting import refuse_overwriting
from runtime.paths import user_path

if TYPE_CHECKING:
    from evaluation.comparison.compared import Compared
    from video_datasets.predictions import Predictions

DESCRIPTION = """\
Average several networks or runs, and score the members and the ensemble by our evaluation.

--average views: softmax of the networks over the views of labelled segments, from `python -m
classification.finetune.test`; accuracy. --average classes: class scores of the first run's proposals; mAP.
--average detections: what runs (or files of detections) found; segments of one class that overlap enough count
as one finding, whose score is the mean; mAP. --average pairs: a run with one_stage.classes=verb and one with
noun, point by point, as actions (docs/one_stage.md); mAP.

Weights chosen on the videos that they are scored on flatter the ensemble."""

EXAMPLES = """\
  python -m classification.ensemble runs/k400_8f runs/k400_16f --average views
  python -m classification.ensemble runs/hacs_8f runs/hacs_16f --average classes --out both.h5
  python -m classification.ensemble runs/hacs runs/hacs_af --average detections --weights 2 1 --out both.h5
  python -m classification.ensemble runs/verbs runs/nouns --average pairs --out submission.json
  python -m classification.ensemble a.json b.json --average detections --ground-truth HACS_segments_v1.1.1.json

--out writes the ensemble's detections, which `python -m evaluation` takes, as HDF5 or, .json, in the submission
format of the first run; --json all figures."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        argv: arguments; None takes those of the process.
    """
    return run_command(command_parser(), _run, argv)


def command_parser() -> argparse.ArgumentParser:
    """Define the arguments."""
    parser = make_parser("classification.ensemble", DESCRIPTION, EXAMPLES)
    add = parser.add_argument
    add("members", type=user_path, nargs="+", metavar="RUN_OR_FILE", help="folders of runs, or files")
    add("--average", required=True, choices=tuple(WAYS), help="what to average")
    add("--weights", type=float, nargs="+", metavar="W", help="of the members (default: all equal)")
    add(
        "--min-tiou",
        type=float,
        metavar="X",
        help="detections: overlap of one finding (default: the mean of the thresholds that are scored)",
    )
    add_protocol(parser, required=False)
    add_ground_truth(parser, required=False)
    add("--out", type=user_path, metavar="FILE", help="write the ensemble's detections here (.h5, .json)")
    add("--json", type=user_path, metavar="FILE", help="write all figures here")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    import pipeline.stages  # noqa: F401 (settings of all packages, to read configurations of runs)
    from classification.ensemble.figures import legend
    from classification.ensemble.outputs import write_ensemble
    from classification.ensemble.weights import shares
    from runtime.atomic import write_json

    if not 2 <= len(arguments.members) <= len(ascii_uppercase):
        raise InputError(f"expected 2 to 26 members, found {len(arguments.members)}")
    refuse_overwriting([arguments.out, arguments.json], [*arguments.members, arguments.ground_truth])
    weights = shares(arguments.weights, len(arguments.members))
    made = WAYS[arguments.average](arguments, weights)
    print(f"{legend(arguments.members, weights.tolist())}\n\n{made.table}")
    if arguments.out:
        if made.detections is None:
            raise InputError("--out is for detections; --average views makes figures alone (--json)")
        write_ensemble(arguments.out, made.detections, arguments.members[0])
    if arguments.json:
        members = dict(zip(ascii_uppercase, map(str, arguments.members), strict=False))
        write_json(arguments.json, {"members": members, "weights": weights.tolist(), "figures": made.figures})
    for path in filter(None, (arguments.out, arguments.json)):
        print(f"wrote {path}", file=sys.stderr)
    return 0


@dataclass(frozen=True, eq=False)
class Made:
    """What a command shows and writes.

    Attributes:
        table: for the screen.
        figures: by member, for JSON.
        detections: of the ensemble; None where it makes none.
    """

    table: str
    figures: Mapping[str, Any]
    detections: Predictions | None = None


def _views(arguments: argparse.Namespace, weights: NDArray[np.float64]) -> Made:
    from classification.ensemble.figures import accuracy_json, accuracy_rows
    from classification.ensemble.views import logits_file, rank_members, read_view_logits

    rankings = rank_members([read_view_logits(logits_file(path)) for path in arguments.members], weights)
    return Made(accuracy_rows(rankings), accuracy_json(rankings))


def _classes(arguments: argparse.Namespace, weights: NDArray[np.float64]) -> Made:
    from classification.ensemble.classes import label_all, mean_labeller, open_label_video, run_config
    from evaluation.run import PROPOSALS
    from video_datasets.dataset import load_dataset
    from video_datasets.predictions import by_video, read_predictions, select_videos

    first = arguments.members[0]
    data = run_config(first).data
    dataset = load_dataset(data, for_training=False)
    labellers = [open_label_video(run, dataset) for run in arguments.members]
    scored = {video.video_id for video in dataset.subset(arguments.subset or data.validation_subset)}
    proposals = by_video(select_videos(read_predictions(first.joinpath(*PROPOSALS)), scored))
    ensemble = mean_labeller(labellers, weights)
    return _scored([label_all(proposals, each) for each in (*labellers, ensemble)], _compared(arguments))


def _detections(arguments: argparse.Namespace, weights: NDArray[np.float64]) -> Made:
    from classification.ensemble.fusion import fuse_detections, same_finding_tiou

    if arguments.min_tiou is not None and not 0 <= arguments.min_tiou <= 1:
        raise InputError(f"--min-tiou: expected 0 to 1, found {arguments.min_tiou}")
    compared = _compared(arguments)
    min_tiou = arguments.min_tiou
    if min_tiou is None:
        min_tiou = same_finding_tiou(compared.protocol.tiou_thresholds)
    fused = fuse_detections(compared.predictions, weights, min_tiou=min_tiou)
    made = _scored([*compared.predictions, fused], compared)
    return replace(made, table=f"one finding: tIoU of {min_tiou:.3g} or more\n\n{made.table}")


def _pairs(arguments: argparse.Namespace, weights: NDArray[np.float64]) -> Made:
    from classification.ensemble.classes import run_config
    from classification.ensemble.pairs import open_pair, pair_all
    from evaluation.comparison.compared import how_scored
    from video_datasets.dataset import load_dataset

    if len(weights) != 2 or arguments.weights:
        raise InputError("--average pairs takes two runs, of verbs and of nouns, and no --weights")
    pair_video, data = open_pair(*arguments.members), run_config(arguments.members[0]).data
    dataset = load_dataset(data, for_training=False)
    videos = list(dataset.subset(arguments.subset or data.validation_subset))
    found = pair_all(pair_video, [video.video_id for video in videos])
    if not any(video.segments for video in videos):
        return Made("no figures: these videos have no labels", {}, found)
    asked = _asked(arguments)
    asked["protocol_name"] = arguments.protocol or "ek100"  # a run of verbs alone is scored by another
    return _scored([found], how_scored(arguments.members, **asked))


def _compared(arguments: argparse.Namespace) -> Compared:
    from evaluation.comparison.compared import collect_members

    return collect_members(arguments.members, **_asked(arguments))


def _asked(arguments: argparse.Namespace) -> dict[str, Any]:
    return {
        "ground_truth": arguments.ground_truth,
        "ground_truth_format_name": arguments.format,
        "protocol_name": arguments.protocol,
        "tious": arguments.tiou,
        "subset": arguments.subset,
    }


def _scored(found: Sequence[Predictions], compared: Compared) -> Made:
    """The members' detections and, last, the ensemble's, with their figures."""
    from classification.ensemble.figures import detection_json, detection_table, score

    evaluations = [score(each, compared) for each in found]
    return Made(detection_table(evaluations), detection_json(evaluations), found[-1])


WAYS: dict[str, Callable[[argparse.Namespace, NDArray[np.float64]], Made]] = {
    "views": _views,
    "classes": _classes,
    "detections": _detections,
    "pairs": _pairs,
}
"""What can be averaged -> what does it."""


if __name__ == "__main__":
    sys.exit(main())
