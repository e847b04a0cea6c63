"""The stage's own words: a dry run, a cluster's address, the recipe that travels to workers."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest

from feature_extraction.__main__ import main
from feature_extraction.recipe import Recipe, source_attributes
from feature_extraction.settings import FeaturesConfig
from feature_extraction.stage import stage_spec
from pipeline.stages import load_config
from runtime.errors import InputError
from runtime.sections import RunConfig
from runtime.settings import RuntimeConfig
from video_datasets.time_grid import TimeGrid

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
CONFIG = str(CONFIGS / "hacs_mini.yaml")


def test_a_dry_run_of_the_stage_needs_no_finetuning_and_leaves_the_headers(
    tiny_mini: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = [f"run_dir={tmp_path / 'run'}", f"data.root={tiny_mini}", "data.mini=false"]
    assert main(["--config", CONFIG, "--dry-run", *places]) == 0
    count = len(json.loads((tiny_mini / "HACS_segments_v1.1.1.json").read_text())["database"])
    printed = capsys.readouterr().out
    assert f"{count} asked for, 0 finished, {count} to extract, 0 missing, 0 unreadable" in printed
    assert "core-seconds (measured" in printed
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["headers.json"]


def test_a_dry_run_on_the_real_annotations_of_ek100_needs_no_training_labels(
    shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The training file is not among them."""
    words = [f"run_dir={tmp_path / 'run'}", f"data.root={shared / 'data' / 'ek100'}", "runtime.device=cpu"]
    assert main(["--config", str(CONFIGS / "ek100.yaml"), "--dry-run", *words]) == 1  # no videos
    assert "205 asked for, 0 finished, 0 to extract, 205 missing, 0 unreadable" in capsys.readouterr().out
    assert not (tmp_path / "run").exists()


def test_a_dry_run_has_nothing_to_say_of_a_given_store(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [f"run_dir={tmp_path / 'run'}", f"features.store={tmp_path / 's.h5'}"]
    assert main(["--config", CONFIG, "--dry-run", *words]) == 2
    assert "with features.store there is none" in capsys.readouterr().err


def test_the_stage_reads_finetuning_or_a_store(tmp_path: Path) -> None:
    config = load_config(CONFIG, [f"run_dir={tmp_path}"])
    assert stage_spec(config).reads == ("finetune",)
    (tmp_path / "s.h5").write_bytes(b"12345")
    with_store = config.changed(features=FeaturesConfig(store=str(tmp_path / "s.h5")))
    assert isinstance(with_store, RunConfig)
    spec = stage_spec(with_store)
    assert spec.reads == ()
    assert spec.inputs(with_store)["store"] == "s.h5 (5 bytes)"


def recipe(folder: Path) -> Recipe:
    return Recipe(
        model="tada2d_mini",
        weights=None,
        grid=TimeGrid(fps=30, stride_frames=16),
        features=FeaturesConfig(short_side_px=32, crops="three"),
        runtime=RuntimeConfig(device="cpu"),
        folder=folder,
    )


def test_a_recipe_travels_with_all_that_a_worker_might_see_differently() -> None:
    travelling = recipe(Path("out")).for_workers("abc")
    assert pickle.loads(pickle.dumps(travelling)) == travelling
    assert hash(travelling) == hash(pickle.loads(pickle.dumps(travelling)))  # workers keep networks by recipe
    assert travelling.folder == Path.cwd() / "out"
    assert travelling.runtime.threads > 0
    with pytest.raises(InputError, match="other weights here than where the extraction was started"):
        travelling.load()


def test_three_crops_have_three_times_the_channels(tmp_path: Path) -> None:
    assert recipe(tmp_path).load().num_channels == 3 * 256


def test_long_files_are_hashed_at_their_ends(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    content = bytes(range(256)) * 16384  # 4 MiB
    path.write_bytes(content)
    whole = source_attributes(path)
    assert (whole["source"], whole["source_bytes"]) == ("v.mp4", len(content))
    for place, changes in ((0, True), (len(content) // 2, False), (len(content) - 1, True)):
        other = bytearray(content)
        other[place] ^= 1
        path.write_bytes(other)
        assert (source_attributes(path)["source_ends_sha256"] != whole["source_ends_sha256"]) is changes
