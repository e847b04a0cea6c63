"""CSV files as people and spreadsheets write them: separators, header, numbers and times; errors of
a file at once.

What has one meaning is read: comma, semicolon or tab between cells, capitals in the header, blanks
around cells, empty lines, comments in front, further columns, decimal commas, mm:ss and hh:mm:ss.
What has two is refused with its line.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from runtime.errors import InputError, error_list
from video_datasets.annotations import read_text, short_repr

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab"}
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,(\d+)")
_CLOCK = re.compile(r"(?:(\d+):)?(\d{1,2}):(\d{1,2}(?:[.,]\d+)?)")


@dataclass(frozen=True)
class Column:
    """A column that a reader wants.

    Attributes:
        names: in the header, the first one preferred; capitals do not matter.
        optional: whether the file may lack it; its cells are then empty.
    """

    names: tuple[str, ...]
    optional: bool = False

    def __str__(self) -> str:
        others = ", ".join(self.names[1:])
        return f"{self.names[0]} (or {others})" if others else self.names[0]


@dataclass
class CsvTable:
    """The wanted columns of one file, and what is wrong with it so far.

    Attributes:
        path: the file.
        names: of the wanted columns, as its header has them; "" where it lacks an optional one.
        separator: between its cells.
        rows: number of the line, and its wanted cells without blanks around them.
        errors: number of the line, and what is wrong there.
    """

    path: Path
    names: tuple[str, ...]
    separator: str
    rows: list[tuple[int, tuple[str, ...]]]
    errors: list[tuple[int, str]] = field(default_factory=list)
    _line_of_sign: dict[str, int] = field(default_factory=dict)
    """First line of a number with a decimal point, and of one with a decimal comma."""

    def error(self, line: int, what: str) -> None:
        """Keep an error for `refuse_errors`."""
        self.errors.append((line, what))

    def refuse_errors(self) -> None:
        """Stop if anything is wrong.

        Raises:
            InputError: with every error of the file, by line.
        """
        if len(self._line_of_sign) == 2:
            signs = " and ".join(f"a {sign} (line {line})" for sign, line in self._line_of_sign.items())
            self.error(max(self._line_of_sign.values()), f"decimals with both {signs}; use points")
            self._line_of_sign.clear()
        if self.errors:
            errors = [
                f"line {line}: {what}" for line, what in sorted(self.errors, key=lambda error: error[0])
            ]
            raise InputError(error_list(str(self.path), errors))

    def number(self, line: int, text: str, name: str, expected: str = "a number") -> float:
        """Read a number, with a decimal point or comma; NaN, and an error kept, if it is none."""
        if _NUMBER.fullmatch(text) and math.isfinite(float(text)):
            if "." in text:
                self._line_of_sign.setdefault("point", line)
            return float(text)
        comma = _DECIMAL_COMMA.fullmatch(text)
        if comma and (
            self.separator == ";" or len(comma[1]) != 3
        ):  # spreadsheets write ; where , is for decimals
            self._line_of_sign.setdefault("comma", line)
            return float(text.replace(",", "."))
        hint = f" (decimals, or thousands? write {text.replace(',', '.')} or {text.replace(',', '')})"
        self.error(line, f"'{name}' must be {expected}, found '{text}'{hint if comma else ''}")
        return float("nan")

    def seconds(self, line: int, text: str, name: str) -> float:
        """Read seconds, or mm:ss or hh:mm:ss with decimals or without; NaN, and an error kept,
        if it is neither."""
        if ":" not in text:
            return self.number(line, text, name, "a number of seconds")
        try:
            return clock_seconds(text)
        except ValueError as error:
            self.error(line, f"'{name}' must be seconds, mm:ss or hh:mm:ss, found {error}")
            return float("nan")


def clock_seconds(text: str) -> float:
    """Convert mm:ss or hh:mm:ss, perhaps with decimals, into seconds.

    Raises:
        ValueError: if it has another form, or minutes or seconds that a clock does not show.

    >>> clock_seconds("01:02:03.50"), clock_seconds("75:03")
    (3723.5, 4503.0)
    """
    parts = _CLOCK.fullmatch(text)
    hours, minutes, seconds = parts.groups() if parts else (None, "0", "60")
    value_s = float(seconds.replace(",", "."))
    if value_s >= 60 or (hours is not None and int(minutes) >= 60):
        raise ValueError(f"bad timestamp {short_repr(text)}")
    return int(hours or 0) * 3600 + int(minutes) * 60 + value_s


def read_csv(path: Path, columns: Sequence[Column], *, hint: str = "") -> CsvTable:
    """Read some columns of a CSV file with a header, plain or gzip.

    Args:
        path: the file.
        columns: which, in the order of the cells that are wanted.
        hint: what else the file may be if it lacks one of them, for the message.

    Returns:
        The table; lines with more or fewer cells than the header, which cannot be read, are among
        its errors.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is no text, or its header lacks a column or has one twice.
    """
    text = read_text(path).replace("\r\n", "\n").replace("\r", "\n")
    first, separator = _header_place(text, columns)
    body = "\n" * (first - 1) + text.split("\n", first - 1)[-1]  # so that lines keep their numbers
    table = CsvTable(path, (), separator, [])
    records = _records(body, table)
    _, header = next(records, (0, []))
    fields = _fields(header, columns, table, hint)
    table.names = tuple("" if field < 0 else header[field] for field in fields)
    width = len(header)
    for line, cells in records:
        if len(cells) != width and (problem := _cell_count_problem(cells, header, separator)):
            table.error(line, problem)
        elif any(cells):
            table.rows.append((line, tuple("" if field < 0 else cells[field].rstrip() for field in fields)))
    return table


def _header_place(text: str, columns: Sequence[Column]) -> tuple[int, str]:
    """Line of the header, and the separator that finds most of the columns in it."""
    wanted = {name for column in columns for name in column.names}
    for number, line in enumerate(text.split("\n"), start=1):
        declared = re.fullmatch(r"\s*sep=(.)\s*", line)  # as Excel writes it
        if not line.strip() or line.startswith("#") or declared:
            continue
        found = {mark: len(wanted & set(_names(_cells(line, mark)))) for mark in SEPARATORS}
        return number, max(found, key=lambda mark: found[mark])
    return 1, ","


def _cells(line: str, separator: str) -> list[str]:
    try:
        return next(csv.reader([line], delimiter=separator))
    except csv.Error:  # told when the file is read
        return []


def _names(header: Sequence[str]) -> list[str]:
    return [name.strip().lower() for name in header]


def _records(text: str, table: CsvTable) -> Iterator[tuple[int, list[str]]]:
    """Lines with any cell: number of the first line, cells without blanks in front."""
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=table.separator, skipinitialspace=True, strict=True
    )
    line = 1
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            table.error(line, f"cannot be read ({error}); is a quotation mark left open?")
            return
        if cells:
            yield line, cells
        line = reader.line_num + 1


def _fields(header: Sequence[str], columns: Sequence[Column], table: CsvTable, hint: str) -> list[int]:
    """Place of each wanted column in the header, -1 for an optional one that it lacks."""
    names = _names(header)
    fields = [next((names.index(name) for name in column.names if name in names), -1) for column in columns]
    missing = [
        str(column)
        for column, field in zip(columns, fields, strict=True)
        if field < 0 and not column.optional
    ]
    if missing:
        raise InputError(
            f"{table.path}: expected the columns {', '.join(column.names[0] for column in columns)};"
            f" missing: {', '.join(missing)}; found: {', '.join(header)}{f' ({hint})' if hint else ''}"
        )
    twice = [header[field] for field in fields if field >= 0 and names.count(names[field]) > 1]
    if twice:
        raise InputError(f"{table.path}: the header has the column '{twice[0]}' twice; rename one of them")
    return fields


def _cell_count_problem(cells: list[str], header: Sequence[str], separator: str) -> str:
    """Say what is wrong with a line of another length; empty cells behind the last column do no
    harm."""
    width = len(header)
    if not any(cells[width:] if len(cells) > width else cells):
        return ""
    found = f"{len(cells)} cells under a header of {width} ({SEPARATORS[separator]} between them)"
    if len(cells) < width:
        return f"{found}; is the file cut off, or a separator missing?"
    return f"{found}: text or numbers with a {SEPARATORS[separator]} inside must stand in double quotes"
