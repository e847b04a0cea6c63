"""The videos beside a labelling file: where a tool finds them, how long they are, when their
frames are shown."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from video_datasets.formats.tools.frame_clock import FrameClock, clock_of_video, unknown_rate
from video_datasets.formats.tools.labelling import AnnotatedVideo, Notes
from video_datasets.formats.tools.tool_files import media_name

ASSUMED_FPS = 25.0
"""Written where nothing tells, and the tool uses it for display alone."""
ASSUMED_SUFFIX = ".mp4"


@dataclass(frozen=True)
class MediaFacts:
    """Length and average frame rate of a video, as a tool wants to be told."""

    duration_s: float
    fps: float


@dataclass(frozen=True)
class Media:
    """The user's videos.

    Attributes:
        paths: video id -> file; those of a folder that the user named.
        fps: rate of videos that are not there, as the user states it; NaN: not stated.
    """

    paths: Mapping[str, Path] = field(default_factory=dict)
    fps: float = math.nan

    def name(self, video: AnnotatedVideo) -> str:
        """File name of a video: the file's, else the one that the labels name, else its id and
        ".mp4"."""
        if video.video_id in self.paths:
            return self.paths[video.video_id].name
        return media_name(video.file) or video.video_id + ASSUMED_SUFFIX

    def relative(self, video: AnnotatedVideo, folder: Path) -> str:
        """Path of a video seen from the folder of the labels; the name alone where the file is
        not there."""
        if video.video_id not in self.paths:
            return self.name(video)
        path = self.paths[video.video_id].resolve()
        try:
            return Path(os.path.relpath(path, folder.resolve())).as_posix()
        except ValueError:  # another drive
            return path.as_posix()

    def address(self, video: AnnotatedVideo, folder: Path) -> str:
        """Address file:///... of a video, in the folder of the labels where the file is not
        there."""
        return self.paths.get(video.video_id, folder / self.name(video)).resolve().as_uri()

    def clock_of(self, video_id: str) -> FrameClock | None:
        """Frame times for reading: the file's own, else those of the stated rate, else none.

        Raises:
            VideoError: if the file cannot be read.
        """
        if video_id in self.paths:
            return clock_of_video(self.paths[video_id])
        return FrameClock(self.fps) if self.fps > 0 else None

    def clock(self, video: AnnotatedVideo, notes: Notes) -> FrameClock:
        """Frame times of a video: the file's own, else those of the rate that the user or the
        labels state.

        Raises:
            VideoError: if the file cannot be read.
            InputError: if there is neither a file nor a rate.
        """
        clock = self.clock_of(video.video_id) or (FrameClock(video.fps) if video.fps > 0 else None)
        if clock is None:
            raise unknown_rate(f"video '{video.video_id}'")
        if clock.is_variable:
            notes.remark(
                f"video '{video.video_id}': variable frame rate; its true frame times are used, but a tool that"
                " counts frames may show others: encode it with a constant rate"
            )
        return clock

    def facts(self, video: AnnotatedVideo, notes: Notes) -> MediaFacts:
        """Length and rate from the file's header, else from the labels, else assumed and noted."""
        duration_s, fps = video.duration_s, self.fps if self.fps > 0 else video.fps
        if video.video_id in self.paths:
            from video_datasets.video.decoding import (
                read_header,  # here, since reading labels needs no decoder
            )

            header = read_header(self.paths[video.video_id])
            duration_s, fps = header.promised_duration_s or duration_s, header.fps
        if not duration_s > 0 or not fps > 0:
            notes.remark(
                f"video '{video.video_id}': length or frame rate not known, assumed; name --videos to tell"
            )
        last_s = max((bout.end_s for bout in video.bouts), default=0.0)
        return MediaFacts(
            duration_s if duration_s > 0 else math.ceil(last_s) + 1.0, fps if fps > 0 else ASSUMED_FPS
        )
