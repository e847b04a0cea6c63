"""Detect actions in videos with a trained run (HACS-style whole videos, or EPIC-KITCHENS-100-style
windows).

Each video is decoded once, in a process of its own, and streams through, whatever its length. For
each video FILE this leaves in --out:

    FILE.json   detections in the submission format of the run's data set
    FILE.csv    video,start_s,end_s,label,score
    FILE.png    time-line
    FILE_labelled.mp4   with --render: the video, without sound, with the labels burnt in

and index.html, one page of all videos: time-lines with a player, a corrector in which a person
moves, relabels, adds and deletes segments and saves them as labels, tables; it loads nothing from
the network. With --format also

    found_boris.boris, found_elan/, found_via.json, ...   all videos' detections for labelling tools (docs/labels.md)

--min-score is compared with the score of a detection: the probability of its class (of its verb
times that of its noun), with BMN times the score of its proposal. All of them are below 1, so the
product is low where any is unsure, and with hundreds of classes, or verbs and nouns, good
detections may lie far below the default. When nothing reaches it, the best score of the video is
printed.
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.brief import columns
from runtime.command import SCHEDULER_HELP
from runtime.errors import InputError
from runtime.exit_codes import EXIT_CODES_HELP, EXIT_DONE, EXIT_SKIPPED_ITEMS, guarded
from runtime.help_text import CommandParser, program_name
from runtime.overwriting import refuse_overwriting
from runtime.paths import user_path
from runtime.progress import progress
from runtime.settings import RuntimeConfig
from runtime.text import encodable
from video_datasets.formats.tools.table import WRITERS
from video_datasets.video.decoding import VideoError, read_header
from video_datasets.video.left_out import left_out
from video_datasets.video.search import APPLE_DOUBLE, VIDEO_SUFFIXES, video_id_of

if TYPE_CHECKING:
    from pipeline.detect_many import DetectVideo
    from pipeline.detector import Detector, VideoDetections

PAGE_NAME = "index.html"
TOOL_NAMES = tuple(WRITERS)
RENDERED_SUFFIX = "_labelled.mp4"
_SCRATCH = ".detecting"
"""In --out, while several processes share the videos."""
_MARK = b'<meta name="generator" content="TAdaLoc">'
"""Of the pages that we write."""
_EXAMPLES = """examples:
  python -m pipeline.detect my_video.mp4 --run runs/hacs_mini
  python -m pipeline.detect videos/ --run runs/own --format boris,elan
  python -m pipeline.detect videos/ --run runs/own --workers 4
  python -m pipeline.detect videos/ clip.avi --run hacs_mini.zip --top 5 --min-score 0.1 --out found --render

In Python:
  from pipeline import Detector
  found = Detector("runs/hacs_mini").detect("my_video.mp4")
  print(found.segments_s, found.labels, found.scores, found.duration_s)

"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = CommandParser(
        prog=program_name("pipeline.detect"),
        description=__doc__,
        epilog=_EXAMPLES + EXIT_CODES_HELP,
    )
    parser.add_argument(
        "videos", nargs="+", type=user_path, metavar="VIDEO_OR_FOLDER", help="folders at any depth"
    )
    parser.add_argument(
        "--run",
        type=user_path,
        help="run folder, what `python -m pipeline.bundle` wrote, or the name of a model repository "
        "(default: the newest in runs/)",
    )
    parser.add_argument("--top", type=_count, default=20, help="most detections of a video (default 20)")
    parser.add_argument("--min-score", type=float, default=0.2, help="least score, see above (default 0.2)")
    parser.add_argument(
        "--out", type=user_path, default=Path("detections"), help="folder (default detections)"
    )
    parser.add_argument("--render", action="store_true", help="also write the video with its labels")
    parser.add_argument(
        "--format", type=_formats, default=(), metavar="TOOL,...", help=f"also {', '.join(TOOL_NAMES)}"
    )
    parser.add_argument(
        "--device",
        default="auto",
        help="auto (default), cpu, cuda, cuda:1; cuda:0,cuda:1: both, in as many processes",
    )
    parser.add_argument("--workers", type=_count, default=1, help="processes that share the videos (1)")
    parser.add_argument("--scheduler", default="", metavar="tcp://...", help=SCHEDULER_HELP)
    arguments = parser.parse_args(argv)
    return guarded(lambda: detect(arguments))


def _formats(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(text.split(",")))
    unknown = [name for name in names if name not in TOOL_NAMES]
    if unknown:
        raise argparse.ArgumentTypeError(f"expected some of {', '.join(TOOL_NAMES)}, found '{unknown[0]}'")
    return names


def _count(text: str) -> int:
    count = int(text)
    if count < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, found {count}")
    return count


def detect(arguments: argparse.Namespace) -> int:
    """Detect in all videos; a bad one is listed at the end and stops no other.

    Raises:
        InputError: if there is no video, or the run cannot be used.
    """
    videos = named_videos(arguments.videos)
    refuse_foreign_files(arguments.out, videos)
    from pipeline.detect_many import DetectVideo, open_detector
    from pipeline.detect_page import write_detect_page  # these take seconds to load
    from pipeline.outputs import write_tools
    from pipeline.trained_run import newest_run
    from training.device import devices

    run = arguments.run or newest_run()
    names = tuple(name.strip() for name in arguments.device.split(","))
    devices(RuntimeConfig(device=arguments.device))  # are there, and of one kind
    if arguments.scheduler and len(names) > 1:
        raise InputError(
            f"--device names {len(names)} devices; with --scheduler name one, and start a Dask worker "
            f"for each device"
        )
    scratch = (arguments.out / _SCRATCH).absolute()
    detect_video = DetectVideo(run.absolute() if run.exists() else run, names, scratch)
    detector = open_detector(detect_video.run, names[0])
    print(f"{detector.run.name}: {detector.run.num_classes}", file=sys.stderr)
    for line in textwrap.wrap(detector.run.remark, columns()):
        print(line, file=sys.stderr)
    threshold = f"the best {arguments.top} detections with score {arguments.min_score:g} or more"
    found: dict[str, VideoDetections] = {}
    failed: dict[str, str] = {}
    write_detect_page(
        arguments.out / PAGE_NAME, found, detector.run, threshold, failed
    )  # marks the folder as ours
    for name, result in _detections(detect_video, detector, videos, arguments):
        path = videos[name]
        if isinstance(result, VideoError):
            failed[str(path)] = result.reason
            print(f"{encodable(str(path))}: left out: {result.reason}", file=sys.stderr)
        else:
            found[name] = _written(detector, name, path, result, arguments)
        shown = {each: found[each] for each in videos if each in found}
        write_detect_page(arguments.out / PAGE_NAME, shown, detector.run, threshold, failed)
    if arguments.format and found:
        for line in write_tools(arguments.out, arguments.format, found, detector.run):
            print(encodable(line), file=sys.stderr)
    if failed and len(videos) > 1:
        print(f"{len(failed)} of {len(videos)} videos left out:", file=sys.stderr)
        for video, reason in failed.items():
            print(f"  {encodable(video)}: {encodable(reason)}", file=sys.stderr)
    print(f"written to {arguments.out / PAGE_NAME} and beside it", file=sys.stderr)
    return EXIT_SKIPPED_ITEMS if failed else EXIT_DONE


def refuse_foreign_files(out: Path, videos: Mapping[str, Path]) -> None:
    """Refuse to replace files of --out that this command has not written, such as a person's labels
    beside a video.

    Its own page tells that the folder is its own, and a score in a CSV that it holds no labels.

    Raises:
        InputError: naming the first such file, or the video that would be replaced.
    """
    endings = (".json", ".csv", ".png", RENDERED_SUFFIX)
    outputs = [out / f"{name}{ending}" for name in videos for ending in endings]
    refuse_overwriting(outputs, videos.values())
    is_ours = (out / PAGE_NAME).is_file() and _MARK in (out / PAGE_NAME).read_bytes()[:4096]
    for path in outputs:
        if path.is_file() and not (is_ours and (path.suffix != ".csv" or _has_scores(path))):
            raise InputError(
                f"{path} is there and was not written by `python -m pipeline.detect`; name another folder with --out"
            )


def _has_scores(path: Path) -> bool:
    with path.open("rb") as file:
        return b",score" in file.readline()


def named_videos(paths: Sequence[Path]) -> dict[str, Path]:
    """Find the videos and give each a name of its own: that of the file without suffix and leading
    "v_".

    Files are taken as they are, even missing ones beside others; of folders, all files with the
    suffix of a video, at any depth, but not the videos that --render leaves.

    Raises:
        InputError: if there is none.
    """
    if not any(path.exists() for path in paths):
        raise InputError(f"{', '.join(map(str, paths))}: expected videos or folders, found no such file")
    videos: dict[str, Path] = {}
    for path in _files(paths):
        name = first = encodable(video_id_of(path))
        number = 2
        while name in videos:
            name, number = f"{first}_{number}", number + 1
        videos[name] = path
    if not videos:
        places, suffixes = ", ".join(map(str, paths)), ", ".join(VIDEO_SUFFIXES)
        looked_for = f"{places}: no videos there (looked for {suffixes} at any depth)"
        raise InputError("; ".join([looked_for, *(words for path in paths for words in left_out(path))]))
    return videos


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    for path in dict.fromkeys(paths):
        if path.is_dir():
            yield from (found for found in sorted(path.rglob("*")) if _is_source(found))
        else:
            yield path


def _is_source(path: Path) -> bool:
    is_video = path.suffix.lower() in VIDEO_SUFFIXES and path.is_file()
    return is_video and not path.name.endswith(RENDERED_SUFFIX) and not path.name.startswith(APPLE_DOUBLE)


def _detections(
    detect_video: DetectVideo, detector: Detector, videos: Mapping[str, Path], arguments: argparse.Namespace
) -> Iterator[tuple[str, VideoDetections | VideoError]]:
    """Detect in all videos, here or by several processes."""
    workers = max(arguments.workers, len(detect_video.devices))
    if workers > 1 or arguments.scheduler:
        from pipeline.detect_many import detect_many

        runtime = RuntimeConfig(workers=workers, scheduler=arguments.scheduler)
        results = detect_many(videos, detect_video, runtime=runtime)
        yield from progress(results, description="videos", total=len(videos), unit="video")
        return
    for name, path in videos.items():
        try:
            yield name, _watched(detector, path)
        except VideoError as error:
            yield name, error


def _written(
    detector: Detector, name: str, path: Path, all_found: VideoDetections, arguments: argparse.Namespace
) -> VideoDetections:
    """Write the files of one video, and say what was found; return what is shown of it."""
    from pipeline.outputs import draw_picture, write_detections_csv, write_submission

    found = all_found.best(arguments.top, arguments.min_score)
    out: Path = arguments.out
    write_submission(out / f"{name}.json", name, found, detector.run)
    write_detections_csv(out / f"{name}.csv", name, found)
    draw_picture(out / f"{name}.png", name, found)
    _say(path, found, all_found, arguments.min_score)
    if arguments.render:
        from pipeline.render import render_video

        render_video(path, out / f"{name}{RENDERED_SUFFIX}", found)
    return found


def _watched(detector: Detector, path: Path) -> VideoDetections:
    """Detect with a bar of the seconds that are through."""
    length_s = read_header(path).promised_duration_s
    with progress(
        description=path.name, total=None if length_s is None else round(length_s), unit="s of video"
    ) as bar:

        def show(decoded_s: float) -> None:
            bar.update(int(decoded_s) - bar.n)

        return detector.detect(path, progress=show)


def _say(path: Path, found: VideoDetections, all_found: VideoDetections, min_score: float) -> None:
    what = f"{encodable(str(path))}, {found.duration_s:.1f} s:"
    if not len(all_found):
        print(f"{what} nothing found: no proposal at all")
    elif not len(found):
        start_s, end_s = all_found.segments_s[0]
        print(
            f"{what} nothing found with score {min_score:g} or more; the best is {all_found.scores[0]:.3g} "
            f"({encodable(all_found.labels[0])}, {start_s:.2f} to {end_s:.2f} s); see --min-score"
        )
    else:
        print(f"{what} {len(found)} detections")
        rows = zip(found.segments_s.tolist(), found.labels, found.scores.tolist(), strict=True)
        for (start_s, end_s), label, score in rows:
            print(f"  {start_s:8.2f} - {end_s:8.2f} s   {score:<8.3g} {encodable(label)}")


if __name__ == "__main__":
    sys.exit(main())
