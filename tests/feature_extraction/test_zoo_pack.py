"""A packed store: complete, the same every time, and any change in it is found."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from feature_extraction.extractor import extract_video
from feature_extraction.index import read_index, write_index
from feature_extraction.recipe import source_attributes
from feature_extraction.store import FeatureStore, merge_features, write_video_features
from feature_extraction.zoo.__main__ import main
from feature_extraction.zoo.import_features import write_skipped
from feature_extraction.zoo.reextract import load_recipe
from tadaconv import create_model
from video_datasets.time_grid import TimeGrid
from video_datasets.video.search import index_video_files

ROOT = Path(__file__).resolve().parents[2]
GRID = TimeGrid(fps=30, stride_frames=16)
SHARED = {"backbone": "tada2d_mini", "backbone_sha256": "abc", "weights": "weights.pt", "short_side_px": 128}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run folder with a finished store of three videos, merged."""
    random = np.random.default_rng(0)
    for video_id, n in (("a", 4), ("b", 3), ("c", 5)):
        attributes = {
            **SHARED, "source": f"v_{video_id}.mp4", "duration_s": 16 * n / 30, "num_grid_frames": 16 * n
        }  # fmt: skip
        write_video_features(
            tmp_path / "run/features", video_id, random.random((n, 6)), GRID.times_s(16 * n), GRID,
            attributes=attributes, dtype="float32",
        )  # fmt: skip
    merge_features(tmp_path / "run/features")
    for video_id in "abc":
        (tmp_path / f"run/features/{video_id}.h5").unlink()
    metrics = {"protocol": "hacs", "task": "detection", "average_mAP": {"action": 0.4127}, "mAP": {}}
    (tmp_path / "run/metrics.json").write_text(json.dumps(metrics))
    return tmp_path / "run"


@pytest.fixture
def packed(run: Path, tmp_path: Path) -> Path:
    words = ["--name", "TAda2D on HACS", "--dataset", "HACS", "--licence", "CC BY 4.0"]
    assert main(["pack", str(run), "--out", str(tmp_path / "packed"), *words]) == 0
    return tmp_path / "packed"


def test_a_pack_is_complete(packed: Path, run: Path) -> None:
    names = sorted(path.name for path in packed.iterdir())
    assert names == ["README.md", "SHA256SUMS", "features.hdf5", "index.csv", "metrics.json"]
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=packed, check=True)
    before, after = FeatureStore(run / "features"), FeatureStore(packed / "features.hdf5")
    for video_id in before:
        np.testing.assert_array_equal(after[video_id].features, before[video_id].features.astype(np.float16))
        np.testing.assert_array_equal(after[video_id].times, before[video_id].times)
        assert after[video_id].attributes == before[video_id].attributes
        assert after.info(video_id).dtype == "float16"
    header, first, *_ = (packed / "index.csv").read_text().splitlines()
    record = after["a"]
    digest = hashlib.sha256(record.features.astype("<f2").tobytes() + record.times.astype("<f8").tobytes())
    assert header == "video_id,features,channels,duration_s,source,sha256"
    assert first == f"a,4,6,{64 / 30!r},v_a.mp4,{digest.hexdigest()}"


def test_the_card_says_what_people_ask(packed: Path) -> None:
    card = (packed / "README.md").read_text()
    for line in (
        "# TAda2D on HACS",
        "| data set | HACS |",
        "| videos | 3 |",
        "| features | 12 of 6 channels, float16 |",
        "| time of feature i | (i * 16 + 8) / 30 s |",
        "| licence of the features | CC BY 4.0 |",
        "| licence of the videos | not stated |",
        "| `backbone_sha256` | abc |",
        "- action: 41.27 % average mAP",
        "  num_frames: 16",
        "  offset_frames: 8",
    ):
        assert line in card.splitlines()
    assert "RANDOM" not in card
    # The loading lines of the card work as they stand.
    snippets = [part.split("```")[0] for part in card.split("```python\n")[1:]]
    assert len(snippets) == 2
    for snippet in snippets:
        code = f"import os, sys; sys.path.insert(0, {str(ROOT)!r})\n{snippet}\nprint(sorted(globals()))"
        subprocess.run([sys.executable, "-c", code], cwd=packed, check=True, capture_output=True)


def test_random_weights_are_said_loudly(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with h5py.File(run / "features/features.h5", "r+") as file:
        for video_id in "abc":
            file[video_id].attrs["weights"] = "random"
    assert main(["pack", str(run), "--out", str(tmp_path / "packed")]) == 0
    assert "RANDOM WEIGHTS" in capsys.readouterr().err
    assert "RANDOM WEIGHTS" in (tmp_path / "packed/README.md").read_text()


def test_the_same_store_packs_to_the_same_bytes(run: Path, packed: Path, tmp_path: Path) -> None:
    words = ["--name", "TAda2D on HACS", "--dataset", "HACS", "--licence", "CC BY 4.0"]
    assert main(["pack", str(run), "--out", str(tmp_path / "again"), *words]) == 0
    assert (tmp_path / "again/SHA256SUMS").read_text() == (packed / "SHA256SUMS").read_text()


def test_a_finished_pack_is_kept_and_a_cut_off_one_is_done_again(
    run: Path, packed: Path, capsys: pytest.CaptureFixture
) -> None:
    sums = (packed / "SHA256SUMS").read_text()
    assert main(["pack", str(run), "--out", str(packed)]) == 2
    assert "holds a finished pack" in capsys.readouterr().err
    (packed / "SHA256SUMS").unlink()
    (packed / "index.csv").unlink()
    words = ["--name", "TAda2D on HACS", "--dataset", "HACS", "--licence", "CC BY 4.0"]
    assert main(["pack", str(run), "--out", str(packed), *words]) == 0
    assert (packed / "SHA256SUMS").read_text() == sums


def test_what_cannot_be_packed(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    out = ["--out", str(tmp_path / "packed")]
    (tmp_path / "empty").mkdir()
    assert main(["pack", str(tmp_path / "empty"), *out]) == 2
    assert "holds no features of any video" in capsys.readouterr().err
    (tmp_path / "other.json").write_text('{"results": {}}')
    assert main(["pack", str(run), *out, "--metrics", str(tmp_path / "other.json")]) == 2
    assert "expected the figures that `python -m evaluation --json` writes" in capsys.readouterr().err


# ---- verify


def test_a_good_pack_verifies(packed: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["verify", str(packed)]) == 0
    assert (
        "3 videos checked, values not compared with videos (--videos); 0 problems" in capsys.readouterr().out
    )


def _edit(packed: Path, change: Callable[[h5py.File], object]) -> None:
    with h5py.File(packed / "features.hdf5", "r+") as file:
        change(file)


def _set(file: h5py.File, name: str, place: object, value: float) -> None:
    file[name][place] = value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: _set(f, "b", (1, 2), 9.0), "video 'b': sha256"),  # one value
        (lambda f: _set(f, "b", (1, 2), np.nan), "video 'b': values that are not finite"),
        (lambda f: _set(f, "_times/b", 1, 0.81), "video 'b': time 1 is 0.810000 s, its grid says 0.800000 s"),
        (lambda f: _set(f, "_times/b", 1, 0.1), "video 'b': times do not increase"),
        (lambda f: f["c"].attrs.__setitem__("grid.fps", 25.0), "video 'c': time 0 is 0.266667 s"),
        (lambda f: f["c"].attrs.__delitem__("grid.fps"), "video 'c': time grid without fps"),
        (lambda f: f["c"].attrs.__delitem__("source"), "video 'c': attribute 'source' is missing"),
        (lambda f: f["c"].attrs.__delitem__("complete"), "video 'c': not marked as complete"),
        (lambda f: f["c"].attrs.__setitem__("backbone", "other"), "video 'c': channels 6, type float16"),
        (lambda f: f["c"].attrs.__setitem__("num_grid_frames", 40), "5 features, but 40 grid frames give 3"),
        (
            lambda f: f["c"].attrs.__setitem__("duration_s", 40.0),
            "video 'c': duration_s 40.0, index.csv says",
        ),
        (lambda f: f.__delitem__("_times/a"), "video 'a': expected 4 times in _times/a"),
        (lambda f: f.__delitem__("a"), "index.csv: lists video 'a', which features.hdf5 lacks"),
        (lambda f: f.move("a", ".a"), "unsafe video id '.a'"),
        (lambda f: f.copy("a", "d"), "video 'd': expected 4 times in _times/d"),
        (lambda f: f.create_dataset("d", data="text"), "video 'd': expected a dataset T x C"),
    ],
)
def test_every_change_is_found_at_its_place(
    packed: Path, change: Callable[[h5py.File], object], message: str, capsys: pytest.CaptureFixture
) -> None:
    _edit(packed, change)
    assert main(["verify", str(packed)]) == 2
    printed = capsys.readouterr().out
    assert "wrong: features.hdf5: another SHA-256 than in SHA256SUMS" in printed
    assert message in printed


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda p: (p / "SHA256SUMS").unlink(), "SHA256SUMS: no such file"),
        (lambda p: (p / "SHA256SUMS").write_text("abc\n"), "line 1: expected '<sha256>"),
        (lambda p: (p / "SHA256SUMS").write_text("0" * 64 + "  ../x\n"), "expected '<sha256>  <file in this folder>'"),
        (lambda p: (p / "SHA256SUMS").write_text("0" * 64 + "  README.md\n"), "does not list features.hdf5"),
        (lambda p: (p / "README.md").unlink(), "README.md: missing, though SHA256SUMS lists it"),
        (lambda p: (p / "README.md").write_text("else"), "README.md: another SHA-256"),
        (lambda p: (p / "index.csv").unlink(), "index.csv: no such file"),
        (lambda p: (p / "index.csv").write_text("a,b\n"), "index.csv: expected the columns video_id"),
        (lambda p: (p / "features.hdf5").unlink(), "features.hdf5: missing, damaged, or not an HDF5 file"),
        (
            lambda p: (p / "features.hdf5").write_bytes((p / "features.hdf5").read_bytes()[:3000]),
            "features.hdf5",
        ),
    ],
)  # fmt: skip
def test_damaged_packs_are_found(
    packed: Path, spoil: Callable[[Path], object], message: str, capsys: pytest.CaptureFixture
) -> None:
    spoil(packed)
    assert main(["verify", str(packed)]) == 2
    assert message in capsys.readouterr().out


def test_no_folder(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["verify", str(tmp_path / "none")]) == 2
    assert "no such folder" in capsys.readouterr().err


# ---- against a new extraction


@pytest.fixture(scope="module")
def extracted(tiny_mini: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A pack of two real videos, made with the random weights of seed 0; and the folder of the
    videos."""
    folder = tmp_path_factory.mktemp("extracted")
    videos = dict(list(index_video_files(tiny_mini / "videos").items())[:2])
    settings = {
        "backbone": "tada2d_mini", "backbone_sha256": "", "weights": "random", "short_side_px": 32,
        "crops": "whole", "precision": "float32", "min_decoded_share": 0.9,
    }  # fmt: skip
    write_video_features(folder / "x", "x", np.zeros((1, 1)), [0.1], GRID, attributes=settings)
    loaded = load_recipe(FeatureStore(folder / "x").info("x"), None)
    settings["backbone_sha256"] = loaded.backbone.sha256
    for video_id, path in videos.items():
        found = extract_video(loaded.extractor, path)
        attributes = {
            **settings, **source_attributes(path), "duration_s": found.duration_s,
            "num_grid_frames": found.summary.n_frames,
        }  # fmt: skip
        write_video_features(
            folder / "store", video_id, found.features, found.times_s, GRID, attributes=attributes
        )
    assert main(["pack", str(folder / "store"), "--out", str(folder / "packed")]) == 0
    return folder / "packed", tiny_mini / "videos"


def test_values_agree_with_a_new_extraction(
    extracted: tuple[Path, Path], capsys: pytest.CaptureFixture
) -> None:
    packed, videos = extracted
    assert main(["verify", str(packed), "--videos", str(videos)]) == 0
    assert "2 videos checked, 2 of them compared with a new extraction; 0 problems" in capsys.readouterr().out


def test_other_values_are_found_by_a_new_extraction(
    extracted: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Values of another network, packed properly: no sum or index can tell."""
    packed, videos = extracted
    with h5py.File(shutil.copy(packed / "features.hdf5", tmp_path / "s.h5"), "r+") as file:
        first = next(name for name in file if name != "_times")
        file[first][...] = file[first][()] * np.float16(1.01)
        del file[first].attrs["values_sum"]  # as older stores are
    assert main(["pack", str(tmp_path / "s.h5"), "--out", str(tmp_path / "packed")]) == 0
    assert main(["verify", str(tmp_path / "packed")]) == 0
    assert main(["verify", str(tmp_path / "packed"), "--videos", str(videos)]) == 2
    printed = capsys.readouterr().out
    assert f"video '{first}': values differ from a new extraction by" in printed
    assert "1 problems" in printed


def test_videos_that_cannot_be_compared_are_listed(
    extracted: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    packed, videos = extracted
    (tmp_path / "videos").mkdir()
    assert main(["verify", str(packed), "--videos", str(tmp_path / "videos")]) == 1
    assert "not compared: no video file below" in capsys.readouterr().out
    for path in videos.rglob("*.mp4"):
        (tmp_path / "videos" / path.name).write_bytes(b"another")
    assert main(["verify", str(packed), "--videos", str(tmp_path / "videos")]) == 1
    assert "is another file than the one that was extracted" in capsys.readouterr().out


def test_the_right_weights_are_asked_for(
    extracted: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    source, videos = extracted
    packed = Path(shutil.copytree(source, tmp_path / "packed"))
    words = ["verify", str(packed), "--videos", str(videos)]
    _edit(packed, lambda f: [f[name].attrs.__setitem__("weights", "w.pt") for name in f if name != "_times"])
    assert main(words) == 2
    assert "these features want --weights FILE (w.pt)" in capsys.readouterr().err
    torch.save(create_model("tada2d_mini", num_classes=3).state_dict(), tmp_path / "w.pt")
    assert main([*words, "--weights", str(tmp_path / "w.pt")]) == 2
    assert "w.pt: other weights" in capsys.readouterr().err
    _edit(packed, lambda f: [f[name].attrs.__delitem__("crops") for name in f if name != "_times"])
    assert main(words) == 2
    assert "do not say how they were extracted (no crops)" in capsys.readouterr().err


# ---- damaged stores


def _flip_names(content: bytearray) -> None:
    """Damage the heap that holds the names of the root group."""
    content[content.index(b"HEAP")] ^= 1


def _flip_attributes(content: bytearray) -> None:
    """Damage the name of one field of the time grid."""
    content[content.index(b"grid.fps")] ^= 1


@pytest.mark.parametrize("damage", [_flip_names, _flip_attributes])
@pytest.mark.parametrize("command", [["pack"], ["export", "--format", "npy"]])
def test_damage_within_a_store_is_told(
    run: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture,
    damage: Callable[[bytearray], None],
    command: list[str],
) -> None:
    path = tmp_path / "damaged.h5"
    merge_features(run / "features", path)
    content = bytearray(path.read_bytes())
    damage(content)
    path.write_bytes(content)
    assert main([command[0], str(path), "--out", str(tmp_path / "new"), *command[1:]]) == 2
    assert "damaged (" in capsys.readouterr().err


def test_damage_of_a_pack_and_of_an_imported_file_is_told(
    packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    path = packed / "features.hdf5"
    content = bytearray(path.read_bytes())
    _flip_names(content)
    path.write_bytes(content)
    assert main(["verify", str(packed)]) == 2
    assert "features.hdf5: missing, damaged, or not an HDF5 file" in capsys.readouterr().out
    assert main(["import", str(path), "--out", str(tmp_path / "x.h5"), "--preset", "tadaconv-hacs"]) == 2
    assert "features.hdf5: not an HDF5 file, or damaged" in capsys.readouterr().err


def test_values_beyond_float16_are_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    grid = TimeGrid(fps=30, stride_frames=16)
    values = np.full((2, 3), 1e6, np.float32)
    write_video_features(tmp_path, "a", values, grid.times_s(32), grid, attributes={}, dtype="float32")
    assert main(["pack", str(tmp_path), "--out", str(tmp_path / "new")]) == 2
    assert "video 'a': features hold nan or values beyond the range of float16" in capsys.readouterr().err


def test_names_that_a_spreadsheet_would_run_are_quoted_and_read_back(tmp_path: Path) -> None:
    row = {"features": "3", "channels": "6", "duration_s": "1.6", "sha256": "0", "shard": "features.hdf5"}
    rows = [
        {"video_id": "=1+1", "source": "@clip.mp4", **row},
        {"video_id": "-AbC_1", "source": "a.mp4", **row},
    ]
    write_index(tmp_path / "index.csv", rows)
    assert [line.split(",")[0] for line in (tmp_path / "index.csv").read_text().splitlines()[1:]] == [
        "'=1+1",
        "-AbC_1",
    ]
    assert list(read_index(tmp_path / "index.csv").values()) == rows
    write_skipped(tmp_path / "skipped.csv", {"a": "=HYPERLINK(1)"})
    assert (tmp_path / "skipped.csv").read_text() == "video_id,reason\na,'=HYPERLINK(1)\n"


def test_a_pack_never_lands_in_the_store_that_it_packs(run: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["pack", str(run), "--out", str(run), "--licence", "CC BY 4.0"]) == 2
    assert f"error: {run}: is an input of this command" in capsys.readouterr().err
