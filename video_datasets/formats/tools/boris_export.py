"""CSV and TSV exports of BORIS: aggregated events (a bout a row) and tabular events (an event a
row).

    Observation id,...,Media file name,...,Subject,Behavior,Behavior type,Start (s),Stop (s),...     aggregated
    Time,Media file path,Total length,FPS,Subject,Behavior,Behavioral category,Comment,Status        tabular

Columns are known by their names, which vary by version; older tabular files have a preamble of some
fifteen lines. Where an observation plays several files one after the other, an export counts on
without telling where each starts: such observations are left out, and the project should be read
instead.
"""

from __future__ import annotations

import csv
import io
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from runtime.errors import InputError
from video_datasets.formats.tools.boris_events import NO_SUBJECT, Event, bouts_of, with_remark
from video_datasets.formats.tools.labelling import (
    AnnotatedVideo,
    Bout,
    Labelling,
    LabelReading,
    Notes,
    collect,
    point_bout,
)
from video_datasets.formats.tools.tool_files import checked, media_id, read_table_text

PREAMBLE_LINES = 100
"""Lines among which the header must stand."""
_MEDIA = ("Media file name", "Media file", "Media file path", "Source")
_STATUS = ("Status", "Behavior type")
_EXPECTED = (
    "expected columns 'Behavior' and either 'Start (s)', 'Stop (s)' (aggregated events) or 'Time' and 'Status' or"
    " 'Behavior type' (tabular events)"
)


@dataclass(frozen=True)
class _Row:
    """One line by column; `text` of the first of several names that there is."""

    where: str
    cells: dict[str, str]

    def text(self, *names: str) -> str:
        return next((self.cells[name].strip() for name in names if name in self.cells), "")

    def seconds(self, name: str) -> float:
        return checked(self.text(name), float, f"{self.where}, '{name}'")


@dataclass(frozen=True)
class _Table:
    """The rows of an export, and what its preamble says."""

    columns: tuple[str, ...]
    rows: tuple[_Row, ...]
    preamble: dict[str, str]

    @property
    def is_aggregated(self) -> bool:
        return {"Start (s)", "Stop (s)"} <= set(self.columns)


def is_boris_header(cells: list[str]) -> bool:
    """Say whether a line is the header of such an export."""
    found = {cell.strip() for cell in cells}
    is_tabular = "Time" in found and bool(found.intersection(_STATUS))
    return "Behavior" in found and ({"Start (s)", "Stop (s)"} <= found or is_tabular)


def read_boris_export(path: Path, reading: LabelReading) -> Labelling:
    """Read an export.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is no such export; the message names the line and the column.
    """
    table = _read_table(path)
    bouts_of_rows = _aggregated_bouts if table.is_aggregated else _tabular_bouts
    notes = Notes()
    videos: list[AnnotatedVideo] = []
    default_name = table.preamble.get("Observation id", "")
    by_observation = _grouped(table.rows, lambda row: row.text("Observation id") or default_name)
    for name, rows in by_observation.items():
        where = f"{path}: observation '{name}'" if name else str(path)
        files = {row.text(*_MEDIA).partition(":")[2] or row.text(*_MEDIA) for row in rows} - {"", "NA"}
        files = {file for text in files for file in text.split(";")}
        if len(files) != 1:
            notes.lose(
                f"{where}: {len(files)} media files, left out; an export does not tell where each starts"
            )
            continue
        offset_s = checked(
            table.preamble.get("Time offset (s)", "0") or "0", float, f"{where}, 'Time offset (s)'"
        )
        bouts = [_moved(bout, -offset_s) for bout in bouts_of_rows(rows, where, reading, notes)]
        (file,) = files
        videos.append(AnnotatedVideo(media_id(file, where), tuple(bouts), file))
    return collect(path, videos, notes, [row.text("Behavior") for row in table.rows])


def _read_table(path: Path) -> _Table:
    text = read_table_text(path)
    preamble: dict[str, str] = {}
    for delimiter in ("\t", ",", ";"):
        try:
            lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
            for cells in itertools.islice(lines, PREAMBLE_LINES):
                if is_boris_header(cells):
                    columns = tuple(cell.strip() for cell in cells)
                    return _Table(columns, tuple(_rows(path, lines, columns)), preamble)
                if len(cells) > 1:
                    preamble.setdefault(cells[0].strip(), cells[1].strip())
        except csv.Error as error:
            raise InputError(f"{path}: line {lines.line_num}: expected a CSV line, found {error}") from None
    raise InputError(f"{path}: {_EXPECTED} in the first {PREAMBLE_LINES} lines, found '{text[:80].strip()}'")


def _rows(path: Path, lines: Iterator[list[str]], columns: tuple[str, ...]) -> Iterator[_Row]:
    for cells in lines:
        where = f"{path}: line {lines.line_num}"  # type: ignore[attr-defined]
        if not any(cell.strip() for cell in cells):
            continue
        row = _Row(where, dict(zip(columns, cells, strict=False)))
        if len(cells) < len(columns) or not row.text("Behavior"):
            raise InputError(
                f"{where}: expected {len(columns)} cells and a behaviour, found {len(cells)} cells"
            )
        yield row


def _grouped(rows: tuple[_Row, ...], key: Callable[[_Row], str]) -> dict[str, list[_Row]]:
    groups: dict[str, list[_Row]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return groups


def _moved(bout: Bout, by_s: float) -> Bout:
    return replace(bout, start_s=bout.start_s + by_s, end_s=bout.end_s + by_s) if by_s else bout


def _subject(row: _Row) -> str:
    name = row.text("Subject")
    return "" if name == NO_SUBJECT else name


def _aggregated_bouts(rows: list[_Row], where: str, reading: LabelReading, notes: Notes) -> Iterator[Bout]:
    for row in rows:
        label, start_s = row.text("Behavior"), row.seconds("Start (s)")
        bout: Bout | None
        if row.text("Behavior type").upper() == "POINT":
            bout = point_bout(start_s, label, where, reading, notes)
        elif row.text("Stop (s)") in ("", "NA"):
            notes.lose(f"{where}: '{label}' begins at {start_s:g} s and never stops, left out")
            continue
        else:
            bout = Bout(start_s, row.seconds("Stop (s)"), label)
        if bout is not None:
            yield with_remark(replace(bout, subject=_subject(row)), row.text("Comment start", "Comment"))


def _tabular_bouts(rows: list[_Row], where: str, reading: LabelReading, notes: Notes) -> list[Bout]:
    events = []
    for row in rows:
        status = row.text(*_STATUS).upper()
        if status not in ("START", "STOP", "POINT", ""):
            raise InputError(f"{row.where}: expected START, STOP or POINT, found '{status}'")
        modifiers = "|".join(text for name, text in row.cells.items() if name.startswith("Modifier"))
        events.append(
            Event(
                row.seconds("Time"),
                _subject(row),
                row.text("Behavior"),
                modifiers,
                row.text("Comment"),
                is_point=status in ("POINT", ""),
            )
        )
    return bouts_of(events, where, reading, notes)
