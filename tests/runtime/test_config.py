"""Configuration: the order of its layers, what is refused and how, and the way back to YAML."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import yaml

from pipeline.stages import load_config
from runtime.config import config_to_dict, config_to_yaml, flatten
from runtime.errors import InputError
from runtime.sections import RunConfig

CONFIGS = sorted((Path(__file__).resolve().parents[2] / "configs").glob("*.yaml"))


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    """A configuration with the mandatory keys and two of its own."""
    return _write(tmp_path, "run_dir: runs/a\ndata: {root: data}\nbmn: {epochs: 3}\nseed: 5\n")


def _write(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def test_words_go_over_the_file_and_the_file_over_the_defaults(config_file: Path) -> None:
    config = load_config(config_file, ["bmn.epochs=7", "bmn.tscale=128", "bmn.tscale=64", "bmn.dscale=64"])
    assert config.bmn.epochs == 7  # file: 3, default: 10
    assert config.seed == 5  # default: 0
    assert config.bmn.tscale == 64  # of two words the last
    assert config.bmn.num_samples == 32  # named nowhere


def test_values_of_all_types_come_from_words(config_file: Path) -> None:
    words = ["finetune.short_side_px=[128,160]", "finetune.crop_px=112", "finetune.init_weights=null"]
    config = load_config(config_file, [*words, "finetune.learning_rate=1e-3", "finetune.flip=false"])
    assert tuple(config.finetune.short_side_px) == (128, 160)
    assert config.finetune.init_weights is None
    assert config.finetune.learning_rate == 1e-3
    assert config.finetune.flip is False


def test_a_tilde_is_the_home_folder_in_places_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    file = _write(tmp_path, "run_dir: ~/runs/a\ndata: {root: ~/data, validation_subset: ~val}\n")
    config = load_config(file, ["bmn.init_weights=~/w.pt", "features.store=~nobody-of-this-name/f.h5"])
    assert config.run_dir == "/home/me/runs/a"
    assert config.data.root == "/home/me/data"
    assert config.bmn.init_weights == "/home/me/w.pt"
    assert config.data.validation_subset == "~val"
    assert config.features.store == "~nobody-of-this-name/f.h5"
    assert load_config(file, ["seed=1"]).run_dir == "/home/me/runs/a-seed1"


def test_the_result_is_plain_and_frozen(config_file: Path) -> None:
    config = load_config(config_file)
    assert isinstance(config, RunConfig)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.seed = 1  # type: ignore[misc]
    for value in flatten(config_to_dict(config)).values():
        assert type(value) in (int, float, str, bool, list, type(None))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["features.short_side_px=1000000"], r"features\.short_side_px must be at most 4320, found 1000000"),
        (["bmn.epoch=3"], r"unknown key 'bmn.epoch' in the command line; closest known: bmn\.epochs"),
        (["tscale=3"], r"unknown key 'tscale'.*bmn\.tscale"),  # section forgotten
        (["finetune.tscale=3"], r"unknown key 'finetune.tscale'.*bmn\.tscale"),  # wrong section
        (["zzzzzzzz=3"], "unknown key 'zzzzzzzz'.*`python -m pipeline.settings` lists all keys"),
        (["bmn.epochs.more=3"], "unknown key 'bmn.epochs.more'"),
        (["bmn.epochs=many"], "'many'.*bmn.epochs|bmn.epochs.*'many'"),
        (["bmn.epochs=1.5"], r"1\.5"),
        (["seed=null"], "seed"),
        (["bmn=3"], "bmn"),
        (["finetune.short_side_px=[1]"], "short_side_px"),
        (["features.dtype=float64"], "float64.*float16"),
        (["data.mini=perhaps"], "perhaps"),
        (["bmn.epochs"], "expected key=value on the command line, found 'bmn.epochs'"),
        (["=3"], "expected key=value"),
        (["data.root=${nothing}"], "nothing"),
    ],
)
def test_a_bad_word_is_refused_with_its_name(config_file: Path, words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_config(config_file, words)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "run_dir: a\ndata: {root: d}\nbmm: {epochs: 3}\n",
            r"unknown key 'bmm.epochs' in .*run.yaml; closest.*bmn",
        ),
        ("data: {root: d}\n", r"^\S*run\.yaml: mandatory key not set: run_dir; add it to the file$"),
        ("", r"run\.yaml: mandatory key not set: data.root, run_dir"),
        ("- a\n- b\n", "expected `key: value` lines"),
        ("run_dir: [\n", "is not readable YAML"),
        ("seed: 1\nseed: 2\n", "is not readable YAML.*seed"),
        ("run_dir: a\ndata: {root: d}\nbmn:\n", "bmn"),  # a section without content
    ],
)
def test_a_bad_file_is_refused_with_its_name(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_config(_write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"not found: .*absent\.yaml; `python -m pipeline.configurations list` shows"
    ):
        load_config(tmp_path / "absent.yaml")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["grid.fps=0"], "grid.fps must be positive and at most 10000, found 0"),
        (
            ["grid.stride_frames=0"],
            "grid.stride_frames must be a whole number of frames, 1 to 1000000, found 0",
        ),
        (["grid.convention=middle"], "middle.*centred"),
        (["bmn.epochs=0"], "bmn.epochs must be at least 1, found 0"),
        (["finetune.batch_size=0"], "finetune.batch_size must be at least 1, found 0"),
        (["finetune.learning_rate=0"], "finetune.learning_rate must be positive"),
        (["finetune.warmup_epochs=-1"], "finetune.warmup_epochs must be at least 0"),
        (
            ["finetune.crop_px=300"],
            r"finetune.crop_px=300 must not exceed finetune.short_side_px=\[256, 320\]",
        ),
        (["finetune.short_side_px=[300,256]"], "smallest first"),
        (["finetune.frame_cache_step=-4"], "frame_cache_step must be at least 0"),
        (["finetune.min_decoded_share=2"], "finetune.min_decoded_share must be within 0 and 1, found 2"),
        (["features.min_decoded_share=-1"], "features.min_decoded_share must be within 0 and 1"),
        (["features.short_side_px=0"], "features.short_side_px must be at least 1"),
        (["bmn.hidden_1d=6"], r"bmn.hidden_1d must be divisible by 4 \(groups\), found 6"),
        (["bmn.boundary_ratio=-1"], "bmn.boundary_ratio must be at least 0"),
        (["bmn.tscale=16"], "bmn.dscale=100 must not exceed bmn.tscale=16"),
        (["proposals.soft_nms_alpha=0"], "soft_nms_alpha must be positive"),
        (["proposals.max_proposals=0"], "proposals.max_proposals must be at least 1"),
        (["classification.top_classes=0"], "classification.top_classes must be at least 1"),
        (["runtime.workers=0"], "runtime.workers must be at least 1, found 0"),
        (["runtime.video_time_limit_s=0"], "video_time_limit_s must be positive"),
        (
            ["bmn.warmup_start_learning_rate=-1"],
            "bmn.warmup_start_learning_rate must be at least 0, found -1",
        ),
        (["seed=-1"], "seed must be at least 0, found -1"),
    ],
)
def test_a_value_out_of_range_is_refused(config_file: Path, words: list[str], message: str) -> None:
    with pytest.raises(InputError, match=message):
        load_config(config_file, words)


@pytest.mark.parametrize(
    "key", ["finetune.learning_rate", "grid.fps", "runtime.checkpoint_every_s", "proposals.clr_power"]
)
@pytest.mark.parametrize("value", ["inf", "-inf", "nan", ".nan"])
def test_a_number_that_is_not_finite_is_refused_with_its_name(
    config_file: Path, key: str, value: str
) -> None:
    with pytest.raises(InputError, match=rf"{key} must be .*, found -?(inf|nan)"):
        load_config(config_file, [f"{key}={value}"])


@pytest.mark.parametrize("file", CONFIGS, ids=lambda path: path.stem)
@pytest.mark.parametrize("words", [[], ["seed=3", "finetune.init_weights=w.pt", "data.root=a b ü"]])
def test_the_resolved_config_reads_back_to_the_same_values(
    file: Path, words: list[str], tmp_path: Path
) -> None:
    config = load_config(file, words)
    again = load_config(_write(tmp_path, config_to_yaml(config)))
    assert config_to_dict(again) == config_to_dict(config)
    assert yaml.safe_load(config_to_yaml(config)) == config_to_dict(config)


@pytest.mark.parametrize(
    ("words", "run_dir"),
    [
        ([], "runs/a"),
        (["bmn.epochs=3"], "runs/a"),
        (["seed=1"], "runs/a-seed1"),
        (["model=r2d_mini"], "runs/a-r2d_mini"),
        (["seed=1", "model=r2d_mini"], "runs/a-r2d_mini-seed1"),  # one name, whatever the order
        (["seed=1", "run_dir=runs/b"], "runs/b"),
    ],
)
def test_model_and_seed_name_another_run(config_file: Path, words: list[str], run_dir: str) -> None:
    assert load_config(config_file, words).run_dir == run_dir


def test_references_between_keys_are_resolved(tmp_path: Path) -> None:
    file = _write(tmp_path, "run_dir: runs/a\ndata: {root: 'data-seed${seed}'}\n")
    assert load_config(file, ["seed=4"]).data.root == "data-seed4"


def test_a_key_that_is_gone_is_dropped_if_it_says_what_is_done_anyway(config_file: Path) -> None:
    old = load_config(config_file, ["data.ek100_training=EPIC_100_train.csv"])
    assert old == load_config(config_file)
    with pytest.raises(
        InputError, match=r"data\.ek100_training=mine\.csv is no longer a key.*EPIC_100_train\.csv"
    ):
        load_config(config_file, ["data.ek100_training=mine.csv"])
