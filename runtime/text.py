"""Text that comes from files, made fit for screens, pages and spreadsheets."""

from __future__ import annotations

import re
from collections.abc import Iterable

EXAMPLES = 3
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r")
PLAIN_WORD = re.compile(r"-[\w-]+")


def encodable(name: str) -> str:
    r"""Escape half characters, which JSON can hold and no file or screen can.

    >>> encodable("\ud800 \u00e4")
    '\\ud800 ä'
    """
    return name.encode("utf-8", "backslashreplace").decode()


def examples(names: Iterable[str]) -> str:
    """Name the first three, printable whatever they hold.

    >>> examples("abcd")
    'a, b, c, ...'
    """
    names = list(names)
    shown = [name.encode("unicode_escape").decode() if not name.isprintable() else name for name in names]
    return ", ".join(shown[:EXAMPLES]) + (", ..." if len(names) > EXAMPLES else "")


def spreadsheet_text(text: str) -> str:
    """Put a quote sign before what a spreadsheet would take for a formula, and run.

    Ids such as "-AbC_1" stay, since a sign before a plain word computes nothing. Source: OWASP,
    "CSV Injection".

    >>> spreadsheet_text("=1+1"), spreadsheet_text("open door"), spreadsheet_text("-AbC_1")
    ("'=1+1", 'open door', '-AbC_1')
    """
    is_formula = text.startswith(FORMULA_SIGNS) and not PLAIN_WORD.fullmatch(text)
    return f"'{text}" if is_formula else text


def text_of_spreadsheet(text: str) -> str:
    """Take away what `spreadsheet_text` has put in front.

    >>> text_of_spreadsheet("'=1+1"), text_of_spreadsheet("'tis")
    ('=1+1', "'tis")
    """
    return text[1:] if text[:1] == "'" and text[1:].startswith(FORMULA_SIGNS) else text
