"""scripts/setup.sh with an interpreter that only pretends: whole environments, also for two
starts at once."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

SETUP = Path(__file__).resolve().parents[1] / "scripts/setup.sh"

STUB = """#!/bin/bash
case "$*" in
    --version) echo "Python 3.11.7" ;;
    "-m venv "*) mkdir -p "$3/bin" && cp "$0" "$3/bin/python" ;;
    "-m pip "*)
        folder="$(dirname "$(dirname "$0")")/lib"
        for package in a b c d; do sleep "${PAUSE:-0}" && mkdir -p "$folder" && touch "$folder/$package"; done
        exit "${PIP_CODE:-0}" ;;
esac
"""
"""Makes an environment of four packages, one after the other."""

Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder with our script and pins, in front of whose PATH the stub stands."""
    folder = tmp_path / "project"
    (folder / "scripts").mkdir(parents=True)
    shutil.copy(SETUP, folder / "scripts")
    (folder / "pyproject.toml").touch()
    (folder / "constraints.txt").write_text("torch==1\n")
    (folder / "stub").mkdir()
    for name in ("python3", "python"):
        (folder / "stub" / name).write_text(STUB)
        (folder / "stub" / name).chmod(0o755)
    return folder


@pytest.fixture
def start(project: Path) -> Start:
    """Source the script, then name the environment's folder that PATH begins with, and what is
    in it."""

    def started(**environment: str) -> subprocess.Popen[str]:
        kept = {
            name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "CONDA_PREFIX")
        }
        path = f"{project / 'stub'}:{os.environ['PATH']}"
        script = (
            'set -eu; source scripts/setup.sh; here="${PATH%%/bin:*}"; echo "${here##*/}" $(ls "$here/lib")'
        )
        return subprocess.Popen(
            ["bash", "-c", script],
            cwd=project,
            env={**kept, "PATH": path, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return started


def end(process: subprocess.Popen[str], code: int = 0) -> tuple[str, str]:
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    return out, err


def environments(project: Path) -> set[str]:
    return {path.name for path in project.glob(".venv.*") if path.is_dir()}


def test_an_environment_is_made_once(project: Path, start: Start) -> None:
    out, err = end(start())
    name, *packages = out.split()
    assert packages == ["a", "b", "c", "d"]
    assert "setup: making .venv with Python 3.11.7" in err
    assert (project / ".venv").resolve() == project / name
    assert end(start()) == (out, "")


def test_two_at_once_have_the_same_whole_environment(project: Path, start: Start) -> None:
    if shutil.which("flock") is None:
        pytest.skip("needs flock")
    both = [start(PAUSE="0.2"), start(PAUSE="0.2")]
    (first, said), (second, also_said) = map(end, both)
    assert first == second
    assert first.split()[1:] == ["a", "b", "c", "d"]
    assert (said + also_said).count("making .venv with") == 1
    assert len(environments(project)) == 1


def test_without_locks_each_makes_a_whole_one(project: Path, start: Start) -> None:
    (project / "stub/flock").write_text("#!/bin/sh\nexit 71\n")
    (project / "stub/flock").chmod(0o755)
    for out, _ in map(end, [start(PAUSE="0.1"), start(PAUSE="0.1")]):
        assert out.split()[1:] == ["a", "b", "c", "d"]


def test_what_runs_in_the_one_before_keeps_it(project: Path, start: Start) -> None:
    names = []
    for pin in ("1", "2", "3"):
        (project / "constraints.txt").write_text(f"torch=={pin}\n")
        names.append(end(start())[0].split()[0])
        assert (project / ".venv").resolve().name == names[-1]
        assert environments(project) == set(names[-2:])
    assert len(set(names)) == 3


def test_a_folder_of_an_earlier_version_is_moved_aside(project: Path, start: Start) -> None:
    (project / ".venv/lib").mkdir(parents=True)
    (project / ".venv/made-by-setup").touch()
    name = end(start())[0].split()[0]
    assert (project / ".venv").is_symlink()
    assert environments(project) == {name, ".venv.before"}


def test_a_failed_installation_leaves_the_environment_as_it_was(project: Path, start: Start) -> None:
    name = end(start())[0].split()[0]
    (project / "constraints.txt").write_text("torch==2\n")
    _, err = end(start(PIP_CODE="1"), code=2)
    assert "setup: installing failed" in err
    assert (project / ".venv").resolve().name == name
    again = end(start())[0].split()[0]
    assert environments(project) == {name, again}


def test_an_environment_of_others_is_never_touched(project: Path, start: Start) -> None:
    (project / ".venv").mkdir()
    (project / ".venv/mine").touch()
    _, err = end(start(), code=2)
    assert f"{project}/.venv exists, but was not made by this script" in err
    assert [path.name for path in (project / ".venv").iterdir()] == ["mine"]
