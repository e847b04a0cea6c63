"""Checkpoints come back as they were; anything else is refused with a message, and no pickle is
ever run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from runtime.errors import InputError
from training import checkpoint


def test_what_is_saved_comes_back(tmp_path: Path) -> None:
    content = {
        "model": {"w": torch.arange(3.0)},
        "step": 3,
        "metrics": [{"loss": 0.1}],
        "config": {"a": None},
    }
    checkpoint.save(tmp_path / "new" / "c.pt", content)
    found = checkpoint.load(tmp_path / "new" / "c.pt")
    assert torch.equal(found.pop("model")["w"], torch.arange(3.0))
    assert found == {"step": 3, "metrics": [{"loss": 0.1}], "config": {"a": None}}
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["c.pt"]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"weights not found: .*absent\.pt"):
        checkpoint.load(tmp_path / "absent.pt")


@pytest.mark.parametrize(
    ("keep", "why"),
    [
        (0, ": it is empty"),
        (1, ": it is text"),
        (100, ": it is cut off"),
        (-1, ": it is cut off"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, keep: int, why: str) -> None:
    path = tmp_path / "c.pt"
    checkpoint.save(path, {"w": torch.zeros(100)})
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(InputError, match=rf"c\.pt is not a readable checkpoint{why}"):
        checkpoint.load(path)


class Harmful:
    """Unpickling it would make a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.folder),)


def test_a_pickled_object_is_refused_and_not_run(tmp_path: Path) -> None:
    path, trace = tmp_path / "c.pt", tmp_path / "trace"
    torch.save({"model": Harmful(trace)}, path)
    with pytest.raises(InputError, match=r"is not a readable checkpoint \(UnpicklingError\)"):
        checkpoint.load(path)
    assert not trace.exists()


def test_a_file_without_a_dict_is_refused(tmp_path: Path) -> None:
    torch.save([torch.zeros(1)], tmp_path / "c.pt")
    with pytest.raises(InputError, match="expected a dict of weights, found list"):
        checkpoint.load(tmp_path / "c.pt")


def test_only_process_0_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, number in {"RANK": "1", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, number)
    checkpoint.save(tmp_path / "c.pt", {})
    assert list(tmp_path.iterdir()) == []
