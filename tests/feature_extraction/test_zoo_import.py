"""Features of others: every format gives the same values and the named times; nothing unsafe is
read."""

from __future__ import annotations

import os
import pickle
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from feature_extraction.store import FeatureStore, write_video_features
from feature_extraction.zoo.__main__ import main
from feature_extraction.zoo.arrays import turned_around
from feature_extraction.zoo.released import find_pieces, join_pieces, num_piece_rows, read_released_file
from feature_extraction.zoo.sources import open_sources, read_array
from runtime.errors import InputError
from video_datasets.time_grid import TimeGrid

HACS = TimeGrid(fps=30, stride_frames=16)
EK100 = TimeGrid(fps=60, stride_frames=8, convention="centred_on_last", spacing="linspace")
HACS_WORDS = ["--fps", "30", "--stride-frames", "16", "--clip-frames", "8", "--interval-frames", "8"]
HACS_WORDS += ["--convention", "centred"]


def values(n: int, c: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, c)).astype(np.float32)


def run_import(source: Path, out: Path, *words: str) -> int:
    return main(["import", str(source), "--out", str(out), "--dtype", "float32", *words])


# ---- formats


@pytest.mark.parametrize("file_format", ["npy", "npz", "pt", "csv"])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_export_and_import_are_inverse(tmp_path: Path, file_format: str, dtype: str) -> None:
    for video_id, n in (("a", 7), ("-b 1", 3)):
        write_video_features(
            tmp_path / "store", video_id, values(n), HACS.times_s(16 * n - 5), HACS,
            attributes={"duration_s": (16 * n - 5) / 30}, dtype=dtype,
        )  # fmt: skip
    exported, out = tmp_path / "exported", tmp_path / "new.h5"
    assert main(["export", str(tmp_path / "store"), "--format", file_format, "--out", str(exported)]) == 0
    durations = ["--durations", str(exported / "durations.csv")]
    words = ["--out", str(out), "--dtype", dtype, *HACS_WORDS, *durations]
    assert main(["import", str(exported / "features"), *words]) == 0
    before, after = FeatureStore(tmp_path / "store"), FeatureStore(out)
    assert list(after) == list(before)
    for video_id in before:
        np.testing.assert_array_equal(after[video_id].features, before[video_id].features)
        np.testing.assert_array_equal(after[video_id].times, before[video_id].times)
        assert after[video_id].grid == before[video_id].grid
        assert after.info(video_id).dtype == dtype
        assert after.duration_s(video_id) == before.duration_s(video_id)
        assert after[video_id].attributes["duration_from"] == "annotations"


def test_other_layouts(tmp_path: Path) -> None:
    """Subfolders and prefixes, C x T, HDF5 with a dataset a video, one .pkl of all videos, .pkl
    a video."""
    nested = tmp_path / "nested/training"
    nested.mkdir(parents=True)
    np.save(nested / "v_a.npy", values(4).T)
    with h5py.File(tmp_path / "anet.hdf5", "w") as file:
        file["v_a"] = values(4).T
        file["_times/v_a"] = np.arange(4.0)
    torch.save({"v_a": values(4).T}, tmp_path / "all.pkl")
    (tmp_path / "pkl").mkdir()
    torch.save(torch.from_numpy(values(4).T), tmp_path / "pkl/v_a.pkl")
    for number, source in enumerate(("nested", "anet.hdf5", "all.pkl", "pkl")):
        out = tmp_path / f"{number}.h5"
        assert run_import(tmp_path / source, out, *HACS_WORDS, "--prefix", "v_", "--transposed") == 0
        np.testing.assert_array_equal(FeatureStore(out)["a"].features, values(4))
        assert list(FeatureStore(out)) == ["a"]


@pytest.mark.parametrize("header", ["f0,f1", "0,1", None])
def test_csv_with_and_without_a_header(tmp_path: Path, header: str | None) -> None:
    rows = ["0.5,1.5", "2.5,3.5"]
    (tmp_path / "a.csv").write_text("\n".join(rows if header is None else [header, *rows]) + "\n")
    np.testing.assert_array_equal(read_array(tmp_path / "a.csv"), [[0.5, 1.5], [2.5, 3.5]])


def test_presets_name_the_times_of_their_origin(tmp_path: Path) -> None:
    """ActionFormer's epic_slowfast_verb.yaml: (i * 16 + 0.5 * 32) / 30."""
    source = tmp_path / "slowfast"
    source.mkdir()
    np.savez(source / "P01_01.npz", feats=values(6, 2304))
    assert run_import(source, tmp_path / "out.h5", "--preset", "actionformer-ek100-slowfast") == 0
    np.testing.assert_allclose(
        FeatureStore(tmp_path / "out.h5").times("P01_01"), (np.arange(6) * 16 + 16) / 30, atol=1e-12
    )


@pytest.mark.parametrize(
    ("stride", "verdict"),
    [(8, "the lengths fit a stride of 8 frames"), (16, "speak for a stride of 16 frames, not 8")],
)
def test_lengths_say_which_of_two_strides_fits(
    stride: int, verdict: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Files as Video Mamba Suite names them, of clips of 16 frames at 30 fps."""
    source, durations_s = tmp_path / "hacs_6b", {"aaaaaaaaaaa": 31.0, "b-_bbbbbbbb": 75.5}
    source.mkdir()
    for video_id, duration_s in durations_s.items():
        rows = (round(duration_s * 30) - 16) // stride + 1
        torch.save(torch.randn(rows, 3200), source / f"v_{video_id}_spatial_pool_feature_6.pt")
    lines = [f"{video_id},{duration_s}" for video_id, duration_s in durations_s.items()]
    (tmp_path / "durations.csv").write_text("\n".join(["video_id,duration", *lines]) + "\n")
    words = ["--preset", "internvideo2-hacs", "--durations", str(tmp_path / "durations.csv")]
    assert run_import(source, tmp_path / "out.h5", *words) == (0 if stride == 8 else 1)
    assert verdict in capsys.readouterr().out
    store = FeatureStore(tmp_path / "out.h5")
    assert set(store) == set(durations_s)
    np.testing.assert_allclose(store.times("aaaaaaaaaaa")[:2], [8 / 30, 16 / 30])


# ---- the released TAdaConv files


def _write_pieces(folder: Path, video_id: str, features: np.ndarray, duration_ms: int) -> None:
    """Cut features of the released grid into 5-second files, as the alibaba loader addresses
    them."""
    folder.mkdir(exist_ok=True)
    centres_s = np.arange(7, duration_ms * 60 / 1000, 8) / 60
    for start_ms in range(0, duration_ms, 5000):
        end_ms = min(start_ms + 5000, duration_ms)
        rows = (centres_s >= start_ms / 1000) & (centres_s <= end_ms / 1000)
        torch.save(features[: len(rows)][rows], folder / f"{video_id}_{start_ms:07}_{end_ms:07}.pkl")


def test_released_pieces_become_a_store(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    duration_ms = 23_400
    centres_s = np.arange(7, duration_ms * 60 / 1000, 8) / 60
    features = values(len(centres_s))
    _write_pieces(tmp_path / "epic", "P01_13", features, duration_ms)
    (tmp_path / "info.csv").write_text("video_id,duration,fps,resolution\nP01_13,23.4,50.0,1920x1080\n")
    (tmp_path / "EPIC_100_validation.csv").write_text(
        "video_id,start_timestamp,stop_timestamp,verb_class,noun_class\n"
        "P01_13,00:00:01.00,00:00:03.00,0,1\nP01_13,00:00:20.00,00:00:20.10,0,1\nP09_09,00:00:01.00,00:00:03.00,0,1\n"
    )
    words = ["--preset", "tadaconv-ek100", "--channels", "5", "--durations", str(tmp_path / "info.csv")]
    words += ["--annotations", str(tmp_path / "EPIC_100_validation.csv"), "--format", "ek100"]
    assert run_import(tmp_path / "epic", tmp_path / "out.h5", *words) == 1  # P09_09 is missing
    record = FeatureStore(tmp_path / "out.h5")["P01_13"]
    np.testing.assert_array_equal(record.features, features)
    np.testing.assert_allclose(record.times, centres_s, atol=1e-12)
    assert record.attributes["preset"] == "tadaconv-ek100"
    assert record.attributes["duration_s"] == 23.4
    printed = capsys.readouterr().out
    assert "lengths of 1 videos: 175 features, expected 175; equal 1" in printed
    assert "annotated videos: 2, missing 1, extra 0" in printed
    # In frames, borders at 3 + 8 j: 60-180 meets 59-179, tIoU 119/121; 1200-1206 meets 1195-1211,
    # tIoU 6/16.
    assert "50.0% at tIoU 0.5, 50.0% at tIoU 0.75, 50.0% at tIoU 0.95" in printed
    assert "skipped: P09_09: annotated, but no features" in printed
    assert (tmp_path / "out.skipped.csv").read_text().startswith("video_id,reason\nP09_09,")


def test_pieces_hold_37_and_38_rows_in_turn() -> None:
    """As counted on the released files: the piece 5-10 s has 38 (thread 6 of the TAdaConv
    repository)."""
    assert [num_piece_rows(EK100, t, t + 5) for t in range(0, 30, 5)] == [37, 38, 37, 38, 37, 38]


def test_pieces_that_do_not_fit_are_told(tmp_path: Path) -> None:
    def joined(*sizes: tuple[int, int, int]) -> np.ndarray:
        names = {f"v_{start:07}_{end:07}.pkl": rows for start, end, rows in sizes}
        pieces = find_pieces(tmp_path / name for name in names)["v"]
        return join_pieces(pieces, EK100, lambda path: np.zeros((names[path.name], 2)))

    assert len(joined((0, 5000, 37), (5000, 10000, 38))) == 75
    assert len(joined((0, 5000, 38), (5000, 10000, 39))) == 75  # one row too many is dropped
    assert len(joined((0, 5000, 37), (5000, 10000, 37))) == 74  # the last may lack one
    for sizes, message in (
        ([(0, 5000, 37), (10000, 15000, 37)], "0010000_0015000.pkl: there is no file for 5-10 s"),
        ([(5000, 10000, 38)], "there is no file for 0-5 s"),
        ([(0, 5000, 37), (0, 6000, 45)], "two files for 0-5 s"),
        ([(0, 5000, 36), (5000, 10000, 38)], "0000000_0005000.pkl: 36 rows, but 37 fit its 5 s"),
        ([(0, 5000, 40)], "40 rows, but 37 fit"),
    ):
        with pytest.raises(InputError, match=message):
            joined(*sizes)


@pytest.mark.parametrize("shape", [(38, 2), (38, 3, 1), (38,)])
def test_a_piece_of_another_width_is_named(tmp_path: Path, shape: tuple[int, ...]) -> None:
    files = {"v_0000000_0005000.pkl": np.zeros((37, 3)), "v_0005000_0010000.pkl": np.zeros(shape)}
    pieces = find_pieces(tmp_path / name for name in files)["v"]
    with pytest.raises(InputError, match=r"v_0005000_0010000\.pkl: rows of shape .*but \(3,\) in v_0000000_"):
        join_pieces(pieces, EK100, lambda path: files[path.name])


@pytest.mark.parametrize("module", [b"numpy.core.multiarray", b"numpy._core.multiarray"])
@pytest.mark.parametrize("zipped", [True, False])
def test_released_arrays_of_any_age_are_read(tmp_path: Path, module: bytes, zipped: bool) -> None:
    """Files of 2022 name NumPy 1's modules; classification results are dicts of arrays."""
    path = tmp_path / "a.pkl"
    content = {"verb_class": values(3), "noun_class": values(3).astype(np.float64)}
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    _rename_module(path, b"numpy._core.multiarray", module)
    arrays = read_released_file(path)
    assert list(arrays) == ["verb_class", "noun_class"]
    np.testing.assert_array_equal(arrays["verb_class"], content["verb_class"])
    np.testing.assert_array_equal(arrays["noun_class"], content["noun_class"])
    assert arrays["noun_class"].dtype == np.float64


def _rename_module(path: Path, old: bytes, new: bytes) -> None:
    """Change the module of a global in a pickle, protocol 2: names end with a line feed there."""
    if not zipfile.is_zipfile(path):
        path.write_bytes(path.read_bytes().replace(b"c" + old + b"\n", b"c" + new + b"\n"))
        return
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, content.replace(b"c" + old + b"\n", b"c" + new + b"\n"))


# ---- what must not be read


class _Code:
    """Calls a shell command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, (f"touch {self.path}",)


def test_pickles_with_code_are_refused(tmp_path: Path) -> None:
    code = _Code(tmp_path / "trace")
    torch.save({"a": code}, tmp_path / "code.pkl")
    (tmp_path / "plain.pkl").write_bytes(pickle.dumps(code, protocol=2))
    np.save(tmp_path / "code.npy", np.array([code], dtype=object), allow_pickle=True)
    with pytest.raises(
        InputError, match=r"code\.pkl: refused, since it is not plain data: it calls \w+.system"
    ):
        read_released_file(tmp_path / "code.pkl")
    with pytest.raises(
        InputError, match=r"plain\.pkl: it is a plain pickle.* numpy\.save\(FILE\.npy, array\)"
    ):
        read_released_file(tmp_path / "plain.pkl")
    with pytest.raises(
        InputError, match=r"code\.npy: not readable \(ValueError: Object arrays cannot be loaded"
    ):
        read_array(tmp_path / "code.npy")
    assert not (tmp_path / "trace").exists()
    np.load(tmp_path / "code.npy", allow_pickle=True)
    assert (tmp_path / "trace").exists()  # it would have


@pytest.mark.parametrize("content", [["text"], {"a": "text"}, {}, np.array(["text"]), 3])
def test_other_contents_are_named(tmp_path: Path, content: Any) -> None:
    torch.save(content, tmp_path / "a.pkl")
    with pytest.raises(InputError, match=r"a\.pkl: (expected an array of numbers|refused|not readable)"):
        read_released_file(tmp_path / "a.pkl")


def test_unsafe_ids_stop(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    torch.save({"../x": values(3)}, tmp_path / "all.pkl")
    assert run_import(tmp_path / "all.pkl", tmp_path / "out.h5", *HACS_WORDS) == 2
    assert "unsafe video id '../x'" in capsys.readouterr().err
    assert not (tmp_path / "out.h5").exists()


def test_damaged_files_are_listed_and_the_rest_is_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    source = tmp_path / "source"
    source.mkdir()
    np.savez(source / "a.npz", feats=values(4))
    np.savez(source / "b.npz", feats=values(4, c=6))
    np.savez(source / "c.npz", feats=np.full((4, 5), np.nan))
    np.savez(source / "d.npz", x=values(4), y=values(4))
    np.savez(source / "e.npz", feats=values(4)[0])
    np.savez(source / "f.npz", feats=values(5, c=4).T.copy()[:, :4])
    np.savez(source / "g.npz", feats=values(0))
    (source / "h.npz").write_bytes((source / "a.npz").read_bytes()[:200])
    (source / "i.npz").write_text("<html>404</html>")
    np.savez(source / "j.npz", feats=values(8))
    assert run_import(source, tmp_path / "out.h5", *HACS_WORDS) == 1
    assert list(FeatureStore(tmp_path / "out.h5")) == ["a", "j"]
    printed = capsys.readouterr().out
    for line in (
        "b: not imported: expected T x 5, found 4 x 6",
        "c: not imported: video 'c': features hold nan",
        "d: not imported: d.npz: expected one array, or one called 'feats'; found x, y",
        "e: not imported: expected features of two axes, found shape (5,)",
        "f: not imported: expected T x 5, found 4 x 4",
        "g: not imported: no features",
        "h: not imported: h.npz: not readable (BadZipFile",
        "i: not imported: i.npz: not readable",
    ):
        assert f"skipped: {line}" in printed
    assert not list(tmp_path.glob("*.part"))


def test_transposed_arrays_are_hinted_at(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "s").mkdir()
    np.save(tmp_path / "s/a.npy", values(7).T)
    assert run_import(tmp_path / "s", tmp_path / "out.h5", *HACS_WORDS, "--channels", "5") == 2
    assert "expected T x 5, found 5 x 7; --transposed turns C x T around" in capsys.readouterr().err
    assert not (tmp_path / "out.h5").exists()


def test_lengths_that_speak_for_another_grid(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for folder, lengths in (("stride", (30, 60)), ("fixed", (100, 100))):
        (tmp_path / folder).mkdir()
        for video_id, n in zip("ab", lengths, strict=True):
            np.save(tmp_path / folder / f"{video_id}.npy", values(n))
    (tmp_path / "d.csv").write_text("video,duration_s\na,8\nb,16\n")
    words = [*HACS_WORDS, "--durations", str(tmp_path / "d.csv")]
    assert run_import(tmp_path / "stride", tmp_path / "1.h5", *words) == 1
    printed = capsys.readouterr().out
    assert "WARNING: the lengths speak for a stride of 8 frames, not 16" in printed
    assert "skipped: a: kept, but has 30 features where 15 fit its 8.0 s" in printed
    assert len(FeatureStore(tmp_path / "1.h5")) == 2
    assert run_import(tmp_path / "fixed", tmp_path / "2.h5", *words) == 1
    assert "WARNING: every video has 100 features" in capsys.readouterr().out


def test_bad_arguments_are_told(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    source = tmp_path / "s"
    source.mkdir()
    out = tmp_path / "out.h5"
    assert run_import(source, out, *HACS_WORDS) == 2
    assert "no feature files found" in capsys.readouterr().err
    np.save(source / "a.npy", values(3))
    assert run_import(source, out, "--fps", "30") == 2
    assert (
        "incomplete: --stride-frames, --clip-frames, --interval-frames, --convention"
        in capsys.readouterr().err
    )
    assert run_import(source, out, *HACS_WORDS, "--stride-frames", "0") == 2
    assert "stride_frames must be a whole number" in capsys.readouterr().err
    assert run_import(tmp_path / "none", out, *HACS_WORDS) == 2
    assert "none: no such file or folder" in capsys.readouterr().err
    (source / "deeper").mkdir()
    np.save(source / "deeper/a.npy", values(3))
    assert run_import(source, out, *HACS_WORDS) == 2
    assert "video 'a' is there twice" in capsys.readouterr().err
    (source / "deeper/a.npy").rename(source / "deeper/a.npz")
    assert run_import(source, out, *HACS_WORDS) == 2
    assert "several kinds (1 npy, 1 npz); say which to read with --files" in capsys.readouterr().err
    assert run_import(source, out, *HACS_WORDS, "--files", "npy") == 0
    before = out.read_bytes()
    assert run_import(source, out, *HACS_WORDS, "--files", "npy") == 2
    assert "out.h5: exists already" in capsys.readouterr().err
    assert out.read_bytes() == before
    (tmp_path / "a.csv").write_text("video,start_s,end_s,label,subset\na,0,1,x,training\n")
    words = [*HACS_WORDS, "--files", "npy", "--annotations", str(tmp_path / "a.csv"), "--format", "csv"]
    assert run_import(source, tmp_path / "new.h5", *words, "--subset", "test") == 2
    assert "--subset test: no annotated video is in it; found ['training']" in capsys.readouterr().err
    assert not (tmp_path / "new.h5").exists()
    (tmp_path / "d.csv").write_text("video,duration_s\na,x\n")
    words = [*HACS_WORDS, "--files", "npy", "--durations", str(tmp_path / "d.csv")]
    assert run_import(source, tmp_path / "new.h5", *words) == 2
    assert "line 2: 'duration_s' must be a number of seconds, found 'x'" in capsys.readouterr().err


def test_arrays_of_a_pkl_without_the_prefix_are_left_out(tmp_path: Path) -> None:
    """As in folders and HDF5 files; else `a` would silently replace `v_a`."""
    torch.save({"v_a": values(7, seed=1), "a": values(7, seed=2)}, tmp_path / "all.pkl")
    assert run_import(tmp_path / "all.pkl", tmp_path / "x.h5", *HACS_WORDS, "--prefix", "v_") == 0
    store = FeatureStore(tmp_path / "x.h5")
    assert list(store) == ["a"]
    np.testing.assert_array_equal(store["a"].features, values(7, seed=1))


# ---- files as people have them


def test_exchanged_axes_are_recognised(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    for name, length in (("a", 40), ("b", 55), ("c", 30)):
        (tmp_path / "cxt").mkdir(exist_ok=True)
        np.save(tmp_path / "cxt" / f"{name}.npy", values(16, length))
    out = tmp_path / "x.h5"
    assert run_import(tmp_path / "cxt", out, *HACS_WORDS) == 2
    assert (
        "x.h5: not written: all 3 videos have 16 rows, and 30 to 55 columns: they look like C x T; give --transposed"
        in capsys.readouterr().err
    )
    assert not out.exists()
    assert run_import(tmp_path / "cxt", out, *HACS_WORDS, "--transposed") == 0
    assert FeatureStore(out)["b"].features.shape == (55, 16)


@pytest.mark.parametrize(
    ("shapes", "transposed", "channels", "odd"),
    [
        ([(16, 40), (16, 55)], False, None, True),
        ([(16, 40), (16, 55)], True, None, False),
        ([(40, 16), (55, 16)], False, None, False),
        ([(40, 16), (55, 16)], True, None, True),
        ([(2048, 173)], False, None, True),  # one video, of a usual number of channels
        ([(173, 2048)], False, None, False),
        ([(100, 2048), (100, 2048)], False, None, False),  # rescaled
        ([(256, 100)] * 3, False, 100, False),  # the user says so
        ([(256, 2048)] * 3, False, None, False),  # both are usual
        ([], False, None, False),
    ],
)
def test_which_axes_look_exchanged(
    shapes: list[tuple[int, int]], transposed: bool, channels: int | None, odd: bool
) -> None:
    assert bool(turned_around(shapes, transposed, channels)) == odd


FORMS = {
    "pandas' index": ",0,1,2\n0,0.5,0.25,3\n1,1,2,-4\n",
    "a header with a byte order mark": "\ufefff0,f1,f2\n0.5,0.25,3\n1,2,-4\n",
    "blanks, no header": "5.0e-01 2.5e-01 3\n1 2 -4\n",
    "semicolons and decimal commas": "a;b;c\n0,5;0,25;3\n1;2;-4\n",
    "tabs, no header": "0.5\t0.25\t3\n1\t2\t-4\n",
}


@pytest.mark.parametrize("text", FORMS.values(), ids=FORMS.keys())
def test_csv_of_many_hands(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    np.testing.assert_array_equal(read_array(tmp_path / "a.csv"), [[0.5, 0.25, 3], [1, 2, -4]])


@pytest.mark.parametrize(
    "text", ["a,b\n1,2\n3,4,5\n", "a,b\n1,2,3\n4,5,6\n", "a,b,c\n1,2\n3,4\n", "a,b\n1,x\n"]
)
def test_csv_lines_that_do_not_fit_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(InputError, match=r"a\.csv: (not readable|\d cells in a row under a header of \d)"):
        read_array(tmp_path / "a.csv")


def test_arrays_among_others_and_with_more_axes(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    np.savez(folder / "a.npz", features=values(4), duration=np.array(3.0))
    np.savez(folder / "b.npz", x=values(4)[None])
    np.savez(folder / "c.npz", x=values(4)[:, :, None, None])
    np.savez(folder / "crops.npz", x=np.zeros((4, 10, 5), np.float32))
    np.savez(folder / "two.npz", rgb=values(4), flow=values(4))
    np.savez(folder / "._a.npz", x=values(2))
    assert run_import(folder, tmp_path / "x.h5", *HACS_WORDS) == 1
    store = FeatureStore(tmp_path / "x.h5")
    assert list(store) == ["a", "b", "c"]
    for video_id in store:
        np.testing.assert_array_equal(store[video_id].features, values(4))
    printed = capsys.readouterr().out
    assert (
        "crops: not imported: expected features of two axes, found (4, 10, 5): several views of each clip"
        in printed
    )
    assert "two.npz: expected one array, or one called 'feats'; found flow, rgb" in printed


def test_groups_of_an_hdf5_file(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "c3d.hdf5", "w") as file:
        file["v_a/c3d_features"] = values(4)
        file["v_b/c3d_features"] = values(6)
        file["v_b/fps"] = 30.0
    assert run_import(tmp_path / "c3d.hdf5", tmp_path / "x.h5", *HACS_WORDS, "--prefix", "v_") == 0
    np.testing.assert_array_equal(FeatureStore(tmp_path / "x.h5")["b"].features, values(6))


def test_a_strangers_links_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as file:
        file["a"] = values(4)
    with h5py.File(tmp_path / "in.h5", "w") as file:
        file["a"] = h5py.ExternalLink("secret.h5", "a")
    assert run_import(tmp_path / "in.h5", tmp_path / "x.h5", *HACS_WORDS) == 2
    assert "'a' is a link to another place: refused" in capsys.readouterr().err


def test_other_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "data.mdb").touch()
    with pytest.raises(
        InputError, match=r"no feature files found \(looked for .npy, .*; found 1 of .mdb; an LMDB"
    ):
        open_sources(tmp_path)
