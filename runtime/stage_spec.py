"""Description of a stage: its name and command, what its result depends on, and the work itself."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runtime.config import config_to_dict, flatten
from runtime.sections import RunConfig, places


@dataclass
class StageRun:
    """Handed to a stage's work: its folder, the config, and where to record what was done.

    Attributes:
        folder: the stage's own folder, existing.
        counts: figures for the record, e.g. {"videos": 128}.
        skipped: item id -> reason, for everything that was left out.
        summary: one line for the log when the stage is done.
        notes: what looked odd, for the record; see `note`.
    """

    config: RunConfig
    folder: Path
    counts: dict[str, float] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    notes: list[str] = field(default_factory=list)

    def upstream(self, stage: str) -> Path:
        """Return the folder of another stage of this run."""
        return self.folder.parent / stage

    def note(self, text: str) -> None:
        """Say at once, and record, what looks odd but stops nothing and leaves nothing out."""
        self.notes.append(text)
        print(f"{self.folder.name}: note: {text}", file=sys.stderr, flush=True)

    def skip(self, item: str, reason: str) -> None:
        """Record that an item was left out, and why."""
        self.skipped[item] = reason


Work = Callable[[StageRun], None]


@dataclass(frozen=True, kw_only=True)
class StageSpec:
    """One stage of a run.

    Attributes:
        name: folder in the run.
        command: the words after `python -m` that run it.
        work: does the work; may be called again on a folder with partial results. It imports heavy
            libraries itself, so that a finished stage is skipped in a fraction of a second.
        description: first paragraph of `--help`.
        sections: sections of the configuration that shape the result, and single keys.
        unread: keys of these sections that a configuration makes meaningless, such as those of
            another data format; they neither show nor count.
        settled: fills in settings that follow from others, so that the value counts, not whether it
            was named.
        reads: names of the stages whose results it reads.
        inputs: returns a description of every input file that no stage made.
        results: files in the stage's folder (patterns) whose SHA-256 is recorded when the stage is
            done and compared by the stages that read them.
        stores: files that have check sums of their own, so that only their presence is recorded.
        shows: text file in the stage's folder that goes to standard output whenever it is complete.
        weights: file in the stage's folder that training leaves; its content counts for the stages
            that read it, since training again from the same configuration may end with other
            weights (on a GPU).
        configured: returns the stage as a configuration makes it; None: always the same.
        per_video: whether a cluster can share its videos (`runtime.scheduler`).
        wanted: whether a whole run ends with this stage; what it reads is run before it.
        epilog: last paragraphs of `--help`; empty: examples that suit any stage.
    """

    name: str
    command: str
    work: Work
    description: str = ""
    sections: tuple[str, ...] = ()
    unread: Callable[[RunConfig], Collection[str]] = lambda config: ()
    settled: Callable[[RunConfig], RunConfig] = lambda config: config
    reads: tuple[str, ...] = ()
    inputs: Callable[[RunConfig], Mapping[str, str]] = lambda config: {}
    results: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()
    shows: str = ""
    weights: str = ""
    configured: Callable[[RunConfig], StageSpec] | None = None
    per_video: bool = False
    wanted: Callable[[RunConfig], bool] = lambda config: False
    epilog: str = ""

    @property
    def trains(self) -> bool:
        """Whether the stage trains weights, and so may be done by several processes."""
        return bool(self.weights)

    def for_run(self, config: RunConfig) -> StageSpec:
        """Return the stage as a configuration makes it."""
        return self.configured(config) if self.configured else self

    def settings(self, config: RunConfig) -> dict[str, Any]:
        """Return the keys that shape the result, `section.key` -> plain value; not where things
        lie."""
        left_out = {*self.unread(config), *places()}
        resolved = config_to_dict(config)
        found: dict[str, Any] = {}
        for entry in self.sections:
            section, _, key = entry.partition(".")
            value = resolved[section]
            if key:
                found[entry] = value[key]
            else:
                found |= flatten({section: value})
        return {key: value for key, value in found.items() if key not in left_out}

    def owns(self, key: str, config: RunConfig) -> bool:
        """Whether a key belongs to this stage: it shapes the result, or says where an input
        lies."""
        section = key.partition(".")[0]
        if key in self.settings(config):
            return True
        return key in places() and any(entry.partition(".")[0] == section for entry in self.sections)
