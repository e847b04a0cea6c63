"""The feature store: what is written is read, in either layout, and only whole files count."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from feature_extraction import FeatureStore
from feature_extraction.integrity import has_whole_features, values_sum
from feature_extraction.records import as_float32
from feature_extraction.store import merge_features, video_file_name, write_video_features
from runtime.errors import InputError
from video_datasets.time_grid import TimeGrid

ROOT = Path(__file__).resolve().parents[2]
GRID = TimeGrid(fps=30, stride_frames=16)
ATTRIBUTES = {"backbone": "tada2d_r50:abc", "duration_s": 1.5, "n_frames": 40, "random_weights": False}


def features(t: int = 3, c: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random((t, c), dtype=np.float32)


def write(folder: Path, video_id: str, seed: int = 0, dtype: str = "float16") -> Path:
    return write_video_features(
        folder, video_id, features(seed=seed), GRID.times_s(40), GRID, attributes=ATTRIBUTES, dtype=dtype
    )


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_what_is_written_is_read(tmp_path: Path, dtype: str) -> None:
    path = write(tmp_path, "P01_01", dtype=dtype)
    record = FeatureStore(tmp_path)["P01_01"]
    np.testing.assert_array_equal(record.features, features().astype(dtype))
    assert record.features.dtype == np.float32
    np.testing.assert_array_equal(record.times, GRID.times_s(40))
    assert record.grid == GRID
    assert record.attributes == ATTRIBUTES
    assert {k: type(v) for k, v in record.attributes.items()} == {k: type(v) for k, v in ATTRIBUTES.items()}
    assert has_whole_features(path)


def test_halves_become_floats_as_numpy_has_them() -> None:
    every = np.arange(1 << 16, dtype=np.uint16).view(np.float16)  # nan, inf and subnormal numbers too
    for values in (every.reshape(256, 256), every.reshape(2, -1)[:, 1::3], every[:0].reshape(0, 4)):
        np.testing.assert_array_equal(as_float32(values), values.astype(np.float32), strict=True)
    floats = np.ones((2, 3), np.float32)
    assert as_float32(floats) is floats


@pytest.mark.parametrize("merged", [False, True])
def test_parts_are_read_without_the_whole(tmp_path: Path, merged: bool) -> None:
    write(tmp_path, "a")
    if merged:
        merge_features(tmp_path)
        (tmp_path / "a.h5").unlink()
    store = FeatureStore(tmp_path)
    np.testing.assert_array_equal(store.read_range("a", 1, 3), features().astype(np.float16)[1:3])
    assert store.read_range("a", 1, 3).dtype == np.float32
    assert store.read_range("a", 3, 3).shape == (0, 5)
    np.testing.assert_array_equal(store.times("a"), GRID.times_s(40))
    info = store.info("a")
    assert (info.shape, info.dtype, info.grid, info.attributes) == ((3, 5), "float16", GRID, ATTRIBUTES)
    assert store.duration_s("a") == 1.5
    for first, stop in ((-1, 2), (2, 1), (0, 4)):
        with pytest.raises(IndexError, match=f"video 'a' has 3 features; asked for {first} to {stop}"):
            store.read_range("a", first, stop)
    with pytest.raises(KeyError, match="no features of video 'b'"):
        store.read_range("b", 0, 1)


def test_any_id_needs_no_list(tmp_path: Path) -> None:
    assert FeatureStore(tmp_path).any_id() is None
    (tmp_path / "b.h5").write_text("no HDF5")
    write(tmp_path, "a")
    assert FeatureStore(tmp_path).any_id() == "a"
    merge_features(tmp_path)
    assert FeatureStore(tmp_path / "features.h5").any_id() == "a"


def test_the_access_of_actionformer(tmp_path: Path) -> None:
    """libs/datasets/anet.py: one open a video, `file[prefix + id][()]` as float32, T x C."""
    write(tmp_path, "v_abc")
    merge_features(tmp_path, tmp_path / "anet.hdf5")
    with h5py.File(str(tmp_path / "anet.hdf5"), "r") as file:
        read = np.asarray(file["v_" + "abc"][()], dtype=np.float32)
    np.testing.assert_array_equal(read, features().astype(np.float16))


def test_layout_on_disk(tmp_path: Path) -> None:
    with h5py.File(write(tmp_path, "a"), "r") as file:
        assert sorted(file) == ["_times", "a"]
        assert (file["a"].shape, file["a"].dtype) == ((3, 5), np.float16)
        assert file["_times/a"].dtype == np.float64
        assert file["a"].attrs["grid.stride_frames"] == 16
        assert file["a"].attrs["complete"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.h5"]


def test_merged_file_equals_the_folder(tmp_path: Path) -> None:
    ids = ["-0edUL8zmA", "P01_01", "käse 2"]
    for seed, video_id in enumerate(ids):
        write(tmp_path, video_id, seed)
    folder = {key: record.features for key, record in FeatureStore(tmp_path).items()}
    assert merge_features(tmp_path, tmp_path / "elsewhere" / "all.h5") == 3
    merged = FeatureStore(tmp_path / "elsewhere" / "all.h5")
    assert list(merged) == sorted(ids) == list(folder)
    for video_id in ids:
        np.testing.assert_array_equal(merged[video_id].features, folder[video_id])
        assert merged[video_id].grid == GRID
        assert merged[video_id].attributes == ATTRIBUTES


def test_a_folder_with_its_merged_file(tmp_path: Path) -> None:
    write(tmp_path, "a", seed=1)
    write(tmp_path, "b", seed=2)
    assert merge_features(tmp_path) == 2
    (tmp_path / "b.h5").unlink()
    write(tmp_path, "a", seed=3)
    write(tmp_path, "c", seed=4)
    store = FeatureStore(tmp_path)
    assert list(store) == ["a", "b", "c"]
    np.testing.assert_array_equal(store["a"].features, features(seed=3).astype(np.float16))  # the newer one
    np.testing.assert_array_equal(store["b"].features, features(seed=2).astype(np.float16))
    assert merge_features(tmp_path) == 3
    assert list(FeatureStore(tmp_path / "features.h5")) == ["a", "b", "c"]


def test_what_is_not_whole_counts_as_absent(tmp_path: Path) -> None:
    write(tmp_path, "whole")
    cut = write(tmp_path, "cut")
    cut.write_bytes(cut.read_bytes()[:1500])
    (tmp_path / "text.h5").write_text("no HDF5")
    (tmp_path / "empty.h5").touch()
    for name, spoil in {
        "unmarked": lambda file: file["unmarked"].attrs.__delitem__("complete"),
        "timeless": lambda file: file.__delitem__("_times"),
    }.items():
        with h5py.File(write(tmp_path, name), "r+") as file:
            spoil(file)
    write(tmp_path, "renamed").rename(tmp_path / "other.h5")
    assert [path.stem for path in sorted(tmp_path.iterdir()) if has_whole_features(path)] == ["whole"]
    assert not has_whole_features(tmp_path / "missing.h5")
    store = FeatureStore(tmp_path)
    assert list(store) == ["whole"]
    assert "cut" not in store
    with pytest.raises(KeyError, match="no features of video 'cut'"):
        store["cut"]
    assert merge_features(tmp_path) == 1


@pytest.mark.parametrize("video_id", ["_times", ".", "..", "", "../a", "a/b", "/a", "features"])
@pytest.mark.parametrize("merged", [False, True])
def test_names_that_are_no_videos(tmp_path: Path, video_id: str, merged: bool) -> None:
    write(tmp_path, "a")  # what "../a" would reach
    folder = tmp_path / "features"
    write(folder, "b")
    merge_features(folder)
    store = FeatureStore(folder / "features.h5" if merged else folder)
    assert video_id not in store
    assert list(store) == ["b"]


@pytest.mark.parametrize("video_id", ["../x", "/x", "a/b", "a/", "a\\b", "", ".", "..", ".x", "a\nb", "a\0"])
def test_unsafe_ids_are_refused(tmp_path: Path, video_id: str) -> None:
    with pytest.raises(InputError, match="unsafe video id"):
        write(tmp_path / "store", video_id)
    assert not (tmp_path / "store").exists()


def test_names_of_the_stores_own_are_refused_and_odd_ones_are_not() -> None:
    with pytest.raises(InputError, match="'features' is a name of the store's own"):
        video_file_name("features")
    assert video_file_name("-x y.z") == "-x y.z.h5"


@pytest.mark.parametrize(
    ("array", "times", "message"),
    [
        (np.zeros((2, 3)), [0.0], r"expected features \(T, C\) and times \(T,\); got \(2, 3\) and \(1,\)"),
        (np.zeros(2), [0.0, 1.0], r"got \(2,\)"),
        (np.zeros((2, 3)), [1.0, 1.0], "must increase"),
        (np.full((1, 3), np.nan), [0.0], "hold nan or values beyond the range of float16"),
        (np.full((1, 3), 1e5), [0.0], "beyond the range of float16"),
    ],
)
def test_refuses_what_does_not_fit(
    tmp_path: Path, array: np.ndarray, times: list[float], message: str
) -> None:
    with pytest.raises(ValueError, match=f"video 'v': .*{message}"):
        write_video_features(tmp_path, "v", array, times, GRID, attributes={})
    assert not list(tmp_path.iterdir())


def test_missing_stores_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none: no such feature store; run the feature extraction"):
        FeatureStore(tmp_path / "none")
    (tmp_path / "features.h5").write_text("no HDF5")
    with pytest.raises(InputError, match=r"features\.h5: not an HDF5 file"):
        FeatureStore(tmp_path / "features.h5")


def test_a_merged_file_that_is_cut_short_is_told(tmp_path: Path) -> None:
    write(tmp_path, "a")
    merge_features(tmp_path)
    merged = tmp_path / "features.h5"
    merged.write_bytes(merged.read_bytes()[:3000])
    for path in (tmp_path, merged):
        with pytest.raises(InputError, match=r"features\.h5: cut short or damaged \(.*truncated"):
            list(FeatureStore(path))


def test_a_video_without_features_is_kept(tmp_path: Path) -> None:
    write_video_features(tmp_path, "short", np.zeros((0, 4), np.float32), [], GRID, attributes={})
    assert FeatureStore(tmp_path)["short"].features.shape == (0, 4)


def _sum_of(store: FeatureStore, video_id: str) -> float:
    return float(store[video_id].features.sum())


@pytest.mark.skipif(sys.platform == "win32", reason="fork")
def test_an_open_store_goes_to_other_processes(tmp_path: Path) -> None:
    write(tmp_path, "a")
    merge_features(tmp_path)
    store = FeatureStore(tmp_path / "features.h5")
    expected = _sum_of(store, "a")  # opens the file here
    assert _sum_of(pickle.loads(pickle.dumps(store)), "a") == expected
    with get_context("fork").Pool(1) as pool:
        assert pool.starmap(_sum_of, [(store, "a")]) == [expected]


def test_importing_the_store_is_light() -> None:
    code = "import sys, feature_extraction; print([m for m in ('torch', 'pandas', 'av') if m in sys.modules])"
    printed = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert printed.stdout.strip() == "[]"


def test_a_killed_writer_leaves_whole_files_only(tmp_path: Path) -> None:
    code = (
        "import sys, numpy as np\n"
        "from feature_extraction.store import write_video_features\n"
        "from video_datasets.time_grid import TimeGrid\n"
        "grid = TimeGrid(fps=30, stride_frames=16)\n"
        "print('ready', flush=True)\n"
        "for i in range(10**6):\n"
        "    write_video_features(sys.argv[1], f'v{i}', np.ones((500, 2048)), grid.times_s(8000), grid,"
        " attributes={})\n"
    )
    n_written = 0
    for attempt in range(3):
        folder = tmp_path / str(attempt)
        with subprocess.Popen(
            [sys.executable, "-c", code, str(folder)], stdout=subprocess.PIPE, cwd=ROOT
        ) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(0.1 + 0.15 * attempt)
            os.kill(writer.pid, signal.SIGKILL)
        folder.mkdir(exist_ok=True)
        files = list(folder.glob("*.h5"))
        assert all(has_whole_features(path) for path in files)
        assert len(FeatureStore(folder)) == len(files)
        n_written += len(files)
    assert n_written > 0


# ---- damage, and what strangers may have made


@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("place", ["a", "_times/a"])
def test_a_flipped_bit_is_noticed_and_its_video_named(tmp_path: Path, merged: bool, place: str) -> None:
    for video_id in ("a", "b"):
        write(tmp_path, video_id)
    if merged:
        merge_features(tmp_path)
        (tmp_path / "a.h5").unlink()
    path = tmp_path / ("features.h5" if merged else "a.h5")
    with h5py.File(path, "r") as file:
        offset, size = file[place].id.get_offset(), file[place].nbytes
    content = bytearray(path.read_bytes())
    content[offset + size - 3] ^= 4
    path.write_bytes(content)
    for read in (lambda s: s["a"], lambda s: s.read_range("a", 0, 1), lambda s: list(s.items())):
        with pytest.raises(
            InputError, match=r"video 'a': damaged: its values are not those that were written"
        ):
            read(FeatureStore(tmp_path))
    assert FeatureStore(tmp_path)["b"].features.shape == (3, 5)
    assert FeatureStore(tmp_path).info("a").shape == (3, 5)


@given(st.binary(min_size=1, max_size=70), st.integers(0, 10**6))
def test_the_sum_of_values_changes_with_every_bit(content: bytes, place: int) -> None:
    values = np.frombuffer(content, np.uint8)
    changed = values.copy()
    changed[place % len(changed)] ^= 1 << place % 8
    assert values_sum(values) != values_sum(changed)
    padded = content + bytes(-len(content) % 8)
    words = [int.from_bytes(padded[i : i + 8], "little") for i in range(0, len(padded), 8)]
    assert values_sum(values) == sum(words) % 2**64


def test_stores_without_sums_open_and_must_be_finite(tmp_path: Path) -> None:
    path = write(tmp_path, "a")
    with h5py.File(path, "r+") as file:
        del file["a"].attrs["values_sum"]
    assert FeatureStore(tmp_path)["a"].features.shape == (3, 5)
    with h5py.File(path, "r+") as file:
        file["a"][1, 2] = np.nan
    with pytest.raises(InputError, match=r"video 'a': damaged: holds values that are not finite"):
        FeatureStore(tmp_path)["a"]


def _linked(file: h5py.File, other: Path) -> None:
    del file["a"]
    file["a"] = h5py.ExternalLink(str(other), "a")


def _soft(file: h5py.File, other: Path) -> None:
    file.move("a", "hidden")
    file["a"] = h5py.SoftLink("/hidden")


def _linked_times(file: h5py.File, other: Path) -> None:
    del file["_times"]
    file["_times"] = h5py.ExternalLink(str(other), "_times")


def _virtual(file: h5py.File, other: Path) -> None:
    del file["a"]
    layout = h5py.VirtualLayout((3, 5), "f2")
    layout[:] = h5py.VirtualSource(other, "a", (3, 5))
    file.create_virtual_dataset("a", layout).attrs["complete"] = True


def _external(file: h5py.File, other: Path) -> None:
    del file["a"]
    dataset = file.create_dataset("a", (3, 5), "f2", external=[(str(other), 0, 30)])
    dataset.attrs["complete"] = True


def _absurd(file: h5py.File, other: Path) -> None:
    del file["a"], file["_times/a"]
    file.create_dataset("a", (1 << 31, 65536), "f4").attrs["complete"] = True
    file.create_dataset("_times/a", (1 << 31,), "f8")


@pytest.mark.parametrize("change", [_linked, _soft, _linked_times, _virtual, _external, _absurd])
@pytest.mark.parametrize("merged", [False, True])
def test_values_from_elsewhere_are_refused(
    tmp_path: Path, change: Callable[[h5py.File, Path], None], merged: bool
) -> None:
    secret = write(tmp_path / "other", "a")
    path = write(tmp_path / "store", "a")
    if merged:
        merge_features(tmp_path / "store")
        path = path.rename(tmp_path / "a.h5").parent / "store" / "features.h5"
    with h5py.File(path, "r+") as file:
        change(file, secret)
    for read in (lambda s: s["a"], list, lambda s: "a" in s, lambda s: s.info("a")):
        with pytest.raises(InputError, match=r"(another place|other files|holds 0 bytes): refused"):
            read(FeatureStore(path.parent))


@pytest.mark.skipif(sys.platform == "win32", reason="locks")
def test_a_store_that_another_process_writes_is_not_called_damaged(tmp_path: Path) -> None:
    write(tmp_path, "a")
    merge_features(tmp_path)
    path = tmp_path / "features.h5"
    code = f"import h5py, sys; f = h5py.File({str(path)!r}, 'a'); print(flush=True); sys.stdin.read()"
    writer = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        assert writer.stdout is not None
        writer.stdout.readline()
        with pytest.raises(InputError, match=r"features\.h5: in use by another process that writes to it"):
            FeatureStore(path)["a"]
    finally:
        writer.communicate(timeout=60)
    assert FeatureStore(path)["a"].features.shape == (3, 5)
