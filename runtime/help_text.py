"""Help of commands: the name under which one was called, and text that fits the terminal."""

from __future__ import annotations

import argparse
import re
import textwrap
from collections.abc import Iterator
from typing import Any, NoReturn

from runtime.called_as import as_called, in_help
from runtime.exit_codes import EXIT_BAD_INPUT

_COLUMNS = re.compile(r"\s*\S+(?: \S+)*\s{2,}(?=\S)")
_COMMAND = re.compile(r"\s*(python -m|tadaloc|torchrun|bash) ")
_TOGETHER = re.compile(r'(?:--[\w-]+ )?"[^"]*"|--[\w-]+ (?=[^-\s"])')
"""What a command is not broken in: quoted words, and between an option and its value."""
_GLUE = "\0"


def program_name(module: str) -> str:
    """Return what a command calls itself in its help."""
    return as_called(f"python -m {module}")


class HelpText(argparse.HelpFormatter):
    """Fills prose, and leaves every other line a line; a long one goes on below, indented."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(fitted(in_help(text), width))

    def _expand_help(self, action: argparse.Action) -> str:
        return in_help(super()._expand_help(action))


class CommandParser(argparse.ArgumentParser):
    """Parses the words of a command; wrong ones are refused in a line, without the whole usage."""

    def __init__(self, **values: Any) -> None:
        super().__init__(**{"formatter_class": HelpText, **values})

    def error(self, message: str) -> NoReturn:
        """End the command."""
        self.exit(EXIT_BAD_INPUT, f"{self.prog}: error: {message}; see {self.prog} --help\n")


def fitted(text: str, width: int) -> Iterator[str]:
    """Yield the lines of a text that is at most `width` columns wide.

    A second column of a table stays one, and a command that does not fit goes on behind a
    backslash.
    """
    text = re.sub(r"\s*\\\n\s*", " ", text)  # a command is one line here, wherever it was broken
    for paragraph in re.split(r"\n{2,}", text.strip("\n")):
        lines = paragraph.split("\n")
        if _is_prose(lines, width):
            lines = [" ".join(lines)]
        for line in lines:
            yield from _wrapped(line.rstrip(), width)
        yield ""


def _is_prose(lines: list[str], width: int) -> bool:
    """Whether lines are one paragraph: neither indented nor in columns, begun with a capital or
    too wide anyway."""
    is_plain = not any(line.startswith(" ") or "  " in line for line in lines)
    return is_plain and (lines[0][:1].isupper() or all(len(line) > width for line in lines[:-1]))


def _wrapped(line: str, width: int) -> list[str]:
    if len(line) <= width:
        return [line]
    indent = len(line) - len(line.lstrip())
    hanging = indent + (4 if indent else 0)
    if _COMMAND.match(line) and "  #" not in line:
        glued = _TOGETHER.sub(lambda found: found[0].replace(" ", _GLUE), line)
        parts = [part.replace(_GLUE, " ") for part in _filled(glued, width - 2, hanging)]
        return [f"{part} \\" for part in parts[:-1]] + parts[-1:]
    column = _COLUMNS.match(line)
    return _filled(line, width, len(column[0]) if column and len(column[0]) < width // 2 else hanging)


def _filled(line: str, width: int, hanging: int) -> list[str]:
    return textwrap.wrap(
        line,
        width,
        subsequent_indent=" " * hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
