"""Annotations of Something-Something V2: a folder with the official JSON files.

    labels.json        {"Approaching something with your camera": "0", ...}          174 classes
    train.json         [{"id": "78687", "template": "Holding [something] next to [something]", ...}, ...]
    validation.json    the same
    test.json          [{"id": "1420"}, ...]                                         may be missing

The names may have the prefix "something-something-v2-" of the older release. A class is a template
without its brackets, which mark what an object's name would replace; all must be among those of
labels.json, whose numbers are the order of the names. Videos are `<id>.webm`, one action each.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from runtime.errors import InputError
from video_datasets.annotations import SUBSETS, AnnotationTable, read_json_object, read_text, short_repr
from video_datasets.formats.format import Format
from video_datasets.formats.whole_videos import LabelledFile, whole_video_table

PREFIX = "something-something-v2-"


def read_ssv2(folder: str | Path) -> AnnotationTable:
    """Read the files of such a folder.

    Returns:
        The table; each video is one segment from 0 s to behind its end.

    Raises:
        FileNotFoundError: if labels.json, train.json or validation.json is missing.
        InputError: if a file is not as above, a template is no class, or an id has two of them or
            stands in two parts; the message names the entry.
    """
    folder = Path(folder)
    classes = read_json_object(_find(folder, "labels.json")).keys()
    files = [_find(folder, "train.json"), _find(folder, "validation.json")]
    testing = _find(folder, "test.json", must_exist=False)
    if testing.is_file():
        files.append(testing)
    return whole_video_table(entry for path in files for entry in _read_part(path, classes))


def class_of_template(template: str) -> str:
    """Return the class of an annotated template.

    >>> class_of_template("Moving [something] and [something] closer to each other")
    'Moving something and something closer to each other'
    """
    return template.replace("[", "").replace("]", "").strip()


def _find(folder: Path, name: str, *, must_exist: bool = True) -> Path:
    candidates = (folder / name, folder / f"{PREFIX}{name}")
    found = next((path for path in candidates if path.is_file()), None)
    if found is None and must_exist:
        raise FileNotFoundError(
            f"{folder}: expected {name} or {PREFIX}{name} of Something-Something V2, found neither;"
            f" data.annotations names the folder of these files"
        )
    return found or candidates[0]


def _read_part(path: Path, classes: Collection[str]) -> Iterator[LabelledFile]:
    subset = SUBSETS[path.stem.removeprefix(PREFIX)]
    for number, entry in enumerate(_read_list(path)):
        where = f"{path}: entry {number}"
        if not isinstance(entry, dict) or not isinstance(entry.get("id"), str | int):
            raise InputError(f"{where}: expected an object with 'id', found {short_repr(entry)}")
        label = "" if subset == "testing" else _label(entry, classes, where)
        yield LabelledFile(str(entry["id"]), subset, label, where)


def _label(entry: dict[str, Any], classes: Collection[str], where: str) -> str:
    if not isinstance(entry.get("template"), str):
        raise InputError(
            f"{where}: key 'template' is missing or not text; found keys {short_repr(sorted(entry))}"
        )
    label = class_of_template(entry["template"])
    if label not in classes:
        close = difflib.get_close_matches(label, classes, n=1) or list(classes)[:1]
        raise InputError(
            f"{where}: template '{entry['template']}' is no class of labels.json; closest: '{', '.join(close)}'"
        )
    return label


def _read_list(path: Path) -> list[Any]:
    try:
        content = json.loads(read_text(path))
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: not valid JSON, or cut off: {error}") from None
    if not isinstance(content, list):
        raise InputError(f"{path}: expected a JSON list of videos, found {type(content).__name__}")
    return content


SSV2 = Format(name="ssv2", title="Something-Something V2 JSON files", read=read_ssv2, localizes=False)
