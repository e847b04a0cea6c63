"""`python -m evaluation.compare`: runs or files of detections side by side, with confidence
intervals over videos."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import ascii_uppercase
from typing import TYPE_CHECKING, Any

from evaluation.arguments import (
    add_ground_truth,
    add_protocol,
    make_parser,
    run_command,
)
from runtime.atomic import write_json
from runtime.errors import InputError
from runtime.overwriting import refuse_overwriting
from runtime.paths import user_path

if TYPE_CHECKING:
    from evaluation.comparison.intervals import Comparison, Estimate, TaskComparison

DESCRIPTION = """\
Compare detections: mAP side by side, with 95 % confidence intervals, and differences from the first file.

The intervals say how far the figures would move with other videos of the same kind: a paired bootstrap, in which
every resample draws as many videos as there are, with replacement, and scores all files on them. A difference whose
interval includes 0 may be chance. Of runs, the settings in which they differ stand below."""

EXAMPLES = """\
  python -m evaluation.compare runs/hacs_mini runs/hacs_mini_r2d_mini
  python -m evaluation.compare --ground-truth HACS_segments_v1.1.1.json before.json after.json
  python -m evaluation.compare --ground-truth EPIC_100_validation.csv a.json b.json c.json \\
      --resamples 5000 --json comparison.json

The screen shows percent, --json fractions in full precision."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        argv: arguments; None takes those of the process.
    """
    return run_command(command_parser(), _run, argv)


def command_parser() -> argparse.ArgumentParser:
    """Define the arguments."""
    parser = make_parser("evaluation.compare", DESCRIPTION, EXAMPLES)
    add = parser.add_argument
    add(
        "files",
        type=user_path,
        nargs="+",
        metavar="RUN_OR_FILE",
        help="folder of a run, or submission JSON, CSV, HDF5",
    )
    add_protocol(parser, required=False)
    add_ground_truth(parser, required=False)
    add("--resamples", type=int, default=1000, metavar="N", help="(default: %(default)s)")
    add("--seed", type=int, default=0, help="of the resamples (default: %(default)s)")
    add("--json", type=user_path, metavar="FILE", help="write all figures here")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    import pipeline.stages  # noqa: F401 (settings of all packages, to read configurations of runs)
    from evaluation.comparison.compared import collect_members
    from evaluation.comparison.intervals import compare_predictions

    if not 2 <= len(arguments.files) <= len(ascii_uppercase):
        raise InputError(f"expected 2 to 26 files to compare, found {len(arguments.files)}")
    if arguments.resamples < 2 or arguments.seed < 0:
        raise InputError(
            f"expected --resamples of at least 2 and --seed of at least 0,"
            f" found {arguments.resamples} and {arguments.seed}"
        )
    refuse_overwriting([arguments.json], [*arguments.files, arguments.ground_truth])
    compared = collect_members(
        arguments.files,
        ground_truth=arguments.ground_truth,
        ground_truth_format_name=arguments.format,
        protocol_name=arguments.protocol,
        tious=arguments.tiou,
        subset=arguments.subset,
    )
    comparison = compare_predictions(
        compared.truth,
        compared.predictions,
        compared.protocol,
        subset=compared.subset,
        resamples=arguments.resamples,
        seed=arguments.seed,
    )
    print(render_comparison(comparison, arguments.files))
    if any(path.is_dir() for path in arguments.files):
        print(f"\n{render_settings(compared.settings)}")
    if arguments.json:
        content = comparison_to_json(comparison, arguments.files) | {"settings": compared.settings}
        write_json(arguments.json, content)
    return 0


def render_settings(settings: Mapping[str, Sequence[Any]]) -> str:
    """Render the settings in which runs differ, a column for each."""
    from evaluation.report.tables import align

    if not settings:
        return "settings: no difference"
    letters = ascii_uppercase[: len(next(iter(settings.values())))]
    rows = [[key, *("-" if value is None else str(value) for value in row)] for key, row in settings.items()]
    return align([["settings that differ", *letters], *rows])


def render_comparison(comparison: Comparison, paths: Sequence[Path]) -> str:
    """Render the tables of the screen, in percent: figures, then differences from the first
    file."""
    from evaluation.report.tables import align

    letters = ascii_uppercase[: len(paths)]
    head = [
        f"{comparison.protocol} ({comparison.version})",
        *(f"{letter}  {path}" for letter, path in zip(letters, paths, strict=True)),
        f"95 % intervals from {comparison.resamples} resamples of {comparison.num_videos} videos,"
        f" seed {comparison.seed}",
    ]
    ticks = [*(f"{tiou:.2f}" for tiou in comparison.tiou_thresholds), "average"]
    blocks = ["\n".join(head)]
    for task, found in comparison.tasks.items():
        figures = [_figures(file) for file in found.files]
        rows = [[f"{task}: mAP (%) at tIoU", *letters], *map(list, zip(ticks, *figures, strict=True))]
        blocks.append(align(rows))
        blocks.append("\n".join(_verdicts(task, found, letters, comparison.num_videos)))
        columns = [_differences(difference) for difference in found.differences]
        names = [f"{letter} - A" for letter in letters[1:]]
        rows = [[f"{task}: difference at tIoU", *names], *map(list, zip(ticks, *columns, strict=True))]
        blocks.append(align(rows))
    return "\n\n".join(blocks)


def _figures(estimate: Estimate) -> list[str]:
    columns = (estimate.value, estimate.low, estimate.high)
    return [
        f"{100 * value:.2f} [{100 * low:.2f}, {100 * high:.2f}]"
        for value, low, high in zip(*columns, strict=True)
    ]


def _signed(estimate: Estimate) -> list[str]:
    columns = (estimate.value, estimate.low, estimate.high)
    return [
        f"{100 * value:+.2f} [{100 * low:+.2f}, {100 * high:+.2f}]"
        for value, low, high in zip(*columns, strict=True)
    ]


def _differences(estimate: Estimate) -> list[str]:
    words = ["excludes 0" if outside else "includes 0" for outside in estimate.excludes_zero]
    return [f"{figures} {word}" for figures, word in zip(_signed(estimate), words, strict=True)]


def _verdicts(task: str, found: TaskComparison, letters: str, num_videos: int) -> list[str]:
    """One sentence for each difference of average mAP."""
    from evaluation.comparison.intervals import FEW_VIDEOS

    lines = []
    for letter, difference in zip(letters[1:], found.differences, strict=True):
        value, outside = float(difference.value[-1]), bool(difference.excludes_zero[-1])
        which = "higher" if value > 0 else "lower"
        if num_videos < FEW_VIDEOS:
            verdict = f"{num_videos} videos are too few to tell: an example, not a measurement"
        elif outside:
            verdict = f"the interval excludes 0: {which}, beyond the chance of the videos"
        else:
            verdict = "the interval includes 0: the videos do not tell the two apart"
        lines.append(f"{task}: {letter} - A in average mAP {_signed(difference)[-1]}; {verdict}")
    return lines


def comparison_to_json(comparison: Comparison, paths: Sequence[Path]) -> dict[str, Any]:
    """Turn a comparison into the content of its JSON file.

    Returns:
        {"protocol", "protocol_version", "method", "level", "resamples", "seed", "videos",
        "tiou_thresholds", "files": [path], "tasks": {task: {"files": [figures], "differences":
        [figures]}}}, where figures are {"mAP": [T], "mAP_interval": [T][2], "average_mAP": x,
        "average_mAP_interval": [2]} and, for differences from the first file, "excludes_0": [T] and
        "average_excludes_0".
    """
    from evaluation.comparison.intervals import LEVEL

    return {
        "protocol": comparison.protocol,
        "protocol_version": comparison.version,
        "method": "paired bootstrap over videos, percentiles of deviations from the mean of the resamples",
        "level": LEVEL,
        "resamples": comparison.resamples,
        "seed": comparison.seed,
        "videos": comparison.num_videos,
        "tiou_thresholds": list(comparison.tiou_thresholds),
        "files": [str(path) for path in paths],
        "tasks": {
            task: {
                "files": [_estimate_to_json(file) for file in found.files],
                "differences": [_difference_to_json(difference) for difference in found.differences],
            }
            for task, found in comparison.tasks.items()
        },
    }


def _estimate_to_json(estimate: Estimate) -> dict[str, Any]:
    intervals = [list(pair) for pair in zip(estimate.low.tolist(), estimate.high.tolist(), strict=True)]
    return {
        "mAP": estimate.value[:-1].tolist(),
        "mAP_interval": intervals[:-1],
        "average_mAP": float(estimate.value[-1]),
        "average_mAP_interval": intervals[-1],
    }


def _difference_to_json(difference: Estimate) -> dict[str, Any]:
    *excludes, average = difference.excludes_zero.tolist()
    return {**_estimate_to_json(difference), "excludes_0": excludes, "average_excludes_0": average}


if __name__ == "__main__":
    sys.exit(main())
