"""`python -m benchmarks.ablations`: the paper's ablations on the built-in mini-HACS."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from runtime.paths import user_path

# Threads of every worker; read when numpy and torch are loaded.
os.environ["OMP_NUM_THREADS"] = "1"

from benchmarks.ablations.paper import MAIN_VARIANTS, TABLES
from benchmarks.ablations.report import LEGEND, table_text
from benchmarks.ablations.training import EPOCHS, Job, finished, prepare, train
from runtime.errors import InputError
from runtime.exit_codes import EXIT_CODES_HELP, EXIT_DONE, guarded
from runtime.parallel import parallel_map
from runtime.progress import progress
from video_datasets.mini import MiniSize

DESCRIPTION = """\
The paper's small-scale science (TAda!, ICLR 2022) on the built-in mini-HACS: Table 3a (calibration), 3b
(aggregation), 4 (dimensions), Fig. 3 (stages, share of channels) and Table 2 (plug-ins), small networks
trained from random weights, each table beside the paper's column. Mini results: they tell which design learns
this task, not what it would reach on Something-Something. What they show: docs/ablations.md

A network that several tables share is trained once. Every finished training is kept; the same command
goes on where it was stopped."""

EXAMPLES = f"""\
examples:
  bash scripts/reproduce_ablations.sh
  bash scripts/reproduce_ablations.sh --only 3a 3b
  bash scripts/reproduce_ablations.sh --show             # what is finished, without training

{EXIT_CODES_HELP}"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    arguments = _parser().parse_args(argv)
    return guarded(lambda: run(arguments))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ablations",
        description=DESCRIPTION,
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", nargs="+", choices=TABLES, default=list(TABLES), help="these tables (all)")
    parser.add_argument(
        "--seeds", type=int, default=3, metavar="N", help="trainings of the main rows, others have one (3)"
    )
    parser.add_argument(
        "--epochs", type=int, default=EPOCHS, metavar="N", help=f"of every training ({EPOCHS})"
    )
    parser.add_argument("--workers", type=int, default=2, metavar="N", help="trainings at a time (2)")
    parser.add_argument(
        "--out",
        type=user_path,
        default=Path("runs/ablations"),
        metavar="DIR",
        help="results (runs/ablations)",
    )
    parser.add_argument(
        "--data",
        type=user_path,
        default=Path("data/hacs_mini-ablations"),
        metavar="DIR",
        help="mini-HACS with 96 validation videos, rendered when missing (data/hacs_mini-ablations)",
    )
    parser.add_argument("--show", action="store_true", help="print what is finished, train nothing")
    return parser


def run(arguments: argparse.Namespace, size: MiniSize | None = None) -> int:
    """Train what is missing and print the tables.

    Args:
        arguments: of the command line.
        size: of the data set; None: mini-HACS with three times its validation videos, for less
            noise.
    """
    for name in ("seeds", "epochs", "workers"):
        if getattr(arguments, name) < 1:
            raise InputError(f"--{name} must be at least 1, found {getattr(arguments, name)}")
    if not arguments.show:
        prepare(arguments.out, arguments.data, size or MiniSize(validation=96), arguments.workers)
    elif not (arguments.data / "mini.json").is_file():
        raise InputError(
            f"{arguments.data}: expected the data set of the study, found no mini.json; run without --show first"
        )
    tables = {name: TABLES[name] for name in arguments.only}
    jobs = {name: _jobs(arguments, name) for name in tables}
    if not arguments.show:
        _train_all(
            [job for of_table in jobs.values() for of_row in of_table.values() for job in of_row],
            arguments.workers,
        )
    for name, table in tables.items():
        done = {label: [f for f in map(finished, of_row) if f] for label, of_row in jobs[name].items()}
        print(table_text(table, done))
    print(LEGEND)
    return EXIT_DONE


def _jobs(arguments: argparse.Namespace, name: str) -> dict[str, list[Job]]:
    """Trainings of a table by row."""
    return {
        label: [
            Job(row.variant, seed, arguments.epochs, arguments.out, arguments.data)
            for seed in range(arguments.seeds if row.variant in MAIN_VARIANTS else 1)
        ]
        for label, row in TABLES[name].rows.items()
    }


def _train_all(jobs: Sequence[Job], workers: int) -> None:
    """Train what is not finished, every network and seed once, first seeds first."""
    missing = {job.key: job for job in jobs if finished(job) is None}
    ordered = sorted(missing.values(), key=lambda job: job.seed)
    results = parallel_map(train, ordered, workers=workers)
    for _, result in progress(results, description="training", total=len(ordered), unit="network"):
        if isinstance(result, Exception):
            raise result


if __name__ == "__main__":
    sys.exit(main())
