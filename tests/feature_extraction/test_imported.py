"""The stage with somebody else's store: checked, linked, independent of finetuning and videos."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pytest

from feature_extraction import FeatureStore
from feature_extraction.__main__ import main
from feature_extraction.store import merge_features, write_video_features
from video_datasets.time_grid import TimeGrid

HACS = TimeGrid(fps=30, stride_frames=16)
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def annotated(tiny_mini: Path) -> list[str]:
    return list(json.loads((tiny_mini / "HACS_segments_v1.1.1.json").read_text())["database"])


def make_store(folder: Path, ids: list[str], grid: TimeGrid = HACS, channels: int = 6) -> Path:
    for i, video_id in enumerate(ids):
        features = np.random.default_rng(i).normal(size=(grid.num_features(70), channels))
        write_video_features(
            folder / "parts", video_id, features, grid.times_s(70), grid, attributes={"duration_s": 2.3}
        )
    merge_features(folder / "parts", folder / "theirs.h5")
    return folder / "theirs.h5"


def stage(tiny_mini: Path, tmp_path: Path, store: Path, *words: str) -> int:
    config = ROOT / "configs" / "hacs_mini.yaml"
    places = [f"run_dir={tmp_path / 'run'}", f"data.root={tiny_mini}", "data.mini=false"]
    return main(["--config", str(config), *places, f"features.store={store}", *words])


def test_a_store_is_linked_and_what_it_lacks_is_listed(
    tiny_mini: Path, tmp_path: Path, annotated: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    store = make_store(tmp_path, [*annotated[1:], "another"])
    assert stage(tiny_mini, tmp_path, store) == 1
    assert f"{annotated[0]}: not in theirs.h5" in capsys.readouterr().err
    folder = tmp_path / "run" / "features"
    found = FeatureStore(folder)
    np.testing.assert_array_equal(found[annotated[1]].features, FeatureStore(store)[annotated[1]].features)
    record = json.loads((folder / "stage.json").read_text())
    assert record["counts"] == {"videos": len(annotated) - 1}
    assert "stage.finetune" not in record["fingerprint_parts"]
    assert stage(tiny_mini, tmp_path, store) == 1
    assert "complete, nothing to do" in capsys.readouterr().err
    make_store(tmp_path, [*annotated, "another"])
    assert stage(tiny_mini, tmp_path, store) == 2
    assert "input.store was theirs.h5" in capsys.readouterr().err
    assert stage(tiny_mini, tmp_path, store, "--force") == 0
    assert store.exists()


def test_a_store_for_the_real_annotations_of_ek100_needs_no_training_labels(
    shared: Path, tmp_path: Path
) -> None:
    store = make_store(tmp_path, ["P01_11"], TimeGrid(fps=60, stride_frames=8))
    words = [
        f"run_dir={tmp_path / 'run'}",
        f"data.root={shared / 'data' / 'ek100'}",
        f"features.store={store}",
    ]
    assert main(["--config", str(ROOT / "configs" / "ek100.yaml"), *words]) == 1
    record = json.loads((tmp_path / "run" / "features" / "stage.json").read_text())
    assert record["counts"] == {"videos": 1}
    assert len(record["skipped"]) == 204


def test_stores_that_do_not_fit_are_refused(
    tiny_mini: Path, tmp_path: Path, annotated: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    other_grid = make_store(
        tmp_path / "a", annotated, TimeGrid(fps=30, stride_frames=16, convention="no_padding")
    )
    foreign = make_store(tmp_path / "b", ["x", "y"])
    damaged = make_store(tmp_path / "c", annotated)
    with h5py.File(damaged, "a") as file:
        file[annotated[2]][0, 0] = np.inf
    uneven = make_store(tmp_path / "d", annotated)
    with (
        h5py.File(uneven, "a") as file,
        h5py.File(make_store(tmp_path / "e", annotated, channels=7)) as wider,
    ):
        del file[annotated[3]]
        wider.copy(annotated[3], file)
    cases = {
        other_grid: "on another grid: convention was no_padding, is now centred in the configuration",
        foreign: "holds none of the annotated videos; a video in it: x",
        damaged: f"video '{annotated[2]}': damaged: its values are not those that were written",
        uneven: f"video '{annotated[3]}' has 7 channels, others have 6",
        tmp_path / "gone.h5": "expected a feature store in one HDF5 file",
    }
    for store, message in cases.items():
        assert stage(tiny_mini, tmp_path, store) == 2, message
        assert message in capsys.readouterr().err


def test_stores_of_other_grids_are_joined_by_time(
    tiny_mini: Path, tmp_path: Path, annotated: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    rgb = make_store(tmp_path / "rgb", annotated)
    denser = TimeGrid(fps=30, stride_frames=4)
    ids = annotated[1:]
    for video_id in ids:  # a line in time, which linear interpolation keeps
        times_s = denser.times_s(70)
        features = times_s[:, None] * np.array([1.0, -2.0])
        write_video_features(
            tmp_path / "flow/parts", video_id, features, times_s, denser, attributes={}, dtype="float32"
        )
    merge_features(tmp_path / "flow/parts", tmp_path / "flow/theirs.h5")
    assert stage(tiny_mini, tmp_path, rgb, f"features.joined=[{tmp_path / 'flow/theirs.h5'}]") == 1
    assert f"{annotated[0]}: not in theirs.h5, which is to be joined" in capsys.readouterr().err
    record = FeatureStore(tmp_path / "run/features")[ids[0]]
    assert record.grid == HACS
    np.testing.assert_array_equal(record.features[:, :6], FeatureStore(rgb)[ids[0]].features)
    read_s = np.minimum(record.times, denser.times_s(70)[-1])  # behind the last feature its value is held
    np.testing.assert_allclose(record.features[:, 6:], read_s[:, None] * np.array([1.0, -2.0]), rtol=1e-3)
    assert stage(tiny_mini, tmp_path, rgb, f"features.joined=[{tmp_path / 'none.h5'}]", "--force") == 2
    assert "features.joined=" in capsys.readouterr().err
