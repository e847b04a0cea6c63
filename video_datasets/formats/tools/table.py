"""TOOLS: one entry a labelling tool (or plain format), with its reader, its writer, and how its
files are recognised.

A new tool is a file with `read_...` (and `write_...`) and an entry here; `data.format`,
`video_datasets.convert` and `pipeline.detect --format` then know it.
"""

from __future__ import annotations

import csv
import difflib
import io
import itertools
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from runtime.errors import InputError
from video_datasets.annotations import short_repr
from video_datasets.formats.tools.boris import read_boris, write_boris
from video_datasets.formats.tools.boris_export import PREAMBLE_LINES, read_boris_export
from video_datasets.formats.tools.elan import ROOT, SUFFIX, read_elan
from video_datasets.formats.tools.elan_write import write_elan
from video_datasets.formats.tools.elan_xml import parse_xml
from video_datasets.formats.tools.feral import read_feral, write_feral
from video_datasets.formats.tools.fiftyone import LABELS_NAME, read_fiftyone, write_fiftyone
from video_datasets.formats.tools.label_studio import read_label_studio, write_label_studio
from video_datasets.formats.tools.labelling import Labelling, LabelReading, Notes
from video_datasets.formats.tools.mmaction import read_mmaction
from video_datasets.formats.tools.plain_labels import (
    read_activitynet,
    read_label_csv,
    write_activitynet,
    write_label_csv,
)
from video_datasets.formats.tools.tool_files import read_bytes, read_json, read_table_text
from video_datasets.formats.tools.tool_media import Media
from video_datasets.formats.tools.via3 import read_via3, write_via3
from video_datasets.predictions import HDF5_MAGIC

Reader = Callable[[Path, LabelReading], Labelling]
Writer = Callable[[Path, Labelling, Media, Notes], None]


@dataclass(frozen=True)
class Look:
    """What a file is at first sight: its kind, and the names that stand at its top.

    Attributes:
        kind: "folder", "hdf5", "xml", "json" (an object), "json list" (of objects), "table" or
            "binary file".
        names: suffixes and names of files; the root; the keys (of the first object); the cells of
            the first lines.
        inner: keys of the first object inside a "json" object.
    """

    kind: str
    names: frozenset[str] = frozenset()
    inner: frozenset[str] = frozenset()


@dataclass(frozen=True, kw_only=True)
class Tool:
    """A labelling tool.

    Attributes:
        name: of `--to`, `--from` and `data.format`.
        title: what such a file is, in a few words.
        suffix: of a file that is written; "" for a folder.
        owns: whether a file is one of this tool.
        read: reader of a file, or of a folder where the format has one.
        write: writer; None where we read alone.
    """

    name: str
    title: str
    suffix: str
    owns: Callable[[Look], bool]
    read: Reader
    write: Writer | None = None


def _json_with(*keys: str) -> Callable[[Look], bool]:
    return lambda look: look.kind == "json" and look.names.issuperset(keys)


_TOOLS = (
    Tool(
        name="boris",
        title="BORIS project",
        suffix=".boris",
        owns=_json_with("behaviors_conf", "observations"),
        read=read_boris,
        write=write_boris,
    ),
    Tool(
        name="boris-export",
        title="CSV or TSV export of BORIS",
        suffix=".tsv",
        owns=lambda look: look.kind == "table" and "Behavior" in look.names,
        read=read_boris_export,
    ),
    Tool(
        name="elan",
        title="ELAN .eaf, or a folder of them",
        suffix="",
        owns=lambda look: (
            (look.kind == "xml" and ROOT in look.names) or (look.kind == "folder" and SUFFIX in look.names)
        ),
        read=read_elan,
        write=write_elan,
    ),
    Tool(
        name="via",
        title="VIA 3 project",
        suffix=".json",
        owns=_json_with("attribute", "metadata", "view"),
        read=read_via3,
        write=write_via3,
    ),
    Tool(
        name="label-studio",
        title="Label Studio tasks",
        suffix=".json",
        owns=lambda look: look.kind.startswith("json") and "data" in look.names,
        read=read_label_studio,
        write=write_label_studio,
    ),
    Tool(
        name="feral",
        title="FERAL labels",
        suffix=".json",
        owns=_json_with("class_names", "labels"),
        read=read_feral,
        write=write_feral,
    ),
    Tool(
        name="fiftyone",
        title="FiftyOne temporal detections",
        suffix="",
        owns=lambda look: _json_with("labels")(look) or (look.kind == "folder" and LABELS_NAME in look.names),
        read=read_fiftyone,
        write=write_fiftyone,
    ),
    Tool(
        name="activitynet",
        title="ActivityNet or HACS JSON, annotations or detections",
        suffix=".json",
        owns=lambda look: (
            look.kind == "hdf5" or (look.kind == "json" and bool(look.names & {"database", "results"}))
        ),
        read=read_activitynet,
        write=write_activitynet,
    ),
    Tool(
        name="mmaction2",
        title="mmaction2's anet_anno_*.json",
        suffix=".json",
        owns=lambda look: look.kind == "json" and "annotations" in look.inner,
        read=read_mmaction,
    ),
    Tool(
        name="csv",
        title="your own CSV",
        suffix=".csv",
        owns=lambda look: look.kind == "table" and "label" in map(str.lower, look.names),
        read=read_label_csv,
        write=write_label_csv,
    ),
)
TOOLS: dict[str, Tool] = {tool.name: tool for tool in _TOOLS}
WRITERS: dict[str, Writer] = {tool.name: tool.write for tool in _TOOLS if tool.write is not None}


def tool_named(name: str) -> Tool:
    """Return a tool.

    Raises:
        InputError: if there is none of this name.
    """
    if name not in TOOLS:
        close = difflib.get_close_matches(name, TOOLS, n=1)
        hint = f"; closest: {close[0]}" if close else ""
        raise InputError(f"expected a format of {', '.join(TOOLS)}, found '{name}'{hint}")
    return TOOLS[name]


def tool_of(path: Path) -> Tool:
    """Tell a file's (or folder's) tool by its content.

    Raises:
        FileNotFoundError: if there is nothing.
        InputError: if it is none of them, or damaged.
    """
    look = look_at(path)
    found = next((tool for tool in _TOOLS if tool.owns(look)), None)
    if found is None:
        known = "; ".join(f"{tool.name} ({tool.title})" for tool in _TOOLS)
        names = f" with {short_repr(sorted(look.names)[:8])}" if look.names else ""
        raise InputError(
            f"{path}: expected a file of one of these: {known}; found a {look.kind}{names}; name the format with --from"
        )
    return found


def look_at(path: Path) -> Look:
    """Look at what a file begins with.

    Raises:
        FileNotFoundError: if there is nothing.
        InputError: if it is damaged.
    """
    if path.is_dir():
        suffixes = {file.suffix.lower() for file in path.rglob("*")}
        return Look("folder", frozenset(suffixes | {file.name for file in path.iterdir()}))
    content = read_bytes(path)
    if content.startswith(HDF5_MAGIC):
        return Look("hdf5")
    first = content.lstrip(b"\xef\xbb\xbf\xff\xfe\0 \t\r\n")[:1]
    if first == b"<":
        return Look("xml", frozenset({parse_xml(path).tag}))
    if first in (b"{", b"["):
        return _look_at_json(read_json(path))
    lines = csv.reader(io.StringIO(read_table_text(path), newline=""))
    try:
        cells = [cell for line in itertools.islice(lines, PREAMBLE_LINES) for cell in line]
    except csv.Error as error:
        raise InputError(f"{path}: line {lines.line_num}: expected a CSV line, found {error}") from None
    if any("\0" in cell for cell in cells):
        return Look("binary file")
    return Look("table", frozenset(name.strip() for cell in cells for name in re.split("[\t;]", cell)))


def _look_at_json(content: object) -> Look:
    if isinstance(content, list):
        first = content[0] if content else {"data": None}  # an empty list of tasks
        return Look("json list", frozenset(first if isinstance(first, dict) else ()))
    if not isinstance(content, dict):
        return Look("json")
    inner = next(iter(content.values()), None)
    return Look("json", frozenset(content), frozenset(inner if isinstance(inner, dict) else ()))
