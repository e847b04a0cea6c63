"""Check the plan of a whole run before hours are spent: data, weights, reach of the head, disk,
time.

Nothing is trained or written, but for the built-in mini data set where the configuration asks for
it. The hours come from a few real steps on random input and from the beginnings of some videos, on
this machine; evaluation and report, which take seconds, are not in them.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.stages import is_complete, load_config, stages_of
from proposals.heads import head_of
from runtime.called_as import as_called
from runtime.command import KEYS_HELP, limit_spinning
from runtime.config import find_config
from runtime.errors import InputError
from runtime.exit_codes import EXIT_BAD_INPUT, EXIT_DONE, EXIT_SKIPPED_ITEMS, guarded
from runtime.help_text import CommandParser, program_name
from runtime.sections import RunConfig
from video_datasets.dataset import VideoDataset, load_dataset

_EPILOG = f"""examples:
  python -m pipeline.check configs/hacs_mini.yaml
  python -m pipeline.check configs/own.yaml data.root=my_data model=tada2d_mini

{KEYS_HELP}
exit codes: 0 all in order, 1 something looks odd, 2 something cannot run"""

LOW_BOUND = 0.9
"""A mean bound of recall below this is odd: a tenth of the segments is lost before anything is
learnt."""
WIDTH = 80
MAX_SAID = 8
"""Lines a finding may take."""


@dataclass
class RunPlan:
    """Lines to print, what looks odd, and what cannot run."""

    lines: list[str] = field(default_factory=list)
    odd: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """2 if something cannot run, 1 if something is odd."""
        if self.wrong:
            return EXIT_BAD_INPUT
        return EXIT_SKIPPED_ITEMS if self.odd else EXIT_DONE

    def __str__(self) -> str:
        findings = [f"odd: {words}" for words in self.odd] + [f"CANNOT RUN: {words}" for words in self.wrong]
        verdict = f"plan: {len(self.odd)} odd, {len(self.wrong)} cannot run" if findings else "plan: in order"
        said = [*self.lines, *findings, verdict]
        return "\n".join(_folded(line) for words in said for line in words.splitlines())


def _folded(line: str) -> str:
    indent = " " * (len(line) - len(line.lstrip()) + 2)
    return textwrap.fill(
        as_called(line),
        WIDTH,
        subsequent_indent=indent,
        max_lines=MAX_SAID,
        break_long_words=False,
        break_on_hyphens=False,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = CommandParser(
        prog=program_name("pipeline.check"),
        description=__doc__,
        epilog=_EPILOG,
    )
    parser.add_argument("config", metavar="CONFIG", help="YAML file, or the name of a shipped one")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings over those of the file")
    arguments = parser.parse_intermixed_args(argv)
    limit_spinning()
    return guarded(lambda: check(find_config(arguments.config), arguments.overrides))


def check(config_file: Path, overrides: Sequence[str]) -> int:
    """Print the plan of a run; return 0, 1 where something is odd, 2 where something cannot run.

    Raises:
        InputError: if the configuration or the annotations cannot be read.
    """
    from video_datasets.__main__ import render_mini

    config = load_config(config_file, overrides)
    render_mini(config)
    plan = plan_of(config)
    print(plan)
    return plan.exit_code


def plan_of(config: RunConfig) -> RunPlan:
    """Look at everything that can be known before a run.

    Raises:
        InputError: if the annotations cannot be read.
    """
    from video_datasets.__main__ import describe

    dataset = load_dataset(config.data, for_training=False)
    described = describe(dataset, config.data, imported=config.features.store is not None).splitlines()
    plan = RunPlan([line for line in described if not line.startswith("  note: ")])
    plan.odd += [line.removeprefix("  note: ") for line in described if line.startswith("  note: ")]
    _look_at_data(plan, dataset, config)
    todo = _look_at_stages(plan, config)
    _look_ahead(plan, dataset, config, todo)
    return plan


def time_line(config: RunConfig, todo: Sequence[str]) -> str:
    """Return one line with the estimated time of the stages to do; empty where nothing can be
    measured.

    Raises:
        InputError: if a stage could not start.
        FileNotFoundError: if a file that a stage starts from is missing.
    """
    from pipeline.plan.amounts import amounts
    from pipeline.plan.network import start_of_run
    from pipeline.plan.outlook import known_durations
    from pipeline.plan.times import MEASURED, estimate_line, is_busy, stage_seconds

    if not set(todo) & set(MEASURED):
        return ""
    dataset = load_dataset(config.data)
    model, channels, _ = start_of_run(dataset, config)
    work = amounts(dataset, config, known_durations(dataset))
    return estimate_line(stage_seconds(todo, dataset, config, work, model, channels), busy=is_busy())


def stages_to_do(config: RunConfig) -> list[str]:
    """Return the names of the stages that are not complete.

    Raises:
        InputError: if one was made from other inputs.
    """
    return [spec.name for spec in stages_of(config) if not is_complete(spec, config)]


def _look_at_data(plan: RunPlan, dataset: VideoDataset, config: RunConfig) -> None:
    """Labelled videos that are there, in both subsets; everything that was dropped is odd."""
    imported = config.features.store is not None
    for subset in (config.data.training_subset, config.data.validation_subset):
        labelled = [video for video in dataset.subset(subset) if video.segments]
        if not labelled:
            plan.wrong.append(f"subset '{subset}' has no labelled segment")
        elif not imported and all(video.path is None for video in labelled):
            plan.wrong.append(f"none of the {len(labelled)} labelled videos of subset '{subset}' is on disk")
    if dataset.problems:
        plan.odd.append(f"{len(dataset.problems)} problems of the annotations, listed above")
    missing = sum(video.path is None for video in dataset.videos.values())
    if missing and not imported:
        plan.odd.append(f"{missing} of {len(dataset.videos)} videos are not on disk")


def _look_at_stages(plan: RunPlan, config: RunConfig) -> list[str]:
    try:
        todo = stages_to_do(config)
    except InputError as error:
        plan.wrong.append(str(error))
        todo = [spec.name for spec in stages_of(config)]
    states = [f"{spec.name} ({'to do' if spec.name in todo else 'complete'})" for spec in stages_of(config)]
    plan.lines.append(f"stages: {', '.join(states)}")
    return todo


def _look_ahead(plan: RunPlan, dataset: VideoDataset, config: RunConfig, todo: Sequence[str]) -> None:
    """Weights, reach, disk and time."""
    from pipeline.plan.amounts import amounts
    from pipeline.plan.network import start_of_run
    from pipeline.plan.outlook import bytes_free, bytes_left, known_durations
    from pipeline.plan.times import estimate_line, is_busy, stage_seconds

    durations_s = known_durations(dataset)
    _look_at_reach(plan, config, durations_s)
    free = bytes_free(Path(config.run_dir))
    try:
        model, channels, said = start_of_run(load_dataset(config.data), config)
    except (InputError, FileNotFoundError) as error:
        plan.wrong.append(str(error))
        return
    plan.odd += [line.removeprefix("WARNING: ") for line in said if line.startswith("WARNING: ")]
    plan.lines += [f"weights: {line}" for line in said if not line.startswith("WARNING: ")][:4]
    work = amounts(dataset, config, durations_s)
    needed = bytes_left(todo, config, work, model, channels)
    plan.lines.append(f"disk: about {needed / 1e9:.2f} GB to be written, {free / 1e9:.1f} GB free")
    if needed > free:
        plan.wrong.append(
            f"the disk of {config.run_dir} has {free / 1e9:.1f} GB, {needed / 1e9:.1f} are needed"
        )
    line = estimate_line(stage_seconds(todo, dataset, config, work, model, channels), busy=is_busy())
    plan.lines += [line] if line else []


def _look_at_reach(plan: RunPlan, config: RunConfig, durations_s: dict[str, float]) -> None:
    from pipeline.plan.outlook import recall_bounds

    try:
        tious, bounds, count = recall_bounds(config, durations_s)
    except InputError:
        return  # nothing to validate, which is said already
    for name, bound in bounds.items():
        percent = " ".join(f"{100 * value:.0f}" for value in bound)
        plan.lines.append(f"best recall (%) at tIoU {tious[0]:g} to {tious[-1]:g}, {name}: {percent}")
    means = {name: float(bound.mean()) for name, bound in bounds.items()}
    worst = min(means, key=means.__getitem__, default="")
    if worst and means[worst] < LOW_BOUND:
        advice = " or ".join(filter(None, ("a smaller grid.stride_frames", head_of(config).finer)))
        plan.odd.append(
            f"{worst}: reaches {100 * means[worst]:.0f} % of {count} segments at best, mean over tIoU; "
            f"{advice} reaches more"
        )


if __name__ == "__main__":
    sys.exit(main())
