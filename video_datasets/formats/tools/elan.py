"""Reading ELAN's `.eaf` files (2.7 to 3.0): one XML a video, or a folder of them.

    TIME_ORDER / TIME_SLOT          points in whole milliseconds; some have none
    TIER / ANNOTATION               a row of bouts without overlap
        ALIGNABLE_ANNOTATION        from one slot to another
        REF_ANNOTATION              has the time of the annotation that it refers to, at any depth

- The label is the annotation's value, or the tier's name where the value is empty.
- A tier's participant is the subject, its annotator the source.
- Slots without a time lie evenly between the nearest ones with a time in the chain of the tier's
  annotations, as ELAN shows them; what has none on one side is left out, noted.
- The first video's TIME_ORIGIN (ms), its offset, is added, so times count from that file's start.
- A tier whose type is called "score" holds numbers that refer to bouts: their scores
  (`elan_write`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.etree.ElementTree import Element

from runtime.errors import InputError
from video_datasets.annotations import SUBSETS
from video_datasets.formats.tools.elan_xml import parse_xml
from video_datasets.formats.tools.labelling import (
    DEFAULT_SUBSET,
    AnnotatedVideo,
    Bout,
    Labelling,
    LabelReading,
    Notes,
    collect,
)
from video_datasets.formats.tools.tool_files import checked, media_id

SUFFIX = ".eaf"
SCORE_TYPE = "score"
ROOT = "ANNOTATION_DOCUMENT"
_ALIGNABLE, _REFERRING = "ALIGNABLE_ANNOTATION", "REF_ANNOTATION"


def read_elan(path: Path, reading: LabelReading) -> Labelling:
    """Read one `.eaf`, or all below a folder; folders named training, validation, testing give
    their subsets.

    Raises:
        FileNotFoundError: if there is none.
        InputError: if one is no such file; the message names the file and the annotation.
    """
    files = sorted(path.rglob(f"*{SUFFIX}")) if path.is_dir() else [path]
    if not files:
        raise InputError(f"{path}: expected files *{SUFFIX}, found none")
    notes = Notes()
    videos = [_read_file(file, notes) for file in files]
    return collect(path, videos, notes)


def _read_file(path: Path, notes: Notes) -> AnnotatedVideo:
    root = parse_xml(path)
    if root.tag != ROOT:
        raise InputError(f"{path}: expected <{ROOT}> of ELAN, found <{root.tag}>")
    header = root.find("HEADER")
    units = "milliseconds" if header is None else header.get("TIME_UNITS", "milliseconds")
    if units != "milliseconds":
        raise InputError(f"{path}: expected TIME_UNITS milliseconds, found '{units}'")
    name, origin_ms = _medium(path, header)
    document = _Document(path, root, notes)
    bouts = tuple(_moved(bout, origin_ms / 1000) for bout in document.bouts())
    subset = SUBSETS.get(path.parent.name.lower(), DEFAULT_SUBSET)
    return AnnotatedVideo(media_id(name or f"{path.stem}.mp4", str(path)), bouts, name, subset)


def _medium(path: Path, header: Element | None) -> tuple[str, float]:
    """Name of the first video, or the first medium at all, and its offset in ms."""
    media = [] if header is None else header.findall("MEDIA_DESCRIPTOR")
    media.sort(key=lambda medium: not medium.get("MIME_TYPE", "").startswith("video"))
    if not media:
        return "", 0.0
    origin_ms = checked(media[0].get("TIME_ORIGIN", "0"), float, f"{path}: 'TIME_ORIGIN'")
    return media[0].get("MEDIA_URL", "") or media[0].get("RELATIVE_MEDIA_URL", ""), origin_ms


def _moved(bout: Bout, by_s: float) -> Bout:
    return replace(bout, start_s=bout.start_s + by_s, end_s=bout.end_s + by_s) if by_s else bout


@dataclass
class _Document:
    """The annotations of one file, to be resolved into bouts."""

    path: Path
    root: Element
    notes: Notes
    slots_ms: dict[str, float | None] = field(default_factory=dict)
    times_ms: dict[str, tuple[float, float] | None] = field(default_factory=dict)
    parents: dict[str, str] = field(default_factory=dict)

    def bouts(self) -> Iterator[Bout]:
        self._read_slots()
        tiers = self.root.findall("TIER")
        for tier in tiers:
            self._read_times(tier)
        scores = dict(self._scores(tier for tier in tiers if _is_score(tier)))
        for tier in tiers:
            if not _is_score(tier):
                yield from self._tier_bouts(tier, scores)

    def _read_slots(self) -> None:
        for slot in self.root.iterfind("TIME_ORDER/TIME_SLOT"):
            name = self._attribute(slot, "TIME_SLOT_ID", "time slot")
            value = slot.get("TIME_VALUE")
            where = f"{self.path}: time slot '{name}'"
            self.slots_ms[name] = None if value is None else checked(value, float, where)

    def _attribute(self, element: Element, name: str, what: str) -> str:
        value = element.get(name)
        if value is None:
            raise InputError(
                f"{self.path}: {what}: expected attribute '{name}', found {sorted(element.keys())}"
            )
        return value

    def _read_times(self, tier: Element) -> None:
        """Times of the alignable annotations of a tier, parents of the others."""
        slots: dict[str, tuple[str, str]] = {}
        for annotation in tier.iterfind("ANNOTATION/*"):
            name = self._attribute(annotation, "ANNOTATION_ID", f"tier '{tier.get('TIER_ID')}'")
            what = f"annotation '{name}'"
            if annotation.tag == _ALIGNABLE:
                start, end = (self._attribute(annotation, f"TIME_SLOT_REF{n}", what) for n in (1, 2))
                for slot in (start, end):
                    if slot not in self.slots_ms:
                        raise InputError(f"{self.path}: {what}: expected a known time slot, found '{slot}'")
                slots[name] = start, end
            elif annotation.tag == _REFERRING:
                self.parents[name] = self._attribute(annotation, "ANNOTATION_REF", what)
            else:
                raise InputError(f"{self.path}: {what}: expected <{_ALIGNABLE}> or <{_REFERRING}>")
        chain = dict(slots.values())
        back = {end: start for start, end in slots.values()}
        for name, (start, end) in slots.items():
            edges = self._slot_ms(start, chain, back), self._slot_ms(end, chain, back)
            self.times_ms[name] = None if edges[0] is None or edges[1] is None else (edges[0], edges[1])

    def _slot_ms(self, slot: str, chain: dict[str, str], back: dict[str, str]) -> float | None:
        """Time of a slot; without one of its own, evenly between its neighbours in the chain,
        else None."""
        before_ms, steps_before = self._walk(slot, back)
        after_ms, steps_after = self._walk(slot, chain)
        if before_ms is None or after_ms is None:
            return None
        steps = max(steps_before + steps_after, 1)
        return before_ms + (after_ms - before_ms) * steps_before / steps

    def _walk(self, slot: str, neighbour: dict[str, str]) -> tuple[float | None, int]:
        """Nearest known time along the chain, and how many steps away it is."""
        steps = 0
        while self.slots_ms[slot] is None and slot in neighbour and steps <= len(neighbour):
            slot, steps = neighbour[slot], steps + 1
        return self.slots_ms[slot], steps

    def _time_ms(self, name: str) -> tuple[float, float] | None:
        """Time of an annotation, through what it refers to.

        Raises:
            InputError: if the chain leads nowhere or in a circle.
        """
        first, seen = name, set()
        while name in self.parents and name not in seen:
            seen.add(name)
            name = self.parents[name]
        if name not in self.times_ms:
            raise InputError(
                f"{self.path}: annotation '{first}': expected a chain of references to one with a time,"
                f" found '{name}' {'again' if name in seen else 'nowhere'}"
            )
        return self.times_ms[name]

    def _scores(self, tiers: Iterable[Element]) -> Iterator[tuple[str, float]]:
        for tier in tiers:
            for annotation in tier.iterfind(f"ANNOTATION/{_REFERRING}"):
                name = annotation.get("ANNOTATION_ID", "")
                yield self.parents[name], checked(_value(annotation), float, f"{self.path}: score '{name}'")

    def _tier_bouts(self, tier: Element, scores: dict[str, float]) -> Iterator[Bout]:
        name = self._attribute(tier, "TIER_ID", "tier")
        subject, source = tier.get("PARTICIPANT", ""), tier.get("ANNOTATOR", "")
        for annotation in tier.iterfind("ANNOTATION/*"):
            key = annotation.get("ANNOTATION_ID", "")
            time_ms = self._time_ms(key)
            if time_ms is None:
                self.notes.lose(f"{self.path}: tier '{name}': annotation without a time, left out")
                continue
            start_s, end_s = time_ms[0] / 1000, time_ms[1] / 1000
            score = scores.get(key)
            yield Bout(start_s, end_s, _value(annotation) or name, subject, source, score)


def _is_score(tier: Element) -> bool:
    return tier.get("LINGUISTIC_TYPE_REF") == SCORE_TYPE


def _value(annotation: Element) -> str:
    return (annotation.findtext("ANNOTATION_VALUE") or "").strip()
