"""The table of annotation formats: what its entries promise to everyone who asks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from runtime.errors import InputError
from video_datasets.formats import FORMATS, Format, format_of
from video_datasets.settings import DataConfig


def test_the_entries_go_by_their_names() -> None:
    own = ["hacs", "activitynet", "ek100", "csv", "kinetics", "ssv2"]
    tools = ["boris", "boris-export", "elan", "via", "label-studio", "feral", "fiftyone", "mmaction2"]
    assert list(FORMATS) == own + tools
    assert all(entry.name == name for name, entry in FORMATS.items())
    assert [name for name, entry in FORMATS.items() if not entry.localizes] == ["kinetics", "ssv2"]


def test_the_table_loads_nothing_heavy() -> None:
    heavy = "('torch', 'pandas', 'av', 'h5py', 'omegaconf', 'joblib', 'scipy')"
    code = f"import sys, video_datasets.formats; print([name for name in {heavy} if name in sys.modules])"
    root = Path(__file__).resolve().parents[3]
    found = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_an_unknown_format_is_refused_with_the_closest() -> None:
    with pytest.raises(InputError, match=r"must be one of hacs, .* found 'ek10'; closest: ek100"):
        format_of(DataConfig(root="data", format="ek10"))


@pytest.mark.parametrize("entry", FORMATS.values(), ids=FORMATS)
def test_labels_lead_to_a_class_of_every_head(entry: Format) -> None:
    classes = {head: tuple(map(str, range(20))) for head in entry.heads}
    label = ",".join(["3"] * len(entry.heads))
    assert entry.class_indices(label, classes) == dict.fromkeys(entry.heads, 3)
    with pytest.raises(InputError, match="label '99x'"):
        entry.class_indices("99x", classes)
