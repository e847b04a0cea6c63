"""Code blocks of the documentation's pages: fenced, or indented by four columns."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(r"(?:exec )?(?:python -m|tadaloc|torchrun|bash scripts/run_)")
PYTHON = re.compile(r"(?:from \w[\w.]* import|import) ")


def blocks(page: Path) -> Iterator[list[str]]:
    """Yield the lines of each block, without their common indentation."""
    block: list[str] = []
    is_fenced = False
    for line in [*page.read_text(encoding="utf-8").splitlines(), "end"]:
        if line.startswith("```"):
            is_fenced = not is_fenced
        elif is_fenced or line.startswith("    "):
            block.append(line if is_fenced else line[4:])
            continue
        elif not line and block:
            block.append("")
            continue
        if block:
            yield block
            block = []


def commands(page: Path) -> Iterator[list[str]]:
    """Yield the words of each command; what may be left out is there, of alternatives the first;
    "..." stands for words that were shown before."""
    for block in blocks(page):
        text = "\n".join(block).replace("\\\n", " ")
        for line in text.splitlines():
            if COMMAND.match(line):
                plain = re.sub(r"(?<![='])\[([^\]=]*)\]", r"\1", line.removeprefix("exec "))
                words = shlex.split(re.sub(r"(\b\w+)(?:\|\w+)+", r"\1", plain), comments=True)
                yield [word for word in words if word != "..."]


def python_blocks(page: Path) -> Iterator[str]:
    """Yield the blocks of Python that are no doctests."""
    for block in blocks(page):
        if any(PYTHON.match(line) for line in block):
            yield "\n".join(block)
