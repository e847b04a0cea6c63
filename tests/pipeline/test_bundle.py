"""Bundles: they detect as their run does, name nobody's folders, and nothing gets out of a
hostile one."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import stat
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import yaml

from pipeline import Detector
from pipeline.bundle import bundle as bundle_run
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


def test_unpacks_to_the_files_of_a_run(bundle: Path, tmp_path: Path) -> None:
    unpack(bundle, tmp_path)
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    assert found == {
        "config.yaml",
        "finetune/weights.pt",
        "bmn/weights.pt",
        "classification/classifier.pt",
    }


# --- The folder of a model repository
# ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hub(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hub") / "tiny-model"
    facts = ["--licence", "cc-by-4.0", "--licence-videos", "own | rendered", "--dataset", "Mini"]
    assert main(["--run", str(tiny_run), "--hub", str(folder), *facts]) == 0
    return folder


def test_a_model_repository_detects_as_the_run_does(hub: Path, tiny_run: Path, tiny_mini: Path) -> None:
    video = sorted((tiny_mini / "videos").rglob("*.mp4"))[0]
    of_run, of_hub = (Detector(path, device="cpu").detect(video) for path in (tiny_run, hub))
    np.testing.assert_array_equal(of_hub.scores, of_run.scores)
    np.testing.assert_array_equal(of_hub.segments_s, of_run.segments_s)
    assert of_hub.labels == of_run.labels


def test_its_files_are_those_of_the_site(hub: Path, tiny_run: Path) -> None:
    assert {path.name for path in hub.iterdir()} == {"config.json", "model.safetensors", "README.md"}
    parameters = safetensors.numpy.load_file(hub / "model.safetensors")
    assert {name.partition(".")[0] for name in parameters} == {"backbone", "bmn", "classifier"}
    assert str(tiny_run.parent) not in (hub / "config.json").read_text()


def test_its_card_has_figures_and_licences(hub: Path, tiny_run: Path) -> None:
    _, front_matter, text = (hub / "README.md").read_text().split("---\n", 2)
    fields = yaml.safe_load(front_matter)
    assert (fields["license"], fields["library_name"]) == ("cc-by-4.0", "tadaloc")
    average = json.loads((tiny_run / "metrics.json").read_text())["average_mAP"]["action"]
    (figure,) = fields["model-index"][0]["results"][0]["metrics"]
    assert figure["value"] == pytest.approx(100 * average, abs=0.005)
    assert f" {100 * average:.2f} |" in text
    assert "own \\| rendered" in text
    assert "## Action classes (8)" in text


def test_a_damaged_repository_is_refused(hub: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(hub, tmp_path / "copy"))
    content = bytearray((copy / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (copy / "model.safetensors").write_bytes(content)
    with pytest.raises(InputError, match=r"is not the file that config\.json describes"):
        Detector(copy)
    (copy / "config.json").write_text('{"format": "bert"}')
    with pytest.raises(InputError, match="expected format 'tadaloc model 1', found 'bert'"):
        Detector(copy)


def test_a_folder_that_holds_something_is_not_written_to(hub: Path, tiny_run: Path) -> None:
    with pytest.raises(InputError, match="holds files already"):
        bundle_run(tiny_run, None, hub)


@pytest.mark.skipif(find_spec("huggingface_hub") is not None, reason="huggingface_hub is installed")
def test_without_its_package_a_repository_is_not_fetched() -> None:
    with pytest.raises(InputError, match=r"someone/model: .*pip install 'tadaloc\[hub\]'"):
        Detector("someone/model")


def test_a_mistyped_run_is_not_looked_for_on_the_network() -> None:
    with pytest.raises(InputError, match="no such run; expected a run folder"):
        Detector("runs/no_such_run")


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
        (lambda file, members: members.update({INDEX: b"{"}), "bundle.json: not JSON"),
        (lambda file, members: members.update({INDEX: b"[1]"}), "expected format 'tadaloc bundle 1'"),
        (index_change(lambda index: index.update(format="tadaloc bundle 9")), "found 'tadaloc bundle 9'"),
        (index_change(lambda index: index.pop("config")), "lacks config or networks"),
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
