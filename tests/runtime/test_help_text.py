"""Help fits its width, keeps its words, and a wrapped command is still one command."""

from __future__ import annotations

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.help_text import fitted

WORD = st.text("abcXYZ-=.", min_size=1, max_size=12)


@given(st.lists(WORD, min_size=1, max_size=60), st.integers(40, 100))
def test_prose_fits_and_keeps_its_words(words: list[str], width: int) -> None:
    lines = list(fitted(" ".join(["The", *words]), width))
    assert max(map(len, lines)) <= width
    assert " ".join(lines).split() == ["The", *words]


@pytest.mark.parametrize("width", [40, 60, 78])
def test_a_wrapped_command_is_the_same_to_a_shell(width: int) -> None:
    command = (
        "  python -m pipeline.detect videos/ clip.avi --run hacs_mini.zip --top 5 --min-score 0.1 --out found"
    )
    text = "\n".join(fitted(command, width))
    assert max(map(len, text.splitlines())) <= width
    assert shlex.split(text.replace("\\\n", "")) == command.split()


def test_a_command_of_several_lines_is_filled_as_one_and_its_options_keep_their_values() -> None:
    command = (
        '  tadaloc bundle --run runs/own \\\n      --hub my-model --dataset "Mice of our lab" --licence mit'
    )
    assert list(fitted(command, 50)) == [
        "  tadaloc bundle --run runs/own --hub my-model \\",
        '      --dataset "Mice of our lab" --licence mit',
        "",
    ]


def test_tables_and_short_lines_stay() -> None:
    text = "    boris  project file\n    csv    your own CSV, with as many words as there are here"
    assert list(fitted(text, 40)) == [
        "    boris  project file",
        "    csv    your own CSV, with as many",
        "           words as there are here",
        "",
    ]
