"""Something-Something V2: the official JSON files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from video_datasets.dataset import load_dataset
from video_datasets.formats.ssv2 import read_ssv2
from video_datasets.settings import DataConfig

LABELS = {"Holding something next to something": "0", "Moving something up": "1", "Tearing something": "2"}
TRAIN = [
    {
        "id": "78687",
        "label": "holding potato next to bottle",
        "template": "Holding [something] next to [something]",
    },
    {"id": "42326", "label": "moving pen up", "template": "Moving [something] up"},
]
VALIDATION = [{"id": "74225", "label": "moving a up", "template": "Moving something up"}]


def _write(folder: Path, prefix: str = "", **files: Any) -> Path:
    content = {"labels": LABELS, "train": TRAIN, "validation": VALIDATION, **files}
    for name, entries in content.items():
        if entries is not None:
            (folder / f"{prefix}{name}.json").write_text(json.dumps(entries))
    return folder


@pytest.mark.parametrize("prefix", ["", "something-something-v2-"])
def test_templates_become_classes_and_parts_subsets(tmp_path: Path, prefix: str) -> None:
    table = read_ssv2(_write(tmp_path, prefix, test=[{"id": "1420"}]))
    assert table.video_ids == ("78687", "42326", "74225", "1420")
    assert table.subsets == ("training", "training", "validation", "testing")
    assert table.labels == (
        "Holding something next to something",
        "Moving something up",
        "Moving something up",
    )
    assert table.video_index.tolist() == [0, 1, 2]


def test_it_is_a_data_set(tmp_path: Path) -> None:
    dataset = load_dataset(DataConfig(root=str(_write(tmp_path)), format="ssv2", annotations="."))
    assert dataset.heads == {"action": ("Holding something next to something", "Moving something up")}
    assert dataset.problems == {}


BAD = [
    (
        {"train": [{"id": "1", "template": "Moving [something] down"}]},
        r"entry 0: .*closest: 'Moving something up'",
    ),
    ({"train": [{"id": "1"}]}, r"train\.json: entry 0: key 'template' is missing"),
    ({"validation": [{"template": "x"}]}, r"validation\.json: entry 0: expected an object with 'id'"),
    ({"train": {"id": 1}}, r"train\.json: expected a JSON list of videos, found dict"),
    ({"validation": TRAIN[:1]}, "video '78687' is in subset 'validation' here, 'training' before"),
    (
        {"train": [*TRAIN, {"id": 42326, "template": "Tearing [something]"}]},
        r"train\.json: entry 2: video '42326' .*'Tearing something', but .*entry 1: .*'Moving something up'",
    ),
]


@pytest.mark.parametrize(("files", "message"), BAD)
def test_what_cannot_be_read_is_named(tmp_path: Path, files: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        read_ssv2(_write(tmp_path, **files))


def test_missing_and_cut_files_are_named(tmp_path: Path) -> None:
    _write(tmp_path, validation=None)
    with pytest.raises(FileNotFoundError, match=r"validation\.json .*data\.annotations names the folder"):
        read_ssv2(tmp_path)
    (tmp_path / "validation.json").write_text('[{"id": "1", "temp')
    with pytest.raises(ValueError, match=r"validation\.json: not valid JSON, or cut off"):
        read_ssv2(tmp_path)
