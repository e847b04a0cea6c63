"""Exported files and settings: the readers' own arithmetic and loading lines must give our times
and values."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from feature_extraction.store import FeatureStore, write_video_features
from feature_extraction.zoo.__main__ import main
from feature_extraction.zoo.config_values import config_values
from video_datasets.time_grid import CONVENTIONS, SPACINGS, TimeGrid, interpolate_to_cells

HACS = TimeGrid(fps=30, stride_frames=16)
LINSPACE = TimeGrid(fps=60, stride_frames=8, convention="no_padding", spacing="linspace")
RELEASED = TimeGrid(fps=60, stride_frames=8, convention="centred_on_last", spacing="linspace")
HALF = TimeGrid(fps=30, stride_frames=16, convention="no_padding")  # clips span 57 frames: an offset of 28.5


def _actionformer_times(values: dict, n: int) -> np.ndarray:
    """libs/modeling/meta_archs.py, postprocessing: (segs * stride + 0.5 * nframes) / fps."""
    return (np.arange(n) * values["feat_stride"] + 0.5 * values["num_frames"]) / values["default_fps"]


def _opentad_times(values: dict, n: int) -> np.ndarray:
    """opentad/datasets/base: offset and stride are cut to whole frames."""
    stride = int(values["feature_stride"] * values["sample_stride"])
    return (np.arange(n) * stride + int(values["offset_frames"])) / values["fps"]


def _check_times(grid: TimeGrid) -> None:
    values = config_values(grid, 2048, 173, "npy")
    expected = grid.feature_to_seconds(np.arange(5000))
    np.testing.assert_allclose(_actionformer_times(values["actionformer"], 5000), expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(_opentad_times(values["opentad"], 5000), expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("grid", [HACS, LINSPACE, RELEASED, HALF])
def test_readers_find_our_times(grid: TimeGrid) -> None:
    _check_times(grid)


@given(
    fps=st.sampled_from([15, 24, 25, 29.97, 30, 50, 59.94, 60]),
    stride=st.integers(1, 40),
    clip=st.integers(1, 32),
    interval=st.integers(1, 9),
    convention=st.sampled_from(CONVENTIONS),
    spacing=st.sampled_from(SPACINGS),
)
def test_readers_find_the_times_of_any_grid(
    fps: float, stride: int, clip: int, interval: int, convention: str, spacing: str
) -> None:
    _check_times(TimeGrid(fps, stride, clip, interval, convention, spacing))


def test_settings_by_hand() -> None:
    values = config_values(HACS, 2048, 173, "npy")
    assert values["actionformer"] == {
        "file_prefix": None,
        "file_ext": ".npy",
        "input_dim": 2048,
        "feat_stride": 16,
        "num_frames": 16,
        "default_fps": 30,
        "downsample_rate": 1,
        "max_seq_len": 256,
    }
    assert config_values(LINSPACE, 1, 1, "npy")["actionformer"]["num_frames"] == 64
    assert config_values(HALF, 1, 9999, "npy")["opentad"] == {
        "feat_format": "npy",
        "in_channels": 1,
        "feature_stride": 32,
        "sample_stride": 1,
        "offset_frames": 57,
        "fps": 60,
        "window_size": 2304,
        "pad_len": 2304,
    }


@pytest.fixture
def store(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    for video_id, n in (("a", 7), ("b-1", 3)):
        write_video_features(
            tmp_path / "store",
            video_id,
            random.normal(size=(n, 5)) * 10 ** random.uniform(-6, 3, size=(n, 5)),
            HACS.times_s(16 * n),
            HACS,
            attributes={"duration_s": 16 * n / 30},
        )
    return tmp_path / "store"


def _opentad_read(path: Path) -> np.ndarray:
    """opentad/datasets/transforms/loading.py, LoadFeats."""
    if path.suffix == ".npy":
        return np.load(path).astype(np.float32)
    if path.suffix == ".npz":
        return np.load(path)["feats"].astype(np.float32)
    if path.suffix == ".csv":
        return pd.read_csv(path, dtype="float32").to_numpy().astype(np.float32)
    return torch.load(path, weights_only=True).float().numpy()


@pytest.mark.parametrize("file_format", ["npy", "npz", "pt", "csv"])
def test_readers_find_our_values(
    store: Path, tmp_path: Path, file_format: str, capsys: pytest.CaptureFixture
) -> None:
    out = tmp_path / "out"
    assert main(["export", str(store), "--format", file_format, "--out", str(out)]) == 0
    assert sorted(path.name for path in (out / "features").iterdir()) == [
        f"a.{file_format}",
        f"b-1.{file_format}",
    ]
    for video_id, record in FeatureStore(store).items():
        np.testing.assert_array_equal(
            _opentad_read(out / "features" / f"{video_id}.{file_format}"), record.features
        )
    text, _, written = capsys.readouterr().out.strip().rpartition("\n")
    assert text.strip() == (out / "config_values.txt").read_text().strip()
    assert f"wrote 2 files of features to {out / 'features'}, and beside them config_values.json" in written
    assert "(i * 16 + 8) / 30 s: 0.2667, 0.8000, 1.3333" in text
    values = json.loads((out / "config_values.json").read_text())
    assert values["opentad"]["offset_frames"] == 8
    # anet.py and thumos14.py take what np.load returns for an array, epic_kitchens.py the "feats"
    # of an .npz.
    reader = {"npy": {"actionformer"}, "npz": {"actionformer_epic_kitchens"}}.get(file_format, set())
    assert {name for name in values if name.startswith("actionformer")} == reader
    assert values["grid"] == HACS.to_dict()
    assert (out / "durations.csv").read_text().splitlines()[1] == f"a,{112 / 30}"
    assert (out / "missing_files.txt").read_text() == ""


def test_rescaled_for_bmn(store: Path, tmp_path: Path) -> None:
    """BMN reads 100 rows below a header; row i stands at (i + 0.5) / 100 of the video, also for
    ActionFormer."""
    out = tmp_path / "out"
    assert main(["export", str(store), "--format", "csv", "--cells", "100", "--out", str(out)]) == 0
    record = FeatureStore(store)["a"]
    duration_s = record.attributes["duration_s"]
    rows = pd.read_csv(out / "features/a.csv").to_numpy(dtype=np.float32)
    np.testing.assert_array_equal(rows, interpolate_to_cells(record.features, record.times, duration_s, 100))
    values = json.loads((out / "config_values.json").read_text())
    assert values["bmn"] == {"temporal_scale": 100, "feat_dim": 5}
    anet = config_values(HACS, 5, 7, "npy", cells=100)["actionformer"]
    assert anet["feat_stride"] <= 0
    feat_stride = duration_s * anet["default_fps"] / len(rows)  # libs/datasets/anet.py
    found = (np.arange(100) * feat_stride + 0.5 * feat_stride * anet["num_frames"]) / anet["default_fps"]
    np.testing.assert_allclose(found, (np.arange(100) + 0.5) / 100 * duration_s, atol=1e-9)


def test_missing_videos_are_named_for_opentad(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    annotations = tmp_path / "a.csv"
    annotations.write_text("video,start_s,end_s,label,subset\na,0,1,x,training\ngone,0,1,x,training\n")
    write_video_features(store, "empty", np.zeros((0, 5)), [], HACS, attributes={})
    words = ["--annotations", str(annotations), "--annotation-format", "csv"]
    assert main(["export", str(store), "--format", "npy", "--out", str(tmp_path / "out"), *words]) == 1
    assert (tmp_path / "out/missing_files.txt").read_text() == "gone\nempty\n"
    assert "skipped: gone: annotated, but not in the store" in capsys.readouterr().out


def test_what_cannot_be_exported(store: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    words = ["--format", "npy", "--out", str(tmp_path / "out")]
    assert main(["export", str(tmp_path / "none"), *words]) == 2
    assert "no such feature store" in capsys.readouterr().err
    assert main(["export", str(store), *words, "--cells", "0"]) == 2
    assert "--cells must be at least 1" in capsys.readouterr().err
    write_video_features(store, "c", np.zeros((2, 4)), [0.1, 0.2], HACS, attributes={})
    assert main(["export", str(store), *words]) == 2
    assert "videos 'a' and 'c' differ: 5 channels" in capsys.readouterr().err


# ---- what readers want beside features

ANNOTATED = """video,start_s,end_s,label,subset
a,0.5,2.5,wave,training
a,3,3.5,jump,training
b-1,1,2,wave,validation
gone,0,1,spin,validation
"""


def _export_annotated(store: Path, tmp_path: Path, *words: str) -> Path:
    annotations, out = tmp_path / "a.csv", tmp_path / "out"
    annotations.write_text(ANNOTATED)
    common = ["--out", str(out), "--annotations", str(annotations), "--annotation-format", "csv"]
    assert main(["export", str(store), *common, *words]) == 1  # one video is not in the store
    return out


def _actionformer_items(path: Path, subset: str) -> dict[str, tuple[float, list[list[float]], list[int]]]:
    """libs/datasets/anet.py, _load_json_db: subset in lower case, duration as a number, label_id
    of each segment."""
    found = {}
    for name, value in json.loads(path.read_text())["database"].items():
        if value["subset"].lower() == subset:
            segments = [act["segment"] for act in value["annotations"]]
            found[name] = (value["duration"] / 1, segments, [act["label_id"] for act in value["annotations"]])
    return found


def test_actionformer_and_tridet_get_their_annotations(
    store: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    out = _export_annotated(store, tmp_path, "--format", "npy")
    durations_s = {name: record.attributes["duration_s"] for name, record in FeatureStore(store).items()}
    training = _actionformer_items(out / "actionformer.json", "training")
    assert training == {"a": (durations_s["a"], [[0.5, 2.5], [3.0, 3.5]], [2, 0])}  # jump, spin, wave
    assert _actionformer_items(out / "actionformer.json", "validation") == {
        "b-1": (durations_s["b-1"], [[1.0, 2.0]], [2])
    }
    assert capsys.readouterr().out.strip().endswith("missing_files.txt, actionformer.json")


def test_jjboys_bmn_gets_its_files(store: Path, tmp_path: Path) -> None:
    out = _export_annotated(store, tmp_path, "--format", "csv", "--cells", "100")
    table = pd.read_csv(out / "bmn/video_info_new.csv")  # dataset.py, _getDatasetDict
    database = json.loads((out / "bmn/anet_anno_action.json").read_text())
    assert dict(zip(table.video, table.subset, strict=True)) == {"a": "training", "b-1": "validation"}
    for name, record in FeatureStore(store).items():
        info = database[name]
        corrected_s = info["feature_frame"] / info["duration_frame"] * info["duration_second"]
        assert corrected_s == record.attributes["duration_s"]
        rows = pd.read_csv(out / "bmn" / f"csv_mean_{100}" / f"{name}.csv")
        assert rows.shape == (100, record.features.shape[1])
    assert [entry["segment"] for entry in database["a"]["annotations"]] == [[0.5, 2.5], [3.0, 3.5]]
