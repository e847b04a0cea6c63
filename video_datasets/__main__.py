"""Look at the data set of a run before anything else: what is annotated, what is on disk, what was
dropped.

Renders the built-in mini data set where the config says `data.mini: true` and it is not there yet.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from pipeline.stages import load_config
from runtime.brief import in_brief
from runtime.config import find_config
from runtime.exit_codes import EXIT_CODES_HELP, guarded
from runtime.help_text import CommandParser, program_name
from runtime.sections import RunConfig
from video_datasets.dataset import VideoDataset, load_dataset
from video_datasets.notes import closest_files, data_notes
from video_datasets.settings import DataConfig
from video_datasets.video.left_out import left_out
from video_datasets.video.search import video_files

MAX_NAMED = 8
"""Missing videos that are named."""
MAX_CLASSES = 12


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = CommandParser(
        prog=program_name("video_datasets"),
        description=__doc__,
        epilog=(
            "examples:\n"
            "  python -m video_datasets --config configs/hacs_mini.yaml\n"
            f"  python -m video_datasets --config configs/ek100.yaml data.root=/data/ek100\n\n{EXIT_CODES_HELP}"
        ),
    )
    parser.add_argument("--config", required=True, metavar="FILE", help="YAML file, e.g. configs/hacs.yaml")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings over those of the file")
    arguments = parser.parse_intermixed_args(argv)
    return guarded(lambda: look(arguments.config, arguments.overrides))


def look(config_file: str, overrides: Sequence[str]) -> int:
    """Render the mini data set if the config asks for it, and print what the data set holds."""
    config = load_config(find_config(config_file), overrides)
    render_mini(config)
    dataset = load_dataset(config.data, for_training=False)
    imported = config.features.store is not None
    print(describe(dataset, config.data, imported=imported), file=sys.stderr)
    return 0


def render_mini(config: RunConfig) -> None:
    """Render the built-in mini data set of a run where it asks for one that is not there yet."""
    if config.data.mini:
        from video_datasets.mini import ensure_mini

        ensure_mini(Path(config.data.root), layout=config.data.format, seed=config.seed)


def describe(dataset: VideoDataset, config: DataConfig, *, imported: bool = False) -> str:
    """Return a few lines: videos, files and segments per subset, and the annotations' problems.

    Args:
        dataset: annotations, with files where there are.
        config: where they are.
        imported: features are there already, so no files are looked for.
    """
    words = {head: f"{head}s" for head in dataset.heads} if len(dataset.heads) > 1 else {}
    classes = ", ".join(f"{len(names)} {words.get(head, 'classes')}" for head, names in dataset.heads.items())
    lines = [f"data: {config.root}: {len(dataset.videos)} videos, {classes}", *_class_counts(dataset)]
    for subset, count in sorted(Counter(video.subset for video in dataset.videos.values()).items()):
        videos = list(dataset.subset(subset))
        missing = [video.video_id for video in videos if video.path is None]
        on_disk = count - len(missing)
        segments = sum(len(video.segments) for video in videos)
        files = "" if imported else f" {on_disk} on disk,"
        partly = sum(bool(video.watched_s) for video in videos)
        part = f", {partly} videos partly labelled" if partly else ""
        lines.append(f"  {subset}: {count} videos,{files} {segments} labelled segments{part}")
        if missing and on_disk and not imported:
            more = ", ..." if len(missing) > MAX_NAMED else ""
            lines.append(f"    not on disk: {', '.join(_named(missing[:MAX_NAMED], dataset, config))}{more}")
    if not imported and any(video.path is None for video in dataset.videos.values()):
        lines += [f"  {words}" for words in left_out(Path(config.root) / config.videos)]
    lines += [f"  {line}" for line in dataset.format.describe(config, list(dataset.videos))]
    lines += [f"  {where}: {problem}" for where, problem in dataset.problems.items()]
    lines += [f"  note: {note}" for note in data_notes(dataset, config, imported=imported)]
    return "\n".join(lines)


def _class_counts(dataset: VideoDataset) -> list[str]:
    """All classes with their labelled segments, or where there are many the rarest, which may be
    misspelt."""
    labels = [segment.label for video in dataset.videos.values() for segment in video.segments]
    counts = Counter(labels).most_common()
    if not counts or len(dataset.heads) > 1:
        return []
    what = "labelled segments" if len(counts) <= MAX_CLASSES else f"of {len(counts)} classes, the rarest"
    shown = ", ".join(f"{label} ({count})" for label, count in counts[-MAX_CLASSES:])
    return [in_brief(f"  {what}: {shown}")]


def _named(missing: Sequence[str], dataset: VideoDataset, config: DataConfig) -> list[str]:
    """Missing videos, with the name of a file of no other video that may be meant."""
    taken = {video.path for video in dataset.videos.values()}
    free = (path for path in video_files(Path(config.root) / config.videos) if path not in taken)
    close = closest_files(missing, free)
    return [f"{name} ({close[name]}?)" if name in close else name for name in missing]


if __name__ == "__main__":
    sys.exit(main())
