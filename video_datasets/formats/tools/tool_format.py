"""Labelling tools as formats of a data set: `data.format=boris data.annotations=project.boris`."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from video_datasets.annotations import AnnotationTable
from video_datasets.formats.format import Format
from video_datasets.formats.tools.labelling import LabelReading, annotation_table, lines
from video_datasets.formats.tools.table import TOOLS, Tool
from video_datasets.formats.tools.tool_media import Media
from video_datasets.video.search import index_video_files

if TYPE_CHECKING:
    from video_datasets.settings import DataConfig


@dataclass(frozen=True, kw_only=True)
class ToolFormat(Format):
    """A format whose files a labelling tool writes; frames are counted by the times of the data
    set's own videos."""

    tool: Tool

    def annotation_files(self, data: DataConfig) -> tuple[Path, ...]:
        """Return the annotation file, or all files below the folder."""
        path = self.ground_truth_file(data)
        return tuple(sorted(file for file in path.rglob("*") if file.is_file())) if path.is_dir() else (path,)

    def read_ground_truth(self, data: DataConfig) -> AnnotationTable:
        """Read what detections are evaluated against."""
        return self.read_all(data, {})

    def read_all(self, data: DataConfig, problems: dict[str, str]) -> AnnotationTable:
        """Read all subsets; what is left out goes to `problems`."""
        media = Media(index_video_files(Path(data.root) / data.videos))
        path = self.ground_truth_file(data)
        labelling = self.tool.read(path, LabelReading(media.clock_of, data.point_half_width_s))
        for number, line in enumerate(lines(labelling.notes.lost), start=1):
            problems[f"{path.name}, note {number}"] = line.removeprefix(f"{path}: ")
        return annotation_table(labelling)


def tool_formats(taken: set[str]) -> tuple[ToolFormat, ...]:
    """Return a format of each tool whose name is not taken."""
    return tuple(_format_of(tool) for name, tool in TOOLS.items() if name not in taken)


def _format_of(tool: Tool) -> ToolFormat:
    def read(path: str | Path) -> AnnotationTable:
        labelling = tool.read(Path(path), LabelReading())
        for line in lines(labelling.notes.lost):  # a bare file has no stage that lists its problems
            print(f"warning: {line}", file=sys.stderr)
        return annotation_table(labelling)

    return ToolFormat(name=tool.name, title=tool.title, read=read, tool=tool)
