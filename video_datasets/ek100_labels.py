"""Labels of EPIC-KITCHENS-100 detections: text "verb,noun" <-> class numbers of verb, noun and action.

A submission may claim an action that differs from its verb and noun (the official validator accepts that, and
the official metrics then score the three tasks apart); its label reads "verb,noun;action verb,action noun".
"""

from __future__ import annotations

import re
from typing import Any

from runtime.errors import InputError

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
    label = f"{_class_number(verb, 'verb', NUM_VERBS)},{_class_number(noun, 'noun', NUM_NOUNS)}"
    if action == label:
        return label
    try:
        action_verb, action_noun = (int(part) for part in action.split(","))
    except (AttributeError, ValueError):
        raise ValueError(
            f"'action' must be text 'verb,noun' such as '{label}', found {action!r:.80}"
        ) from None
    _class_number(action_verb, "action verb", NUM_VERBS)
    _class_number(action_noun, "action noun", NUM_NOUNS)
    claimed = f"{action_verb},{action_noun}"
    return label if claimed == label else f"{label};{claimed}"


def _class_number(value: Any, name: str, num_classes: int) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value not in range(num_classes):
        raise ValueError(f"'{name}' must be a whole number from 0 to {num_classes - 1}, found {value!r:.80}")
    return int(value)


def split_label(label: str) -> tuple[int, int, int]:
    """Class numbers of verb, noun and action of a label; the inverse of `make_label`.

    Raises:
        InputError: if it is not such a label, or a class is out of range.

    >>> split_label("3,12")
    (3, 12, 912)
    """
    match = LABEL.fullmatch(label)
    numbers = [int(part) for part in match.groups() if part is not None] if match else []
    verbs, nouns = numbers[0::2], numbers[1::2]
    if not numbers or max(verbs) >= NUM_VERBS or max(nouns) >= NUM_NOUNS:
        raise InputError(
            f"label '{label}': expected 'verb,noun' of EPIC-KITCHENS-100,"
            f" verbs 0 to {NUM_VERBS - 1}, nouns 0 to {NUM_NOUNS - 1}"
        )
    return verbs[0], nouns[0], action_id(verbs[-1], nouns[-1])


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
