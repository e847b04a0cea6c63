"""Run all stages of a configuration in order, then write the report.

A finished stage is skipped, a cut-off one goes on; code 1 (skipped items) does not stop, 2 or more
does. Each stage that has work to do is a process of its own, so that its memory ends with it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from itertools import takewhile
from pathlib import Path

from pipeline.check import check
from pipeline.stages import STAGES, commands, is_complete, load_config, stages_of
from runtime.brief import brief
from runtime.called_as import as_called
from runtime.command import KEYS_HELP, limit_spinning
from runtime.config import find_config
from runtime.exit_codes import EXIT_BAD_INPUT, EXIT_CODES_HELP, EXIT_DONE, guarded
from runtime.help_text import CommandParser, program_name
from runtime.sections import RunConfig
from runtime.stage import run_stage

_EXAMPLES = f"""examples:
  python -m pipeline.run configs/hacs_mini.yaml
  python -m pipeline.run configs/hacs_mini.yaml model=r2d_mini seed=1
  python -m pipeline.run configs/own.yaml data.root=my_data --dry-run
  python -m pipeline.run configs/hacs.yaml --force      # every stage anew
  python -m pipeline.run configs/hacs.yaml --only features

{KEYS_HELP}
{EXIT_CODES_HELP}; the worst of all stages"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code, the worst of all stages."""
    parser = CommandParser(
        prog=program_name("pipeline.run"),
        description=__doc__,
        epilog=_EXAMPLES,
    )
    parser.add_argument("config", metavar="CONFIG", help="YAML file, or the name of a shipped one")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings over those of the file")
    parser.add_argument("--force", action="store_true", help="redo every stage from nothing")
    parser.add_argument(
        "--only", choices=STAGES, metavar="STAGE", help=f"this stage alone: {', '.join(STAGES)}"
    )
    parser.add_argument(
        "--verbose", action="store_true", help="all settings of each stage that are not the defaults"
    )
    parser.add_argument("--dry-run", action="store_true", help="print the plan (pipeline.check), no more")
    arguments = parser.parse_intermixed_args(argv)
    limit_spinning()

    def act() -> int:
        with brief(not (arguments.verbose or arguments.dry_run)):
            return run(
                find_config(arguments.config),
                arguments.overrides,
                force=arguments.force,
                dry_run=arguments.dry_run,
                only=arguments.only,
            )

    return guarded(act)


def run(
    config_file: Path,
    overrides: Sequence[str],
    *,
    force: bool = False,
    dry_run: bool = False,
    only: str | None = None,
) -> int:
    """Run the stages and the report, or one stage; return the worst exit code.

    Raises:
        InputError: if the configuration or the data cannot be used.
    """
    from video_datasets.__main__ import look

    if dry_run:
        return check(config_file, overrides)
    options = [str(config_file), *overrides, *(["--force"] if force else [])]
    if only is not None:
        return _own_process("pipeline.run_one", [only, *options])
    config = load_config(config_file, overrides)
    stages = stages_of(config)
    worst = look(str(config_file), overrides)
    complete = [] if force else list(takewhile(lambda spec: is_complete(spec, config), stages))
    if len(complete) < len(stages):
        _own_process("pipeline.plan", [str(config_file), *overrides], quiet=True)
    for spec in stages:
        if spec in complete:
            code = run_stage(spec, config, commands=commands())  # shows it
        else:
            code = _own_process("pipeline.run_one", [spec.name, *options])
        worst = max(worst, code)
        if code >= EXIT_BAD_INPUT:
            print(f"run: stage {spec.name} stopped with code {code}", file=sys.stderr)
            return worst
    code = max(worst, _report(config))
    words = as_called(f"python -m pipeline.detect VIDEO --run {config.run_dir}")
    print(f"next: {words}", file=sys.stderr)
    return code


def _own_process(module: str, words: Sequence[str], *, quiet: bool = False) -> int:
    """Run a module of this package; where it is quiet, what it says counts only if it ends well."""
    # -P: a folder of the user's that is called like one of our packages hides nothing; ours, and
    # those of the stage's own children, are found where this one is.
    home = str(Path(__file__).resolve().parents[1])
    paths = [home, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run(
        [sys.executable, "-P", "-m", module, *words],
        env=environment,
        stderr=subprocess.PIPE if quiet else None,
    )
    if quiet and done.returncode == EXIT_DONE:
        sys.stderr.write(done.stderr.decode(errors="replace"))
    return done.returncode


def _report(config: RunConfig) -> int:
    from pipeline.report import main as report

    return report(["--run", config.run_dir, "--data", config.data.root])


if __name__ == "__main__":
    sys.exit(main())
