"""Bundles: they detect as their run does, name nobody's folders, and nothing gets out of a
hostile one."""

from __future__ import annotations

import hashlib
import io
import json
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipeline import Detector
from pipeline.bundle import main
from pipeline.bundle_file import INDEX, unpack
from pipeline.detect import main as detect
from pipeline.stages import load_config
from runtime.errors import InputError


@pytest.fixture(scope="module")
def bundle(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "tiny.zip"
    assert main(["--run", str(tiny_run), "--out", str(path)]) == 0
    return path


def test_detects_as_the_run_does(bundle: Path, tiny_run: Path, tiny_mini: Path) -> None:
    video = sorted((tiny_mini / "videos").rglob("*.mp4"))[0]
    of_run, of_bundle = (Detector(path, device="cpu").detect(video) for path in (tiny_run, bundle))
    np.testing.assert_array_equal(of_bundle.scores, of_run.scores)
    np.testing.assert_array_equal(of_bundle.segments_s, of_run.segments_s)
    assert of_bundle.labels == of_run.labels


def test_two_heads(two_head_run: Path, tmp_path: Path) -> None:
    assert main(["--run", str(two_head_run), "--out", str(tmp_path / "b.zip")]) == 0
    run = Detector(tmp_path / "b.zip", device="cpu").run
    assert run.num_classes == "97 verbs and 300 nouns"
    assert run.head.looks_at == "windows of 4.3 s"


def test_same_run_same_bytes_and_no_folder_in_them(bundle: Path, tiny_run: Path, tmp_path: Path) -> None:
    assert main(["--run", str(tiny_run), "--out", str(tmp_path / "again.zip")]) == 0
    content = (tmp_path / "again.zip").read_bytes()
    assert content == bundle.read_bytes()
    assert str(tiny_run.parent).encode() not in content
    config = load_config(tiny_run / "config.yaml")
    assert config.data.root.encode() not in content


def test_holds_arrays_and_json_only(bundle: Path) -> None:
    with zipfile.ZipFile(bundle) as file:
        names = file.namelist()
        assert {name.rsplit(".", 1)[-1] for name in names} == {"npy", "json"}
        for name in names:
            if name != INDEX:
                np.lib.format.read_array(io.BytesIO(file.read(name)), allow_pickle=False)


def test_unpacks_to_three_files(bundle: Path, tmp_path: Path) -> None:
    unpack(bundle, tmp_path)
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {"config.yaml", "finetune/weights.pt", "bmn/weights.pt"}


# --- Hostile and damaged files
# ----------------------------------------------------------------------------------


Change = Callable[[zipfile.ZipFile, dict[str, bytes]], None]


def rewritten(bundle: Path, path: Path, change: Change) -> Path:
    """Copy a bundle; `change` may alter its members, or write some of its own."""
    with zipfile.ZipFile(bundle) as file:
        members = {name: file.read(name) for name in file.namelist()}
    with zipfile.ZipFile(path, "w") as file:
        change(file, members)
        for name, content in members.items():
            file.writestr(name, content)
    return path


def with_index(members: dict[str, bytes], change: Callable[[dict[str, Any]], object]) -> None:
    index = json.loads(members[INDEX])
    change(index)
    members[INDEX] = json.dumps(index).encode()


def first_array(members: dict[str, bytes]) -> str:
    return next(name for name in members if name.startswith("backbone/"))


def symlink(file: zipfile.ZipFile, members: dict[str, bytes]) -> None:
    name = first_array(members)
    del members[name]
    link = zipfile.ZipInfo(name)
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    file.writestr(link, "/etc/passwd")


def compressed(file: zipfile.ZipFile, members: dict[str, bytes]) -> None:
    name = first_array(members)
    file.writestr(name, members.pop(name), compress_type=zipfile.ZIP_DEFLATED)


def member(name: str) -> Change:
    return lambda file, members: file.writestr(name, b"x")


def changed_array(file: zipfile.ZipFile, members: dict[str, bytes]) -> None:
    name = first_array(members)
    members[name] = members[name][:-1] + bytes([members[name][-1] ^ 1])


def pickled_array(file: zipfile.ZipFile, members: dict[str, bytes]) -> None:
    buffer = io.BytesIO()
    np.save(buffer, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    name, content = first_array(members), buffer.getvalue()
    members[name] = content
    described = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    with_index(members, lambda index: index["members"].update({name: described}))


def index_change(change: Callable[[dict[str, Any]], object]) -> Change:
    return lambda file, members: with_index(members, change)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (member("../evil.npy"), r"unknown member '\.\./evil\.npy'"),
        (member("backbone/../../evil.npy"), "unknown member"),
        (member("/tmp/evil.npy"), "unknown member '/tmp/evil.npy'"),
        (member("backbone/"), "unknown member"),
        (member("code.py"), "unknown member 'code.py'"),
        (member("backbone/data.pkl"), "unknown member"),
        (member("backbone/extra.npy"), "differ in 'backbone/extra.npy'"),
        (symlink, "is a link or another special file"),
        (compressed, "is compressed or larger than"),
        (changed_array, "is not the one that bundle.json describes"),
        (pickled_array, "is not a plain array"),
        (lambda file, members: members.pop(INDEX) and None, "no bundle.json"),
        (lambda file, members: members.update({INDEX: b"{"}), "bundle.json is not JSON"),
        (lambda file, members: members.update({INDEX: b"[1]"}), "expected format 'tadaloc bundle 1'"),
        (index_change(lambda index: index.update(format="tadaloc bundle 9")), "found 'tadaloc bundle 9'"),
        (index_change(lambda index: index.pop("config")), "lacks config, networks or members"),
        (index_change(lambda index: index["networks"].pop("bmn")), "does not describe backbone and bmn"),
        (index_change(lambda index: index["config"].update(model="${oc.env:HOME}")), "values from elsewhere"),
    ],
)
def test_hostile_bundles_are_refused(bundle: Path, tmp_path: Path, change: Change, reason: str) -> None:
    hostile = rewritten(bundle, tmp_path / "hostile.zip", change)
    target = tmp_path / "deep" / "target"
    target.mkdir(parents=True)
    with pytest.raises(InputError, match=reason):
        unpack(hostile, target)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == [hostile]


def test_oversized_claims_are_refused_before_reading(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.bundle_file.MAX_ARRAY_BYTES", 1000)
    with pytest.raises(InputError, match="larger than 1000 bytes"):
        unpack(bundle, tmp_path)


@pytest.mark.parametrize("cut", [0, 10, 2000])
def test_cut_files(bundle: Path, tmp_path: Path, cut: int) -> None:
    (tmp_path / "cut.zip").write_bytes(bundle.read_bytes()[:cut])
    with pytest.raises(InputError, match="not a readable zip file"):
        unpack(tmp_path / "cut.zip", tmp_path)


def test_networks_that_do_not_fit_their_arrays(
    bundle: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def change(index: dict[str, Any]) -> None:
        index["networks"]["backbone"]["name"] = "no_such_network"

    odd = rewritten(bundle, tmp_path / "odd.zip", index_change(change))
    (tmp_path / "x.mp4").touch()
    assert detect([str(tmp_path / "x.mp4"), "--run", str(odd)]) == 2
    assert "the bundle does not fit itself" in capsys.readouterr().err


def test_an_incomplete_run_is_not_packed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--run", str(tmp_path), "--out", str(tmp_path / "b.zip")]) == 2
    assert "no config.yaml" in capsys.readouterr().err
    assert not (tmp_path / "b.zip").exists()
