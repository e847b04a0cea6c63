"""Writing ELAN's `.eaf` files, format 3.0: one a video, a tier a label.

A tier holds no overlap and belongs to one participant and one annotator, so subjects, sources and
overlapping bouts of one label get tiers of their own: "stir", "stir (anna)", "stir #2". Times are
whole milliseconds; what would have no length gets 1 ms. Scores stand in a dependent tier, "stir
score", whose annotations refer to the bouts.
"""

from __future__ import annotations

import datetime
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from runtime.atomic import atomic_path
from runtime.errors import InputError
from video_datasets.annotations import SUBSETS
from video_datasets.formats.tools.elan import ROOT, SCORE_TYPE, SUFFIX
from video_datasets.formats.tools.elan_xml import xml_text
from video_datasets.formats.tools.labelling import AnnotatedVideo, Bout, Labelling, Notes, tracks_of
from video_datasets.formats.tools.tool_media import Media

_XSI = "http://www.w3.org/2001/XMLSchema-instance"
_SCHEMA = "http://www.mpi.nl/tools/elan/EAFv3.0.xsd"
_LABEL_TYPE = "default-lt"
_MIME_TYPES = {".mp4": "video/mp4", ".mov": "video/quicktime", ".mpg": "video/mpeg", ".mpeg": "video/mpeg"}
_CONSTRAINTS = {
    "Time_Subdivision": "Time subdivision of parent annotation's time interval, no time gaps allowed within this"
    " interval",
    "Symbolic_Subdivision": "Symbolic subdivision of a parent annotation. Annotations refering to the same parent are"
    " ordered",
    "Symbolic_Association": "1-1 association with a parent annotation",
    "Included_In": "Time alignable annotations within the parent annotation's time interval, gaps are allowed",
}
"""Stereotypes of tiers as every `.eaf` declares them."""


def write_elan(path: Path, labelling: Labelling, media: Media, notes: Notes) -> None:
    """Write the one video into the file `path`, where it ends in .eaf, else each into
    `path`/<id>.eaf.

    Videos of another subset than training go to a folder of that name below `path`.

    Raises:
        InputError: if a file is named for several videos.
    """
    if path.suffix.lower() != SUFFIX:
        for video in labelling.videos:
            folder = path if SUBSETS.get(video.subset) in ("training", None) else path / video.subset
            _write_file(folder / f"{video.video_id}{SUFFIX}", video, media, notes)
        return
    if len(labelling.videos) != 1:
        raise InputError(
            f"{path}: an .eaf file holds one video, found {len(labelling.videos)}; name a folder instead"
        )
    _write_file(path, labelling.videos[0], media, notes)


def _write_file(path: Path, video: AnnotatedVideo, media: Media, notes: Notes) -> None:
    root = Element(
        ROOT,
        {
            "AUTHOR": "",
            "DATE": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "FORMAT": "3.0",
            "VERSION": "3.0",
            "xmlns:xsi": _XSI,
            "xsi:noNamespaceSchemaLocation": _SCHEMA,
        },
    )
    header = SubElement(root, "HEADER", {"MEDIA_FILE": "", "TIME_UNITS": "milliseconds"})
    name = media.name(video)
    medium = {
        "MEDIA_URL": xml_text(media.address(video, path.parent)),
        "MIME_TYPE": _MIME_TYPES.get(Path(name).suffix.lower(), "video/*"),
        "RELATIVE_MEDIA_URL": xml_text(f"./{media.relative(video, path.parent)}"),
    }
    SubElement(header, "MEDIA_DESCRIPTOR", medium)
    _Writer(root, notes, f"video '{video.video_id}'").write(video)
    content = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)


@dataclass
class _Writer:
    """Adds time slots, tiers and types to a document, each with names of its own."""

    root: Element
    notes: Notes
    where: str
    n_slots: int = 0
    n_annotations: int = 0
    tier_names: set[str] = field(default_factory=set)

    def write(self, video: AnnotatedVideo) -> None:
        order = SubElement(self.root, "TIME_ORDER")
        has_scores = False
        for (label, subject, source), tracks in tracks_of(map(_rounded, video.bouts)).items():
            if len(tracks) > 1:
                self.notes.remark(f"{self.where}: overlapping '{label}' written to {len(tracks)} tiers")
            for track in tracks:
                name = self._tier_name(f"{label} ({subject})" if subject else label)
                self._tier(order, name, subject, source, track)
                if any(bout.score is not None for bout in track):
                    has_scores = True
                    self._scores(name, subject, source, track)
        _types(self.root, has_scores)

    def _tier_name(self, wanted: str) -> str:
        """A name that no tier has yet."""
        name, number = xml_text(wanted), 2
        while name in self.tier_names:
            name, number = f"{xml_text(wanted)} #{number}", number + 1
        self.tier_names.add(name)
        return name

    def _tier(self, order: Element, name: str, subject: str, source: str, track: list[Bout]) -> None:
        tier = SubElement(self.root, "TIER", {"LINGUISTIC_TYPE_REF": _LABEL_TYPE, "TIER_ID": name})
        _set_people(tier, subject, source)
        for bout in track:
            slots = [self._slot(order, time_s) for time_s in (bout.start_s, bout.end_s)]
            references = {"TIME_SLOT_REF1": slots[0], "TIME_SLOT_REF2": slots[1]}
            self._annotation(tier, "ALIGNABLE_ANNOTATION", references, bout.label)

    def _scores(self, name: str, subject: str, source: str, track: list[Bout]) -> None:
        """A tier of scores; its annotations refer to those written last."""
        attributes = {"LINGUISTIC_TYPE_REF": SCORE_TYPE, "PARENT_REF": name}
        tier = SubElement(self.root, "TIER", attributes | {"TIER_ID": self._tier_name(f"{name} score")})
        _set_people(tier, subject, source)
        first = self.n_annotations - len(track) + 1
        for number, bout in enumerate(track, start=first):
            if bout.score is not None:
                reference = {"ANNOTATION_REF": f"a{number}"}
                self._annotation(tier, "REF_ANNOTATION", reference, repr(bout.score))

    def _slot(self, order: Element, time_s: float) -> str:
        self.n_slots += 1
        name = f"ts{self.n_slots}"
        SubElement(order, "TIME_SLOT", {"TIME_SLOT_ID": name, "TIME_VALUE": str(round(time_s * 1000))})
        return name

    def _annotation(self, tier: Element, tag: str, attributes: dict[str, str], value: str) -> None:
        self.n_annotations += 1
        annotation = SubElement(
            SubElement(tier, "ANNOTATION"), tag, {"ANNOTATION_ID": f"a{self.n_annotations}", **attributes}
        )
        SubElement(annotation, "ANNOTATION_VALUE").text = xml_text(value)


def _rounded(bout: Bout) -> Bout:
    """The bout in whole milliseconds, at least one long."""
    start_ms = round(bout.start_s * 1000)
    end_ms = max(round(bout.end_s * 1000), start_ms + 1)
    return Bout(start_ms / 1000, end_ms / 1000, bout.label, bout.subject, bout.source, bout.score)


def _set_people(tier: Element, subject: str, source: str) -> None:
    for attribute, value in (("PARTICIPANT", subject), ("ANNOTATOR", source)):
        if value:
            tier.set(attribute, xml_text(value))


def _types(root: Element, has_scores: bool) -> None:
    kinds = [{"LINGUISTIC_TYPE_ID": _LABEL_TYPE, "TIME_ALIGNABLE": "true"}]
    if has_scores:
        constraint = {"CONSTRAINTS": "Symbolic_Association"}
        kinds.append({"LINGUISTIC_TYPE_ID": SCORE_TYPE, "TIME_ALIGNABLE": "false", **constraint})
    for kind in kinds:
        SubElement(root, "LINGUISTIC_TYPE", {"GRAPHIC_REFERENCES": "false", **kind})
    for name, description in _CONSTRAINTS.items():
        SubElement(root, "CONSTRAINT", {"STEREOTYPE": name, "DESCRIPTION": description})
