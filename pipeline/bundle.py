"""Pack a trained run into one portable file that `python -m pipeline.detect --run FILE.zip` takes.

The file holds the finetuned network, the head, class names, time grid and settings, as plain arrays
and JSON: nothing in it is executed, and no path of this machine is in it. Its format:
pipeline/bundle_file.py.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from runtime.exit_codes import EXIT_CODES_HELP, EXIT_DONE, guarded
from runtime.help_text import HelpText, program_name

_EXAMPLES = """examples:
  python -m pipeline.bundle --run runs/hacs_mini --out hacs_mini.zip
  python -m pipeline.detect my_video.mp4 --run hacs_mini.zip

"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = argparse.ArgumentParser(
        prog=program_name("pipeline.bundle"),
        description=__doc__,
        formatter_class=HelpText,
        epilog=_EXAMPLES + EXIT_CODES_HELP,
    )
    parser.add_argument(
        "--run", required=True, type=Path, metavar="FOLDER", help="of a run, e.g. runs/hacs_mini"
    )
    parser.add_argument("--out", required=True, type=Path, metavar="FILE.zip", help="the file to write")
    arguments = parser.parse_args(argv)
    return guarded(lambda: bundle(arguments.run, arguments.out))


def bundle(run_dir: Path, out: Path) -> int:
    """Pack a run folder.

    Raises:
        InputError: if the run is not complete (`pipeline.trained_run.open_run`).
        NotADirectoryError: if `run_dir` is no folder.
    """
    from pipeline.bundle_file import pack_bundle  # slow to load
    from pipeline.trained_run import open_run
    from runtime.config import config_to_dict
    from runtime.resources import versions

    if run_dir.exists() and not run_dir.is_dir():
        raise NotADirectoryError(f"{run_dir}: expected the folder of a run")
    run = open_run(run_dir)
    information = {
        "name": run.name,
        "model": run.backbone.name,
        "backbone_sha256": run.backbone.sha256,
        "remark": run.remark,
        "versions": versions(),
    }
    size = pack_bundle(run_dir, out, config_to_dict(run.config), information)
    print(f"{out}: {run.backbone.name} with {run.num_classes}, {size / 1e6:.1f} MB", file=sys.stderr)
    return EXIT_DONE


if __name__ == "__main__":
    sys.exit(main())
