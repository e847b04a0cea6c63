"""`python -m feature_extraction.zoo pack|verify|export|import`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from feature_extraction.zoo.arguments import zoo_parser
from feature_extraction.zoo.presets import PRESETS
from runtime.errors import InputError
from runtime.exit_codes import EXIT_BAD_INPUT, EXIT_DONE, EXIT_SKIPPED_ITEMS, guarded
from runtime.overwriting import refuse_overwriting
from video_datasets.time_grid import TimeGrid

if TYPE_CHECKING:
    from feature_extraction.zoo.import_features import ImportPlan
    from feature_extraction.zoo.sources import Sources
    from video_datasets.annotations import AnnotationTable

MAX_LISTED = 20
"""Skipped items shown on the screen."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code.

    Args:
        argv: arguments; None takes those of the process.
    """
    arguments = zoo_parser().parse_args(argv)
    return guarded(lambda: COMMANDS[arguments.command](arguments))


def _pack(arguments: argparse.Namespace) -> int:
    from feature_extraction.zoo.card import CardFacts
    from feature_extraction.zoo.pack import pack_store

    refuse_overwriting([arguments.out], [arguments.store])  # a store may be a folder
    if arguments.shard_gb is not None and not arguments.shard_gb > 0:
        raise InputError(f"--shard-gb must be above 0, found {arguments.shard_gb:g}")
    facts = CardFacts(
        name=arguments.name,
        dataset=arguments.dataset,
        licence_features=arguments.licence_features,
        licence_videos=arguments.licence_videos,
        licence_weights=arguments.licence_weights,
    )
    line, is_random = pack_store(
        arguments.store,
        arguments.out,
        facts,
        dtype=arguments.dtype,
        metrics=arguments.metrics,
        shard_bytes=None if arguments.shard_gb is None else arguments.shard_gb * 1e9,
    )
    print(line)
    if is_random:
        print("WARNING: these features come from RANDOM WEIGHTS; the card says so", file=sys.stderr)
    return EXIT_DONE


def _verify(arguments: argparse.Namespace) -> int:
    from feature_extraction.zoo.verify import verify

    result = verify(
        arguments.folder, videos=arguments.videos, weights=arguments.weights, sample=arguments.sample
    )
    for place, what in result.problems:
        print(f"wrong: {place}: {what}")
    if len(result.shards) > 1:
        print("\n".join(f"{name}: {words}" for name, words in result.shards.items()))
    _list(result.skipped)
    compared = (
        f"{result.compared} of them compared with a new extraction"
        if arguments.videos
        else "values not compared with videos (--videos)"
    )
    print(f"{arguments.folder}: {result.videos} videos checked, {compared}; {len(result.problems)} problems")
    if result.problems:
        return EXIT_BAD_INPUT
    return EXIT_SKIPPED_ITEMS if result.skipped else EXIT_DONE


def _export(arguments: argparse.Namespace) -> int:
    from feature_extraction.zoo.export import export

    refuse_overwriting([arguments.out], [arguments.store])
    annotations = _read_annotations(arguments)
    if arguments.cells is not None and arguments.cells < 1:
        raise InputError(f"--cells must be at least 1, found {arguments.cells}")
    exported = export(
        arguments.store,
        arguments.out,
        arguments.format,
        cells=arguments.cells,
        annotations=annotations,
    )
    print(exported.settings)
    _list(exported.skipped)
    print(exported.written)
    return EXIT_SKIPPED_ITEMS if exported.skipped else EXIT_DONE


def _import(arguments: argparse.Namespace) -> int:
    from feature_extraction.zoo.card import grid_words
    from feature_extraction.zoo.import_check import check_import, wanted_ids
    from feature_extraction.zoo.import_features import import_features, write_skipped

    skipped_list = arguments.out.with_suffix(".skipped.csv")
    refuse_overwriting(
        [arguments.out, skipped_list], [arguments.source, arguments.durations, arguments.annotations]
    )
    annotations = _read_annotations(arguments)
    wanted = wanted_ids(annotations, arguments.subset)
    plan = _plan(arguments, annotations)
    result = import_features(_sources(arguments, plan.grid), arguments.out, plan)
    print("\n".join(check_import(result, plan, annotations, wanted)))
    _list(result.skipped)
    if result.skipped:
        write_skipped(skipped_list, result.skipped)
        print(f"all {len(result.skipped)} of them: {skipped_list}")
    print(f"wrote {arguments.out}; to train on it: features.store={arguments.out} {grid_words(plan.grid)}")
    return EXIT_SKIPPED_ITEMS if result.skipped else EXIT_DONE


def _plan(arguments: argparse.Namespace, annotations: AnnotationTable | None) -> ImportPlan:
    from feature_extraction.zoo.import_check import durations_of
    from feature_extraction.zoo.import_features import ImportPlan, tool_version

    preset = PRESETS.get(arguments.preset)
    return ImportPlan(
        grid=_grid(arguments),
        channels=arguments.channels or (preset.channels if preset else None),
        transposed=arguments.transposed,
        dtype=arguments.dtype,
        durations_s=durations_of(annotations, arguments.durations),
        attributes={
            "backbone": arguments.backbone or (preset.backbone if preset else "not stated"),
            "weights": "not stated",
            "source": arguments.source.name,
            "imported_by": tool_version(),
            "preset": arguments.preset or "",
        },
    )


def _sources(arguments: argparse.Namespace, grid: TimeGrid) -> Sources:
    from feature_extraction.zoo.sources import open_sources

    preset = PRESETS.get(arguments.preset)
    prefix = preset.prefix if preset and arguments.prefix is None else arguments.prefix or ""
    suffix = preset.suffix if preset and arguments.suffix is None else arguments.suffix or ""
    return open_sources(
        arguments.source,
        files=arguments.files or (preset.files if preset else None),
        prefix=prefix,
        suffix=suffix,
        pieces_of=grid if arguments.pieces or (preset and preset.in_pieces) else None,
    )


def _grid(arguments: argparse.Namespace) -> TimeGrid:
    """The preset's grid, overruled by what is given, or the given one, which must be complete."""
    names = ("fps", "stride_frames", "clip_frames", "interval_frames", "convention", "spacing")
    given = {name: getattr(arguments, name) for name in names if getattr(arguments, name) is not None}
    if arguments.preset:
        given = {**PRESETS[arguments.preset].grid.to_dict(), **given}
    missing = [f"--{name.replace('_', '-')}" for name in names[:-1] if name not in given]
    if missing:
        raise InputError(
            f"the time grid is incomplete: {', '.join(missing)} missing; or give --preset {'|'.join(PRESETS)}"
        )
    try:
        return TimeGrid(**given)
    except ValueError as error:
        raise InputError(str(error)) from None


def _read_annotations(arguments: argparse.Namespace) -> AnnotationTable | None:
    if arguments.annotations is None:
        return None
    from video_datasets.formats import FORMATS

    return FORMATS[arguments.annotation_format].read(arguments.annotations)


COMMANDS = {"pack": _pack, "verify": _verify, "export": _export, "import": _import}


def _list(skipped: Mapping[str, str]) -> None:
    """Print the beginning of a list of what was left out or is odd."""
    for video_id, reason in list(skipped.items())[:MAX_LISTED]:
        print(f"skipped: {video_id}: {reason}")
    if len(skipped) > MAX_LISTED:
        print(f"skipped: and {len(skipped) - MAX_LISTED} more")


if __name__ == "__main__":
    sys.exit(main())
