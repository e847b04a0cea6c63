"""Write the report of a run, RUN/report.html: one file with everything in it that loads nothing
from the network.

It has the evaluation's figures, diagnosis and time-lines (docs/report.md), a player that plays the
segment that is selected in a time-line from the local video files, how much of the ground truth the
run's grid can reach at all, training curves, and of every stage state, duration, memory, skipped
items, versions and configuration. A run that is not complete gets a report of what is there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from runtime.exit_codes import EXIT_CODES_HELP, EXIT_DONE, guarded
from runtime.help_text import CommandParser, program_name
from runtime.paths import user_path

REPORT_NAME = "report.html"
_EXAMPLES = """examples:
  python -m pipeline.report --run runs/hacs_mini
  python -m pipeline.report --run runs/hacs --videos /data/hacs/videos

"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = CommandParser(
        prog=program_name("pipeline.report"),
        description=__doc__,
        epilog=_EXAMPLES + EXIT_CODES_HELP,
    )
    parser.add_argument(
        "--run", required=True, type=user_path, metavar="FOLDER", help="of a run, e.g. runs/hacs_mini"
    )
    parser.add_argument(
        "--videos",
        type=user_path,
        metavar="DIR",
        help="video files for the player (default: those of the run's data)",
    )
    parser.add_argument(
        "--data",
        type=user_path,
        metavar="DIR",
        help="the data set, if it has moved (default: the run's data.root)",
    )
    parser.add_argument("--out", type=user_path, metavar="FILE", help="HTML file (default: RUN/report.html)")
    arguments = parser.parse_args(argv)
    return guarded(lambda: report(arguments.run, arguments.videos, arguments.out, arguments.data))


def report(
    run_dir: Path, videos: Path | None = None, out: Path | None = None, root: Path | None = None
) -> int:
    """Write the report of a run folder.

    Args:
        run_dir: with at least config.yaml.
        videos: folder that is searched, at any depth, for video files named by id; None: that of
            the run's data.
        root: folder of the data set; None: the run's data.root.
        out: HTML file, such as for a run folder that cannot be written; None: `report.html` in it.

    Raises:
        InputError: if the folder is no run.
        NotADirectoryError: if `videos` is no folder.
    """
    from pipeline.run_report import write_run_page  # slow to load

    if videos is not None and not videos.is_dir():
        raise NotADirectoryError(f"{videos}: expected the folder of the videos")
    path = out or run_dir / REPORT_NAME
    for note in write_run_page(run_dir, path, videos, root):
        print(f"note: {note}", file=sys.stderr)
    print(f"report: {path}", file=sys.stderr)
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
