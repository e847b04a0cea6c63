"""Annotation formats: one raw parser a file, and the table of all of them.

A new one is a file of its own and a line here.
"""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

from runtime.errors import InputError
from video_datasets.formats.activitynet import ACTIVITYNET, HACS
from video_datasets.formats.ek100 import EK100
from video_datasets.formats.format import Format
from video_datasets.formats.kinetics import KINETICS
from video_datasets.formats.own_csv import OWN_CSV
from video_datasets.formats.ssv2 import SSV2
from video_datasets.formats.tools.tool_format import tool_formats

if TYPE_CHECKING:
    from video_datasets.settings import DataConfig

__all__ = ["FORMATS", "Format", "format_of"]

FORMATS: dict[str, Format] = {
    entry.name: entry for entry in (HACS, ACTIVITYNET, EK100, OWN_CSV, KINETICS, SSV2)
}
FORMATS |= {entry.name: entry for entry in tool_formats(set(FORMATS))}


def format_of(data: DataConfig) -> Format:
    """Return the format of a run's data set.

    Raises:
        InputError: if `data.format` names none.
    """
    if data.format not in FORMATS:
        close = difflib.get_close_matches(data.format, FORMATS, n=1)
        hint = f"; closest: {close[0]}" if close else ""
        raise InputError(f"data.format must be one of {', '.join(FORMATS)}, found '{data.format}'{hint}")
    return FORMATS[data.format]
