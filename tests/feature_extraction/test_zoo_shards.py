"""Packs in shards: read as one store, added to without a look at the old shards, and damage stays
where it is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_extraction import FeatureStore
from feature_extraction.__main__ import main as features_main
from feature_extraction.index import read_index, write_index
from feature_extraction.store import merge_features, write_video_features
from feature_extraction.zoo.__main__ import main
from feature_extraction.zoo.shards import split
from runtime.errors import InputError
from video_datasets.time_grid import TimeGrid

ROOT = Path(__file__).resolve().parents[2]
GRID = TimeGrid(fps=30, stride_frames=16)
SHARED = {"backbone": "tada2d_mini", "backbone_sha256": "abc", "weights": "weights.pt", "short_side_px": 128}
TWO_VIDEOS_GB = "170e-9"
"""A video of 4 features of 6 channels in float16 has 80 bytes with its times."""


def make_store(folder: Path, ids: str, grid: TimeGrid = GRID, **attributes: str) -> Path:
    """A merged store of one video a letter; the same letter has the same features everywhere."""
    for video_id in ids:
        features = np.random.default_rng(ord(video_id)).random((4, 6))
        described = {
            **SHARED, "source": f"v_{video_id}.mp4", "duration_s": 64 / 30, "num_grid_frames": 64, **attributes
        }  # fmt: skip
        write_video_features(
            folder / "parts",
            video_id,
            features,
            grid.times_s(64),
            grid,
            attributes=described,
            dtype="float32",
        )
    merge_features(folder / "parts", folder / "merged.h5")
    return folder / "merged.h5"


def pack(store: Path, out: Path, *words: str) -> int:
    return main(
        ["pack", str(store), "--out", str(out), "--name", "Five", "--shard-gb", TWO_VIDEOS_GB, *words]
    )


def content(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return make_store(tmp_path / "store", "abcde")


@pytest.fixture
def packed(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    assert pack(store, tmp_path / "packed") == 0
    capsys.readouterr()
    return tmp_path / "packed"


def shard(packed: Path, number: int) -> Path:
    return packed / f"features-{number:04d}.hdf5"


# ---- read as one store


def _sum_of(store: FeatureStore, video_id: str) -> float:
    return float(store[video_id].features.sum())


def test_shards_read_as_one_store(packed: Path, store: Path) -> None:
    names = [*(f"features-000{number}.hdf5" for number in range(3)), "README.md", "SHA256SUMS", "index.csv"]
    assert {path.name for path in packed.iterdir()} == set(names)
    index = read_index(packed / "index.csv")
    assert [row["shard"][12] for row in index.values()] == ["0", "0", "1", "1", "2"]
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=packed, check=True)
    before, after = FeatureStore(store), FeatureStore(packed)
    assert list(after) == list("abcde")
    assert len(after) == 5
    assert after.any_id() in after
    for video_id in before:
        np.testing.assert_array_equal(after[video_id].features, before[video_id].features.astype(np.float16))
        np.testing.assert_array_equal(after.times(video_id), before.times(video_id))
        np.testing.assert_array_equal(after.read_range(video_id, 1, 3), after[video_id].features[1:3])
        assert after.info(video_id).attributes == before.info(video_id).attributes
        assert after.duration_s(video_id) == before.duration_s(video_id)
    assert "f" not in after
    with pytest.raises(KeyError, match="no features of video 'f'"):
        after["f"]


def test_a_pack_goes_to_other_processes(packed: Path) -> None:
    store = FeatureStore(packed)
    expected = [_sum_of(store, video_id) for video_id in store]  # now its shards are open here
    with get_context("fork").Pool(1) as pool:
        assert pool.starmap(_sum_of, [(store, video_id) for video_id in store]) == expected


def test_the_card_loads_a_pack_in_shards(packed: Path) -> None:
    card = (packed / "README.md").read_text()
    assert "| videos | 5 |" in card
    assert "features.store=. grid.fps=30" in card
    assert "ActionFormer's `anet` data set opens" not in card
    snippets = [part.split("```")[0] for part in card.split("```python\n")[1:]]
    code = "\n".join([f"import sys; sys.path.insert(0, {str(ROOT)!r})", *snippets])
    subprocess.run([sys.executable, "-c", code], cwd=packed, check=True, capture_output=True)


def test_other_commands_take_a_pack_in_shards(packed: Path, store: Path, tmp_path: Path) -> None:
    for name, source in (("shards", packed), ("merged", store)):
        assert main(["export", str(source), "--format", "npz", "--out", str(tmp_path / name)]) == 0
        assert main(["pack", str(source), "--out", str(tmp_path / f"{name}_one")]) == 0
    assert (tmp_path / "shards/durations.csv").read_text() == (tmp_path / "merged/durations.csv").read_text()
    assert (tmp_path / "shards_one/index.csv").read_text() == (tmp_path / "merged_one/index.csv").read_text()
    one_file = FeatureStore(tmp_path / "shards_one")  # the folder, not the file in it
    assert list(one_file) == list("abcde")


def test_a_run_reads_a_pack_in_shards(
    tiny_mini: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = list(json.loads((tiny_mini / "HACS_segments_v1.1.1.json").read_text())["database"])
    for i, video_id in enumerate(ids):
        features = np.random.default_rng(i).random((4, 6))
        write_video_features(
            tmp_path / "parts", video_id, features, GRID.times_s(64), GRID, attributes={"duration_s": 2.1}
        )
    assert pack(tmp_path / "parts", tmp_path / "packed") == 0
    places = [f"run_dir={tmp_path / 'run'}", f"data.root={tiny_mini}", "data.mini=false"]
    words = [
        "--config",
        str(ROOT / "configs/hacs_mini.yaml"),
        *places,
        f"features.store={tmp_path / 'packed'}",
    ]
    assert features_main(words) == 0
    found, expected = FeatureStore(tmp_path / "run/features"), FeatureStore(tmp_path / "parts")
    assert list(found) == sorted(ids)
    for video_id in ids:
        np.testing.assert_array_equal(found[video_id].features, expected[video_id].features)
    write_video_features(
        tmp_path / "parts", "new", np.ones((4, 6)), GRID.times_s(64), GRID, attributes={"duration_s": 2.1}
    )
    assert features_main(words) == 0
    assert "complete, nothing to do" in capsys.readouterr().err
    assert pack(tmp_path / "parts", tmp_path / "packed") == 0
    assert features_main(words) == 2
    assert "input.store was index.csv" in capsys.readouterr().err
    assert features_main([*words, "--force"]) == 0
    shard(tmp_path / "packed", 0).unlink()
    assert features_main(words) == 2
    assert "features.h5/features-0000.hdf5 is gone" in capsys.readouterr().err


# ---- added to


@pytest.mark.parametrize("source", ["abcdefg", "cfg", "fg"])
def test_new_videos_get_shards_of_their_own(
    packed: Path, tmp_path: Path, source: str, capsys: pytest.CaptureFixture[str]
) -> None:
    old = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in packed.glob("*.hdf5")}
    (packed / "mine.txt").write_text("not of the pack")
    (packed / "metrics.json").write_text('{"protocol": "hacs", "average_mAP": {"action": 0.4127}}')
    assert pack(make_store(tmp_path / "new", source), packed) == 0
    assert "packed 7 videos, 2 of them new, 4 shards, 28 features" in capsys.readouterr().out
    assert old == {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in old}
    assert (packed / "mine.txt").read_text() == "not of the pack"
    assert "action: 41.27 %" in (packed / "README.md").read_text()
    assert list(FeatureStore(packed)) == list("abcdefg")
    assert main(["verify", str(packed)]) == 0
    assert "features-0003.hdf5: 2 videos, 0 problems" in capsys.readouterr().out


def test_adding_nothing_changes_nothing(
    packed: Path, store: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = content(packed)
    assert pack(store, packed) == 0
    assert "0 of them new" in capsys.readouterr().out
    assert content(packed) == before


@pytest.mark.parametrize("whole", [0, 1, 2, 3])
@pytest.mark.parametrize("orphan", [True, False])
def test_a_pack_that_was_cut_off_goes_on(
    packed: Path, store: Path, tmp_path: Path, whole: int, orphan: bool
) -> None:
    """Killed after a shard, before or after the index names it."""
    expected = content(packed)
    cut_off = tmp_path / "cut_off"
    cut_off.mkdir()
    for number in range(min(whole + orphan, 3)):
        shutil.copy2(shard(packed, number), cut_off)
    (cut_off / "features-0001.hdf5.999.part").write_bytes(b"half")
    rows = read_index(packed / "index.csv").values()
    if whole:
        named = [f"features-{number:04d}.hdf5" for number in range(whole)]
        write_index(cut_off / "index.csv", [row for row in rows if row["shard"] in named])
    times = {number: shard(cut_off, number).stat().st_mtime_ns for number in range(whole)}
    assert pack(store, cut_off) == 0
    (cut_off / "features-0001.hdf5.999.part").unlink()
    assert content(cut_off) == expected
    assert times == {number: shard(cut_off, number).stat().st_mtime_ns for number in range(whole)}


def test_what_cannot_be_added(
    packed: Path, store: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other_grid = make_store(tmp_path / "g", "f", TimeGrid(fps=25, stride_frames=16))
    other_backbone = make_store(tmp_path / "b", "f", backbone_sha256="x")
    before = content(packed)
    for source, message in (
        (other_grid, "'a' and 'f' differ: 6 channels"),
        (other_backbone, "are of another backbone"),
    ):
        assert pack(source, packed) == 2
        assert message in capsys.readouterr().err
    assert pack(store, packed, "--dtype", "float32") == 2
    assert "holds features in float16; give --dtype float16" in capsys.readouterr().err
    assert main(["pack", str(store), "--out", str(packed)]) == 2
    assert "holds a pack in shards; add to it with --shard-gb" in capsys.readouterr().err
    shutil.copy(make_store(tmp_path / "z", "z"), shard(packed, 3))
    assert pack(make_store(tmp_path / "f", "f"), packed) == 2
    assert "is not in the index and holds other videos" in capsys.readouterr().err
    shard(packed, 3).unlink()
    assert content(packed) == before
    assert main(["pack", str(store), "--out", str(tmp_path / "one")]) == 0
    assert pack(store, tmp_path / "one") == 2
    assert "holds a pack in one file, which takes no shards" in capsys.readouterr().err
    assert pack(store, tmp_path / "none", "--shard-gb", "0") == 2
    assert "--shard-gb must be above 0" in capsys.readouterr().err


# ---- damage


def _cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1000])


def _flip_names(path: Path) -> None:
    damaged = bytearray(path.read_bytes())
    damaged[damaged.index(b"HEAP")] ^= 1
    path.write_bytes(damaged)


@pytest.mark.parametrize("spoil", [os.unlink, _cut_short, _flip_names])
def test_damage_of_a_shard_leaves_the_others(
    packed: Path, spoil: Callable[[Path], None], capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(shard(packed, 1))
    store = FeatureStore(packed)
    assert list(store) == list("abcde")
    for video_id in "abe":
        assert store[video_id].features.shape == (4, 6)
    for video_id in "cd":
        with pytest.raises(
            InputError, match=rf"features-0001\.hdf5.*video '{video_id}'|features-0001\.hdf5: cut"
        ):
            store[video_id]
    assert main(["verify", str(packed)]) == 2
    printed = capsys.readouterr().out
    assert "wrong: features-0001.hdf5: missing, damaged, or not an HDF5 file" in printed
    assert "features-0000.hdf5: 2 videos, 0 problems" in printed
    assert "features-0001.hdf5: not readable, 2 videos" in printed
    assert "features-0002.hdf5: 1 videos, 0 problems" in printed


def test_a_changed_value_is_told_with_its_shard_and_video(
    packed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with h5py.File(shard(packed, 1), "r+") as file:
        file["d"][1, 2] = 9.0
    with pytest.raises(InputError, match=r"features-0001\.hdf5: video 'd': damaged"):
        FeatureStore(packed)["d"]
    assert main(["verify", str(packed)]) == 2
    printed = capsys.readouterr().out
    assert "wrong: features-0001.hdf5, video 'd': sha256" in printed
    assert "features-0001.hdf5: 2 videos, 1 problems" in printed


def test_shards_that_are_mixed_up_are_found(packed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copy(shard(packed, 0), shard(packed, 1))
    shutil.copy(shard(packed, 0), shard(packed, 7))
    with pytest.raises(InputError, match=r"features-0001\.hdf5: lacks video 'c', which index\.csv lists"):
        FeatureStore(packed)["c"]
    assert main(["verify", str(packed)]) == 2
    printed = capsys.readouterr().out
    assert (
        "features-0001.hdf5, video 'a': shard features-0001.hdf5, index.csv says features-0000.hdf5"
        in printed
    )
    assert "index.csv: lists video 'c', which features-0001.hdf5 lacks" in printed
    assert "SHA256SUMS: does not list features-0007.hdf5" in printed


@pytest.mark.parametrize("name", ["../features.h5", "", "/etc/passwd"])
def test_an_index_names_no_file_elsewhere(packed: Path, name: str) -> None:
    text = (packed / "index.csv").read_text().replace("features-0001.hdf5", name)
    (packed / "index.csv").write_text(text)
    with pytest.raises(InputError, match="line 4: expected a shard's name"):
        list(FeatureStore(packed))


# ---- which videos go where


@given(
    st.lists(st.integers(0, 20), max_size=12).map(
        lambda sizes: {f"v{i}": size for i, size in enumerate(sizes)}
    ),
    st.integers(1, 30),
)
def test_a_split_keeps_order_and_limit(sizes: dict[str, int], limit: int) -> None:
    runs = split(sizes, limit)
    assert [video_id for run in runs for video_id in run] == list(sizes)
    for run, following in zip(runs, [*runs[1:], []], strict=bool(runs)):
        total = sum(sizes[video_id] for video_id in run)
        assert total <= limit or len(run) == 1
        assert not following or total + sizes[following[0]] > limit  # no shard is closed early
