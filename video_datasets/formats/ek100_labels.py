"""Labels of EPIC-KITCHENS-100 detections: text "verb,noun" <-> class numbers of verb, noun and
action.

A submission may claim an action that differs from its verb and noun (the official validator accepts
that, and the official metrics then score the three tasks apart); its label reads "verb,noun;action
verb,action noun".
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from runtime.errors import InputError
from video_datasets.annotations import short_repr

NUM_VERBS = 97
NUM_NOUNS = 300
LABEL = re.compile(r"(\d+),(\d+)(?:;(\d+),(\d+))?")


def make_label(verb: Any, noun: Any, action: Any) -> str:
    """Join the three classes of one entry of a submission.

    Args:
        verb: 0..96, a whole number (1.0 passes, "1" does not, as in the official validator).
        noun: 0..299, likewise.
        action: text "verb,noun"; spaces are allowed.

    Raises:
        ValueError: saying which of them cannot be read or is out of range.

    >>> make_label(3, 12, "3,12"), make_label(3, 12, "5,6")
    ('3,12', '3,12;5,6')
    """
    return join_classes(verb_class(verb), noun_class(noun), action_classes(action))


def join_classes(verb: int, noun: int, action: str) -> str:
    """Join what `verb_class`, `noun_class` and `action_classes` have read into a label."""
    label = f"{verb},{noun}"
    return label if action == label else f"{label};{action}"


def verb_class(verb: Any) -> int:
    """Read the verb of an entry; raises ValueError unless it is a whole number from 0 to 96."""
    return _class_number(verb, "verb", NUM_VERBS)


def noun_class(noun: Any) -> int:
    """Read the noun of an entry; raises ValueError unless it is a whole number from 0 to 299."""
    return _class_number(noun, "noun", NUM_NOUNS)


def action_classes(action: Any) -> str:
    """Read the action of an entry, "verb,noun" without spaces; raises ValueError if it is none."""
    try:
        verb, noun = map(int, action.split(","))
    except (AttributeError, ValueError):
        raise ValueError(
            f"'action' must be text 'verb,noun' such as '3,12', found {short_repr(action)}"
        ) from None
    if verb not in range(NUM_VERBS) or noun not in range(NUM_NOUNS):
        raise ValueError(
            f"'action' must have a verb from 0 to {NUM_VERBS - 1} and a noun from 0 to {NUM_NOUNS - 1},"
            f" found {short_repr(action)}"
        )
    return f"{verb},{noun}"


def _class_number(value: Any, name: str, num_classes: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value not in range(num_classes):
        raise ValueError(
            f"'{name}' must be a whole number from 0 to {num_classes - 1}, found {short_repr(value)}"
        )
    return int(value)


@lru_cache(maxsize=1 << 16)  # the three tasks ask for the same labels
def split_label(label: str) -> tuple[int, int, int]:
    """Class numbers of verb, noun and action of a label; the inverse of `make_label`.

    Raises:
        InputError: if it is not such a label, or a class is out of range.

    >>> split_label("3,12")
    (3, 12, 912)
    """
    match = LABEL.fullmatch(label)
    verb, noun, action_verb, action_noun = map(int, match.groups(default=-1)) if match else (NUM_VERBS,) * 4
    if max(verb, action_verb) >= NUM_VERBS or max(noun, action_noun) >= NUM_NOUNS:
        raise InputError(
            f"label '{label}': expected 'verb,noun' of EPIC-KITCHENS-100,"
            f" verbs 0 to {NUM_VERBS - 1}, nouns 0 to {NUM_NOUNS - 1}"
        )
    return verb, noun, action_id(verb, noun) if action_verb < 0 else action_id(action_verb, action_noun)


def action_id(verb: int, noun: int) -> int:
    """Number the action of a verb and a noun, verb * 300 + noun (official evaluation code)."""
    return verb * NUM_NOUNS + noun


def action_name(action: int) -> str:
    """Text "verb,noun" of an action number; the inverse of `action_id`.

    >>> action_name(912)
    '3,12'
    """
    verb, noun = divmod(action, NUM_NOUNS)
    return f"{verb},{noun}"
