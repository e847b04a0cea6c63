"""The rules of a submission file beyond what scoring needs: those of the official validators, and
stricter ones.

The official rules are those of EPIC-KITCHENS C2-Action-Detection `validate_submission` (4835721)
and of the header that ActivityNet `eval_detection.py` (82304fa) demands. What they let pass
although it is most likely a mistake is a warning; keys that nobody knows are a note.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from video_datasets.annotations import short_repr
from video_datasets.formats.ek100_submission import EK100_ENTRY, ek100_version_errors
from video_datasets.formats.submission_entries import EntryFormat
from video_datasets.formats.submission_json import ACTIVITYNET_ENTRY

EK100_CHALLENGE = "action_detection"
SUPERVISION_LEVELS = {
    "sls_pt": "supervision level of pre-training",
    "sls_tl": "supervision level of training labels",
    "sls_td": "supervision level of training data",
}
EK100_KEYS = {"version", "challenge", *SUPERVISION_LEVELS, "results"}
EK100_ENTRY_KEYS = {"verb", "noun", "action", "score", "segment"}
ACTIVITYNET_KEYS = {"version", "external_data", "results"}
ACTIVITYNET_ENTRY_KEYS = {"label", "score", "segment"}


@dataclass
class Findings:
    """What the rules say about a file.

    Attributes:
        errors: the official validator refuses these, or the official evaluator stops at them.
        warnings: officially accepted, most likely a mistake.
        notes: harmless.
    """

    errors: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check_ek100(content: Mapping[str, Any]) -> Findings:
    """Apply the rules of EPIC-KITCHENS-100 to a parsed submission.

    Fields that the reader needs (classes, score, segment) are its business, see
    `video_datasets.formats.submission_entries`; here come the header, and what the reader is more
    patient with.
    """
    findings = Findings(errors=ek100_version_errors(dict(content)))
    _check_challenge(content, findings)
    for key, meaning in SUPERVISION_LEVELS.items():
        _check_level(content, key, meaning, findings)
    counts: Counter[str] = Counter()
    for where, entry in _entries(content):
        findings.errors += [f"{where}: {error}" for error in _ek100_entry_errors(entry)]
        counts.update(_ek100_entry_oddities(entry))
    findings.warnings += [f"{count} entries: {oddity}" for oddity, count in counts.items()]
    _note_unknown_keys(content, EK100_KEYS, EK100_ENTRY_KEYS, findings)
    return findings


def check_activitynet(content: Mapping[str, Any]) -> Findings:
    """Apply the rules of ActivityNet, and with it HACS, to a parsed submission."""
    findings = Findings()
    missing = sorted(ACTIVITYNET_KEYS - {"results"} - content.keys())
    if missing:
        findings.warnings.append(
            f"header: {', '.join(missing)} missing; scoring needs 'results' alone, but the official ActivityNet"
            f" evaluator stops without them"
        )
    _note_unknown_keys(content, ACTIVITYNET_KEYS, ACTIVITYNET_ENTRY_KEYS, findings)
    return findings


def _check_challenge(content: Mapping[str, Any], findings: Findings) -> None:
    found = content.get("challenge")
    if found == EK100_CHALLENGE:
        return
    message = f"header: 'challenge' must be '{EK100_CHALLENGE}', found {short_repr(found)}"
    if isinstance(found, str) and found in EK100_CHALLENGE:
        findings.warnings.append(f"{message}; the official validator takes any part of the word")
    else:
        findings.errors.append(message)


def _check_level(content: Mapping[str, Any], key: str, meaning: str, findings: Findings) -> None:
    level = content.get(key)
    message = f"header: '{key}' ({meaning}) must be a whole number from 0 to 5, found {short_repr(level)}"
    if not isinstance(level, (int, float)) or not 0 <= level <= 5:
        findings.errors.append(message)
    elif isinstance(level, bool) or level % 1:
        findings.warnings.append(f"{message}; the official validator lets it pass")


def _entries(content: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Entries that are objects, with their place; anything else is an error of the reader."""
    results = content.get("results")
    for video, entries in results.items() if isinstance(results, dict) else ():
        for number, entry in enumerate(entries if isinstance(entries, list) else ()):
            if isinstance(entry, dict):
                yield f"video {short_repr(video)}, entry {number}", entry


def _ek100_entry_errors(entry: Mapping[str, Any]) -> list[str]:
    """Errors that only the official validator has: numbers in quotes in a segment, NaN under any
    other key."""
    errors = []
    segment = entry.get("segment")
    if isinstance(segment, list) and any(isinstance(end, str) for end in segment):
        errors.append(f"'segment' must be two numbers without quotes, found {short_repr(segment)}")
    for key in entry.keys() - EK100_ENTRY_KEYS:
        if isinstance(entry[key], float) and math.isnan(entry[key]):
            errors.append(f"'{key}' is NaN, expected no NaN under any key")
    return errors


def _ek100_entry_oddities(entry: Mapping[str, Any]) -> list[str]:
    """What is officially accepted although it is most likely a mistake."""
    verb, noun, action, score = (entry.get(key) for key in ("verb", "noun", "action", "score"))
    oddities = []
    if isinstance(verb, float) or isinstance(noun, float):
        oddities.append("'verb' or 'noun' is written as a fraction, such as 1.0")
    if isinstance(action, str) and action != f"{verb},{noun}":
        spaced = action.replace(" ", "") == f"{verb},{noun}"
        oddities.append(
            "'action' has spaces"
            if spaced
            else "'action' differs from 'verb,noun'; the tasks are scored apart"
        )
    if isinstance(score, str):
        oddities.append("'score' is a number in quotes")
    return oddities


def _note_unknown_keys(
    content: Mapping[str, Any], known: set[str], known_of_entry: set[str], findings: Findings
) -> None:
    unknown = sorted(content.keys() - known)
    if unknown:
        findings.notes.append(f"header: unknown keys are ignored: {short_repr(unknown)}")
    counts = Counter(key for _, entry in _entries(content) for key in entry.keys() - known_of_entry)
    for key, count in counts.most_common(5):
        findings.notes.append(f"{count} entries: unknown key {short_repr(key)} is ignored")


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The rules of a benchmark's submission file.

    Attributes:
        entry: how an entry says its label.
        check: what the official validator, and common sense, say about a parsed file.
        name_in_zip: what the challenge server calls the file; "": there is no server that takes a
            zip.
        levels: keys of the header that declare what was learned from, 0 to 5, with their meaning.
    """

    entry: EntryFormat
    check: Callable[[Mapping[str, Any]], Findings]
    name_in_zip: str = ""
    levels: Mapping[str, str] = field(default_factory=dict)


ACTIVITYNET_RULES = Rules(entry=ACTIVITYNET_ENTRY, check=check_activitynet)
# So the organisers write it: epic-kitchens/C1-Action-Recognition, utils/challenge.py,
# write_submission_file.
EK100_RULES = Rules(entry=EK100_ENTRY, check=check_ek100, name_in_zip="test.json", levels=SUPERVISION_LEVELS)
