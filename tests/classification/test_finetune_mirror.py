"""Left and right in class names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from classification.finetune.mirror import mirrored_label, mirrored_labels


@pytest.mark.parametrize(
    ("label", "mirrored"),
    [
        ("Pulling something from left to right", "Pulling something from right to left"),
        (
            "Turning the camera left while filming something",
            "Turning the camera right while filming something",
        ),
        ("Left turn", "Right turn"),
        ("swipe_left", "swipe_right"),
        ("SwipeLeft", "SwipeRight"),
        ("turnRight", "turnLeft"),
        ("rightTurn", "leftTurn"),
        ("RightTurn_2", "LeftTurn_2"),
        ("LEFT-turn2", "RIGHT-turn2"),
        ("LEFTTurn", "RIGHTTurn"),
        ("TURN_RIGHT", "TURN_LEFT"),
        ("turn2left", "turn2right"),
        ("left/Right LEFT", "right/Left RIGHT"),
        ("Bright lights leftover", "Bright lights leftover"),  # parts of other words
        ("BRIGHT copyright cleft LEFTOVER Lefty", "BRIGHT copyright cleft LEFTOVER Lefty"),
    ],
)
def test_left_and_right_are_exchanged_as_words(label: str, mirrored: str) -> None:
    assert mirrored_label(label) == mirrored


PIECES = st.sampled_from(
    [
        "left",
        "Left",
        "LEFT",
        "right",
        "Right",
        "RIGHT",
        *"abAB _-2/",
        "turn",
        "Turn",
        "TURN",
        "\u00e9",
        "\u00c9",
    ]
)


@given(st.lists(PIECES, max_size=8).map("".join))
def test_mirroring_twice_gives_the_label_back(label: str) -> None:
    assert mirrored_label(mirrored_label(label)) == label


def test_direction_sensitive_classes_have_their_partner_or_none() -> None:
    labels = ["sit", "turn left", "turn right", "keep left"]
    assert mirrored_labels(labels, swap=True) == {
        "turn left": "turn right",
        "turn right": "turn left",
        "keep left": None,
    }
    assert mirrored_labels(labels, swap=False) == {"turn left": None, "turn right": None, "keep left": None}
    labels = ["swipe_left", "swipe_right", "PushLEFT", "sit"]
    assert mirrored_labels(labels, swap=True) == {
        "swipe_left": "swipe_right",
        "swipe_right": "swipe_left",
        "PushLEFT": None,
    }
