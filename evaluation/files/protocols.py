"""The evaluation protocols: one entry a benchmark, in which all stands that differs between them.

    hacs, activitynet   tIoU 0.5:0.05:0.95, one task ("action"), JSON annotations with subsets
    thumos              the same files, tIoU 0.3:0.1:0.7
    ek100               tIoU 0.1:0.1:0.5, verb, noun and action from one submission (C2-Action-Detection)
    ek100-separate      the same, but a verb model and a noun model are each scored alone, action is not

The last two give numbers that must not be compared: the same two models have had 32.9 verb mAP
separate and 26.9 joint. A new protocol is an entry here; nothing else asks for a name.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from evaluation.files.rules import ACTIVITYNET_RULES, EK100_RULES, Rules
from evaluation.metrics.thresholds import parse_tious, tiou_range
from runtime.errors import InputError
from video_datasets.formats import FORMATS, Format
from video_datasets.formats.ek100_labels import action_name, split_label

ACTIVITYNET_VERSION = "ActivityNet eval_detection.py 82304fa"
EK100_VERSION = "EPIC-KITCHENS C2-Action-Detection evaluate_detection_json_ek100.py 4835721"
PROPOSAL_VERSION = "ActivityNet eval_proposal.py 82304fa"
TIE_RULE = "ties: later in file first"

INF = float("inf")
Edges = Mapping[str, tuple[float, ...]]
"""Of coverage, length (s) and instances: rising edges of bins, see
`evaluation.diagnosis.characteristics`."""
# ActivityNet's bins are DETAD's, which suit HACS too.
ACTIVITYNET_EDGES: Edges = {
    "coverage": (0.0, 0.2, 0.4, 0.6, 0.8, 1.0),
    "length": (0.0, 30.0, 60.0, 120.0, 180.0, INF),
    "instances": (0.0, 1.0, 4.0, 8.0, INF),
}
# DETAD's for THUMOS14.
THUMOS_EDGES: Edges = {
    "coverage": (0.0, 0.02, 0.04, 0.06, 0.08, 1.0),
    "length": (0.0, 3.0, 6.0, 12.0, 18.0, INF),
    "instances": (0.0, 1.0, 40.0, 80.0, INF),
}
# Actions of EPIC-KITCHENS-100 last seconds in videos of many minutes, with many instances of a
# class: its bins are near the quintiles of the validation set, in round numbers.
EK100_EDGES: Edges = {
    "coverage": (0.0, 0.001, 0.003, 0.006, 0.012, 1.0),
    "length": (0.0, 1.0, 1.5, 2.5, 5.0, INF),
    "instances": (0.0, 1.0, 4.0, 16.0, INF),
}


def _verb(label: str) -> str:
    return str(split_label(label)[0])


def _noun(label: str) -> str:
    return str(split_label(label)[1])


def _action(label: str) -> str:
    return action_name(split_label(label)[2])


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What tells one benchmark from another; the defaults are those of ActivityNet.

    Attributes:
        name: as on the command line.
        format: layout of the benchmark's own annotations and submissions, with their readers.
        detection_version: the official evaluator of detections, with its commit, that the figures
            equal.
        tiou_thresholds: of mAP.
        recall_thresholds: of AR@AN.
        class_names: per scored task, what turns a label of the files into the class that counts.
        edges: bins of the diagnosis.
        rules: of a submission file.
        subset: the one that is scored unless another is named; without meaning where files have no
            subsets.
        one_subset: whether an annotation file holds one subset only, so that videos it does not
            name are of others.
        task_files: task -> file of detections in a run that is scored for this task alone; {}: one
            file serves all.
        beside: name of a protocol whose task files a run may have, and is then scored by, too.
        splits: lists of classes or participants that can be scored as well: name -> column of the
            list.
    """

    name: str
    format: Format = field(default_factory=lambda: FORMATS["activitynet"])
    detection_version: str = ACTIVITYNET_VERSION
    tiou_thresholds: tuple[float, ...] = tiou_range(0.5, 0.05, 0.95)
    recall_thresholds: tuple[float, ...] = tiou_range(0.5, 0.05, 0.95)
    class_names: Mapping[str, Callable[[str], str]] = field(default_factory=lambda: {"action": str})
    edges: Edges = field(default_factory=lambda: ACTIVITYNET_EDGES)
    rules: Rules = ACTIVITYNET_RULES
    subset: str = "validation"
    one_subset: bool = False
    task_files: Mapping[str, str] = field(default_factory=dict)
    beside: str = ""
    splits: Mapping[str, str] = field(default_factory=dict)

    def version(self, task: str) -> str:
        """Say which figures these are: the official evaluator of the task, its commit, the rule
        for ties."""
        return f"{PROPOSAL_VERSION if task == 'proposals' else self.detection_version}; {TIE_RULE}"

    def at(self, tious: str, task: str = "detection") -> Protocol:
        """Return the protocol with other thresholds, "A:STEP:B"; of AR@AN where the task is
        proposals.

        Raises:
            InputError: if they cannot be read, see `evaluation.metrics.thresholds.parse_tious`.
        """
        found = parse_tious(tious)
        proposals = task == "proposals"
        return replace(self, recall_thresholds=found) if proposals else replace(self, tiou_thresholds=found)


HACS = Protocol(name="hacs", format=FORMATS["hacs"])
ACTIVITYNET = Protocol(name="activitynet")
THUMOS = Protocol(
    name="thumos",
    tiou_thresholds=tiou_range(0.3, 0.1, 0.7),
    recall_thresholds=tiou_range(0.5, 0.05, 1.0),  # as BSN and BMN report AR@AN on THUMOS14
    edges=THUMOS_EDGES,
    subset="test",
)
EK100 = Protocol(
    name="ek100",
    format=FORMATS["ek100"],
    detection_version=EK100_VERSION,
    tiou_thresholds=tiou_range(0.1, 0.1, 0.5),
    class_names={"verb": _verb, "noun": _noun, "action": _action},
    edges=EK100_EDGES,
    rules=EK100_RULES,
    one_subset=True,
    beside="ek100-separate",
    splits={"tail_verbs": "verb", "tail_nouns": "noun", "unseen_participants": "participant_id"},
)
EK100_SEPARATE = replace(
    EK100,
    name="ek100-separate",
    class_names={"verb": _verb, "noun": _noun},
    task_files={"verb": "verbs.h5", "noun": "nouns.h5"},
    beside="",
)

PROTOCOLS: dict[str, Protocol] = {
    entry.name: entry for entry in (HACS, ACTIVITYNET, THUMOS, EK100, EK100_SEPARATE)
}


def protocol_named(name: str, tious: str = "", task: str = "detection") -> Protocol:
    """Return a protocol, perhaps with other thresholds.

    Args:
        name: in `PROTOCOLS`.
        tious: "A:STEP:B"; "": the protocol's own.
        task: which thresholds `tious` are, see `Protocol.at`.

    Raises:
        InputError: if there is none of that name, or `tious` cannot be read.
    """
    if name not in PROTOCOLS:
        close = difflib.get_close_matches(name, PROTOCOLS, n=1)
        hint = f"; closest: {close[0]}" if close else ""
        raise InputError(f"protocol '{name}' is unknown; expected one of {', '.join(PROTOCOLS)}{hint}")
    return PROTOCOLS[name].at(tious, task) if tious else PROTOCOLS[name]


def protocol_of_format(format_name: str) -> str:
    """Name the protocol of annotations in a format where none is asked for: the first of that very
    format, else the first that scores its tasks."""
    own = [entry for entry in PROTOCOLS.values() if entry.format.name == format_name]
    fitting = [entry for entry in PROTOCOLS.values() if entry.format.tasks == FORMATS[format_name].tasks]
    return next(iter(own + fitting), HACS).name
