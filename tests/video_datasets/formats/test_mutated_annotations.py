"""Damaged annotation files of every format: read, or refused with the file's name; never a
traceback."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from feature_extraction.zoo.import_check import read_durations
from runtime.errors import InputError
from video_datasets.annotations import AnnotationTable
from video_datasets.formats import FORMATS
from video_datasets.formats.ek100 import read_class_names, read_test_videos, read_video_info

ROWS = 6
EK100_HEADER = "narration_id,video_id,start_timestamp,stop_timestamp,verb_class,noun_class\n"


def _database() -> dict[str, Any]:
    annotations = [{"label": "run", "segment": [0.5, 2.25]}, {"label": "sit", "segment": ["3", 4]}]
    return {
        f"v{row}": {"subset": "training", "duration": 9.5, "annotations": annotations} for row in range(ROWS)
    }


def _bmn() -> dict[str, Any]:
    return {
        f"v_{row}": {"duration_second": 9.5, "annotations": [{"label": "run", "segment": [0.5, 2.25]}]}
        for row in range(ROWS)
    }


def _lines(header: str, line: str) -> str:
    return header + "".join(line.format(row) for row in range(ROWS))


INFO = _lines("video_id,duration,fps,resolution\n", "P01_0{},61.5,59.94,1920x1080\n")
FILES: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "labels.json": (json.dumps({"database": _database()}), FORMATS["hacs"].read),
    "anet_anno_train.json": (json.dumps(_bmn()), FORMATS["activitynet"].read),
    "EPIC_100_train.csv": (
        _lines(EK100_HEADER, "n,P01_0{},00:00:01.02,00:00:02.66,3,12\n"),
        FORMATS["ek100"].read,
    ),
    "segments.csv": (
        _lines("video,start_s,end_s,label,subset\n", 'a{},1.5,0:02,"run, fast",training\n'),
        FORMATS["csv"].read,
    ),
    "semicolons.csv": (_lines("Path;Start;End;Label\n", "a{}.mp4;1,5;2,25;run\n"), FORMATS["csv"].read),
    "train.csv": (
        _lines("label,youtube_id,time_start,time_end,split\n", "run,abc{},84,94,train\n"),
        FORMATS["kinetics"].read,
    ),
    "train.txt": (_lines("", "run/abc{}.mp4 0\n"), FORMATS["kinetics"].read),
    "EPIC_100_video_info.csv": (INFO, read_video_info),
    "aggregated.csv": (
        _lines(
            "Observation id,Media file name,Subject,Behavior,Start (s),Stop (s)\n",
            "o{0},a{0}.mp4,,run,1,2.5\n",
        ),
        FORMATS["boris-export"].read,
    ),
    "tabular.tsv": (
        _lines(
            "Observation id\tMedia file name\tSubject\tBehavior\tTime\tStatus\n",
            "o{0}\ta{0}.mp4\tA\trun\t1.5\tSTART\no{0}\ta{0}.mp4\tA\trun\t2.5\tSTOP\n",
        ),
        FORMATS["boris-export"].read,
    ),
    "durations.csv": (INFO, read_durations),
    "EPIC_100_test_timestamps.csv": (INFO, read_test_videos),
    "EPIC_100_verb_classes.csv": (_lines("id,key\n", "{},take\n"), lambda path: read_class_names(path, ROWS)),
}
PIECES = (
    *(
        b"",
        b",",
        b";",
        b"\t",
        b'"',
        b"\n",
        b"\r",
        b"\0",
        b"\xff",
        b"\xc3",
        b"\xef\xbb\xbf",
        b"\xff\xfe",
        b"<",
        b"#",
    ),
    *(b"-1", b"nan", b"1e999", b"9" * 5000, b"1,5", b"00:75:03", b":", b"null", b"[]", b"{}", b"[" * 5000),
    *(b"../x", b"\xe2\x80\xa8", b"\x1f\x8b", b"sep=;\n", b"true", b'""', b"  "),
)


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Change one to three places: put something in, take something out, double a stretch."""
    for _ in range(chance.randint(1, 3)):
        first = chance.randrange(len(content) + 1)
        last = min(len(content), first + chance.choice((0, 0, 1, 2, 8, 40)))
        piece = chance.choice((*PIECES, content[first:last] * 2))
        content = content[:first] + piece + content[last:]
    return content


def _outcome(read: Callable[[Path], Any], path: Path) -> tuple[Any, str]:
    """What a reader returns, and what it says."""
    try:
        return read(path), path.name
    except InputError as error:
        return None, str(error)


def _run(folder: Path, name: str, count: int) -> None:
    content, read = FILES[name]
    path = folder / name
    path.write_text(content)
    read(path)  # whole, it is read
    chance = random.Random(f"annotations {name}")
    for _ in range(count):
        path.write_bytes(mutated(content.encode(), chance))
        table, message = _outcome(read, path)
        assert name in message
        if isinstance(table, AnnotationTable):
            rows = {len(table.labels), len(table.start_s), len(table.end_s), len(table.video_index)}
            assert len(rows) == 1
            assert len(table.video_ids) == len(table.subsets) == len(table.durations_s)
            assert len(set(table.video_ids)) == len(table.video_ids)
            assert np.all(table.video_index < max(1, len(table.video_ids)))


@pytest.mark.parametrize("name", FILES)
def test_damaged_files_are_read_or_refused_by_name(tmp_path: Path, name: str) -> None:
    _run(tmp_path, name, 60)


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_many_damaged_files_are_read_or_refused_by_name(tmp_path: Path, name: str) -> None:
    _run(tmp_path, name, 3000)
