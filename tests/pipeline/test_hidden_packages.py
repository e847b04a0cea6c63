"""A file of the user that hides one of our packages is named, in one line."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


COMMANDS = (
    "bmn",
    "classification.finetune",
    "evaluation.check",
    "feature_extraction.zoo",
    "one_stage",
    "proposals",
    "video_datasets",
)


def call(folder: Path, *options: str, command: str = "pipeline.report") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *options, "-m", command, "--help"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize(
    ("name", "package"), [("runtime.py", "runtime"), ("training/__init__.py", "training")]
)
def test_it_is_named_and_python_p_passes_it_by(tmp_path: Path, name: str, package: str) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).touch()
    refused = call(tmp_path)
    assert refused.returncode == 2
    assert refused.stderr == (
        f"error: {tmp_path / name} hides the package '{package}' of TAdaLoc; start in another folder, or with "
        f"`python -P -m ...`\n"
    )
    assert call(tmp_path, "-P").returncode == 0


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_says_it(tmp_path: Path, command: str) -> None:
    (tmp_path / "runtime.py").touch()
    refused = call(tmp_path, command=command)
    assert refused.returncode == 2
    assert refused.stderr.startswith(f"error: {tmp_path / 'runtime.py'} hides the package 'runtime'")


def test_folders_that_are_no_packages_hide_nothing(tmp_path: Path) -> None:
    (tmp_path / "evaluation").mkdir()
    assert call(tmp_path).returncode == 0
    assert call(ROOT).returncode == 0
