"""The installed command: `tadaloc NAME ...` calls the module that `python -m` would.

Nothing but the chosen module is loaded. Being an installed script, it never looks into the folder
that it is called in, so that a user's own `training/` or `pipeline.py` hides nothing.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from runtime.called_as import called_as
from runtime.exit_codes import EXIT_BAD_INPUT, EXIT_CODES_HELP, EXIT_DONE
from runtime.help_text import fitted

PROGRAM = "tadaloc"


@dataclass(frozen=True)
class Command:
    """One word after `tadaloc`.

    Attributes:
        module: its `main(argv)` does the work and returns the exit code.
        summary: a line of the overview.
    """

    module: str
    summary: str


COMMANDS = {
    "run": Command("pipeline.run", "all stages of a configuration, from videos to average mAP"),
    "check": Command("pipeline.check", "what a run would do: data, weights, disk; computes nothing"),
    "config": Command("pipeline.configurations", "list, show, copy configurations; all keys"),
    "detect": Command("pipeline.detect", "actions in new videos, by a trained run or a bundle"),
    "report": Command("pipeline.report", "one page about a run"),
    "bundle": Command("pipeline.bundle", "a trained run as one portable file"),
    "evaluate": Command("evaluation.__main__", "the benchmark's own figures for a file of detections"),
    "compare": Command("evaluation.compare", "several files or runs side by side, with intervals"),
    "ensemble": Command("classification.ensemble.__main__", "several networks or runs as one, with figures"),
    "features": Command("feature_extraction.__main__", "features of a folder of videos, to HDF5"),
    "zoo": Command("feature_extraction.zoo.__main__", "publish, verify, export and import features"),
    "labels": Command("video_datasets.convert", "labels and detections from one format to another"),
    "suggest": Command("pipeline.suggest", "what to label next: stretches of unlabelled videos"),
    "models": Command("pipeline.models", "released weights: list, fetch; the networks and their cost"),
    "doctor": Command("pipeline.doctor", "versions, decoder, devices: for a bug report"),
}

STAGES = {
    "classification.pretrain": "pretrain",
    "classification.finetune": "finetune",
    "feature_extraction": "features",
    "bmn": "bmn",
    "one_stage": "one_stage",
    "proposals": "proposals",
    "classification": "classification",
    "evaluation": "evaluation",
}
"""The stages by their modules: written out once more, since their table takes a second to load."""

_NAMES = {
    **{module: f"{PROGRAM} run --only {name}" for module, name in STAGES.items()},
    **{command.module.removesuffix(".__main__"): f"{PROGRAM} {name}" for name, command in COMMANDS.items()},
    "pipeline.settings": f"{PROGRAM} config keys",
    "video_datasets": f"{PROGRAM} check",
    "tadaconv": f"{PROGRAM} models networks",
    "tadaconv --weights": f"{PROGRAM} models",
}
"""What messages call a module (`runtime.called_as`)."""

_EXAMPLES = """\
examples:
  tadaloc run hacs_mini
  tadaloc run own data.root=my_data
  tadaloc detect my_video.mp4 --run runs/own
  tadaloc compare runs/own runs/own-seed1
"""


def overview() -> str:
    """Return the help of the command itself."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            f"usage: {PROGRAM} COMMAND [arguments]",
            "",
            "Temporal action localization: from raw video to average mAP.",
            "",
            *lines,
            "",
            f"{PROGRAM} COMMAND --help says more about each.",
            "",
            _EXAMPLES,
            *fitted(EXIT_CODES_HELP, 79),
        ]
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code."""
    if argv is None:
        # Processes that are started from here, such as decoders, would look into the folder, too.
        os.environ["PYTHONSAFEPATH"] = "1"
    words = list(sys.argv[1:] if argv is None else argv)
    name = words.pop(0) if words else "--help"
    if name in ("-h", "--help", "help"):
        print(overview())
        return EXIT_DONE
    if name == "--version":
        from importlib.metadata import version

        print(f"{PROGRAM} {version(PROGRAM)}")
        return EXIT_DONE
    if name not in COMMANDS:
        close = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"; did you mean {close[0]}?" if close else f"; see {PROGRAM} --help"
        print(f"{PROGRAM}: no command named '{name}'{hint}", file=sys.stderr)
        return EXIT_BAD_INPUT
    with called_as(_NAMES):
        code: int = importlib.import_module(COMMANDS[name].module).main(words)
    return code


if __name__ == "__main__":
    sys.exit(main())
