"""scripts/run_ek100.sh: what it says, and which stages it runs. Its stages are tested in
tests/classification."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from video_datasets.mini import MiniSize, ensure_mini

ROOT = Path(__file__).resolve().parents[1]


Script = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def run_script(tmp_path: Path) -> Script:
    """Run a copy of the scripts beside an empty setup.sh: a test must never set up, that is
    install, anything."""
    project = tmp_path / "project"
    (project / "scripts").mkdir(parents=True)
    (project / "configs").symlink_to(ROOT / "configs")
    for name in ("run_hacs.sh", "run_ek100.sh"):
        shutil.copy(ROOT / "scripts" / name, project / "scripts")
    (project / "scripts/setup.sh").touch()
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }

    def run(*words: str, name: str = "run_ek100") -> subprocess.CompletedProcess[str]:
        command = ["bash", str(project / f"scripts/{name}.sh"), *words]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    return run


@pytest.mark.parametrize("name", ["run_hacs", "run_ek100"])
def test_help_shows_its_own_examples(run_script: Script, name: str) -> None:
    found = run_script("--help", name=name)
    assert found.returncode == 0
    assert f"bash scripts/{name}.sh model=r2d_mini seed=1" in found.stdout
    assert "set -u" not in found.stdout


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("--fast", "unrecognized arguments: --fast"),
        ("configs/none.yaml", "configuration file not found: configs/none.yaml"),
    ],
)
def test_bad_words_stop_it(run_script: Script, word: str, message: str) -> None:
    found = run_script(word)
    assert (found.returncode, message in found.stderr) == (2, True)


def test_bad_settings_stop_it_before_any_stage(run_script: Script, tmp_path: Path) -> None:
    found = run_script("finetune.epoch=3", f"run_dir={tmp_path / 'run'}")
    assert found.returncode == 2
    assert (
        "unknown key 'finetune.epoch' on the command line" in found.stderr or "closest known" in found.stderr
    )
    assert not (tmp_path / "run").exists()


def test_released_features_and_scores_need_no_finetuning(run_script: Script, tmp_path: Path) -> None:
    """The first stage is the one that misses its file."""
    size = MiniSize(training=2, validation=2, testing=0, duration_s=(3.0, 3.0))
    ensure_mini(tmp_path / "data", layout="ek100", size=size, workers=1)
    words = [
        f"data.root={tmp_path / 'data'}",
        "data.mini=false",
        f"run_dir={tmp_path / 'run'}",
        f"features.store={tmp_path / 'ek100.h5'}",
    ]
    scores = ["classification.source=scores", f"classification.class_scores={tmp_path}"]
    found = run_script(*words, *scores)
    assert found.returncode == 2
    assert "expected a feature store in one HDF5 file" in found.stderr


def test_unset_supervision_levels_stop_it_before_any_stage(run_script: Script, tmp_path: Path) -> None:
    size = MiniSize(training=2, validation=2, testing=0, duration_s=(3.0, 3.0))
    ensure_mini(tmp_path / "data", layout="ek100", size=size, workers=1)
    words = ["configs/ek100.yaml", f"data.root={tmp_path / 'data'}", f"run_dir={tmp_path / 'run'}"]
    found = run_script(*words, "classification.sls_tl=3")
    assert found.returncode == 2
    message = (
        "error: classification.sls_pt, classification.sls_td not set: a submission to the EPIC-KITCHENS-100"
    )
    assert message in found.stderr
    assert "Traceback" not in found.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("text", ["docs/ek100.md", "scripts/run_ek100.sh"])
def test_shown_commands_declare_the_supervision_levels(text: str) -> None:
    commands = (ROOT / text).read_text().replace("\\\n", "").splitlines()
    shown = [line for line in commands if "run_ek100.sh configs/ek100.yaml" in line]
    assert shown
    for line in shown:
        assert all(f"classification.{name}=" in line for name in ("sls_pt", "sls_tl", "sls_td")), line


@pytest.mark.slow
def test_all_stages_and_again(run_script: Script, tmp_path: Path) -> None:
    size = MiniSize(training=2, validation=2, testing=2, duration_s=(5.0, 7.0))
    ensure_mini(tmp_path / "data", layout="ek100", size=size)
    words = [
        f"data.root={tmp_path / 'data'}",
        "data.mini=false",
        f"run_dir={tmp_path / 'run'}",
        "model=r2d_mini",
    ]
    words += ["finetune.epochs=1", "bmn.epochs=1", "bmn.tscale=16", "bmn.dscale=8"]
    found = run_script(*words)
    assert found.returncode == 0, found.stderr[-3000:]
    assert "ek100: mAP (%) at tIoU" in found.stdout
    assert (tmp_path / "run/metrics.json").is_file()
    again = run_script(*words)
    assert again.returncode == 0
    assert again.stderr.count("complete, nothing to do") == 6
    assert again.stdout == found.stdout
