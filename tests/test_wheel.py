"""The wheel: built from the checkout, installed into a fresh environment, used far away from the checkout, in an
empty folder and in one whose files are called like our packages."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
TORCH = "torch==2.13.0"
"""Every other package is the newest; without this one pip might fetch gigabytes for a GPU."""


def packages() -> list[str]:
    return [name.rstrip("*") for name in PROJECT["tool"]["setuptools"]["packages"]["find"]["include"]]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that the checkout stays as it is."""
    source = tmp_path_factory.mktemp("source")
    for name in packages():
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    out = tmp_path_factory.mktemp("wheel")
    words = ["wheel", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(out), "."]
    subprocess.run([sys.executable, "-m", "pip", "-q", *words], cwd=source, check=True)
    return next(out.glob("*.whl"))


@pytest.fixture(params=["empty", "full"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where a user stands: an empty folder, or one that has modules of our names, which must not be touched."""
    if request.param == "full":
        for name in ("training/__init__.py", "evaluation/__init__.py", "runtime.py", "pipeline.py"):
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text("raise SystemExit('the folder of the user was imported')\n")
    return tmp_path


def call(environment: Path, folder: Path, *words: str) -> str:
    """Call the installed command and return what it prints; neither PYTHONPATH nor the checkout helps it."""
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    command = [str(environment / "bin/tadaloc"), *words]
    done = subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


# ---- what it asks for


def imported() -> set[str]:
    """Third-party packages that ours import, by name or by `import_module`."""
    names: set[str] = set()
    for package in packages():
        for path in (ROOT / package).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Import):
                    names |= {alias.name for alias in node.names}
                elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    names.add(node.module)
                elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
                    names |= {str(word.value) for word in node.args if isinstance(word, ast.Constant)}
    tops = {name.partition(".")[0] for name in names}
    return tops - set(packages()) - set(sys.stdlib_module_names) - {"__future__"}


IMPORT_NAMES = {"pyyaml": "yaml", "dask": "distributed"}
COME_ALONG = {"markupsafe": "jinja2", "dask": "dask", "mpl_toolkits": "matplotlib"}
"""Packages that are imported, and the one that brings each."""


def declared(requirements: list[str]) -> set[str]:
    names = {re.split(r"[<>=!~;\[ ]", requirement)[0] for requirement in requirements}
    return {IMPORT_NAMES.get(name, name) for name in names}


def test_what_is_asked_for_is_imported_and_nothing_else() -> None:
    project = PROJECT["project"]
    needed = declared(project["dependencies"])
    optional = {
        name
        for extra, requirements in project["optional-dependencies"].items()
        if extra not in ("dev", "benchmarks")
        for name in declared(requirements)
    }
    found = imported()
    text = "\n".join(path.read_text() for name in packages() for path in (ROOT / name).rglob("*.py"))
    assert needed - found == set()
    assert {name for name in optional - found if name not in text} == set()  # loaded by name, or by torch
    assert found - needed - optional - set(COME_ALONG) - {"tadaloc"} == set()


# ---- what is in it, with the packages of this environment


@pytest.fixture(scope="module")
def borrowing(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment that has the wheel alone, and finds what it needs where these tests do."""
    environment = tmp_path_factory.mktemp("borrowing")
    venv.create(environment, with_pip=False)
    python = environment / "bin/python"
    words = ["install", "--no-deps", "--no-index", "--no-compile", str(wheel)]
    subprocess.run([sys.executable, "-m", "pip", "-q", "--python", str(python), *words], check=True)
    borrowed = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    site = next((environment / "lib").glob("python*/site-packages"))
    (site / "borrowed.pth").write_text("\n".join(borrowed) + "\n")
    return environment


def test_everything_of_the_packages_is_in_the_wheel(wheel: Path) -> None:
    inside = set(zipfile.ZipFile(wheel).namelist())
    ours = {
        str(path.relative_to(ROOT))
        for name in packages()
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert ours - inside == set()
    assert {name.partition("/")[0] for name in inside if ".dist-info/" not in name} == set(packages())


def test_it_works_away_from_the_checkout(borrowing: Path, folder: Path) -> None:
    assert call(borrowing, folder, "--version").startswith("tadaloc ")
    assert "hacs_mini\n" in call(borrowing, folder, "config", "list")
    assert "packages" in (report := call(borrowing, folder, "doctor"))
    assert f"all in {next((borrowing / 'lib').glob('python*/site-packages'))}" in report
    plan = call(borrowing, folder, "config", "keys", "bmn.epochs")
    assert "bmn.epochs = " in plan


def test_its_own_processes_pass_the_folder_by(borrowing: Path, folder: Path, tiny_mini: Path) -> None:
    (folder / "clips").mkdir()
    shutil.copy(next((tiny_mini / "videos").rglob("*.mp4")), folder / "clips")
    call(borrowing, folder, "features", "--videos", "clips", "--model", "tada2d_mini", "--out", "x.h5")
    assert (folder / "x.h5").is_file()


# ---- the three lines of a new user, on a fresh machine


@pytest.fixture(scope="module")
def fresh(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment made as a user would, of the newest versions that the bounds allow."""
    environment = tmp_path_factory.mktemp("fresh")
    venv.create(environment, with_pip=True)
    pip = [str(environment / "bin/python"), "-m", "pip", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "install", str(wheel), TORCH], check=True)
    subprocess.run([*pip, "check"], check=True)
    return environment


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_install_run_detect(fresh: Path, folder: Path) -> None:
    call(fresh, folder, "run", "hacs_mini", "finetune.epochs=1", "bmn.epochs=1")
    assert (folder / "runs/hacs_mini/report.html").is_file()
    video = sorted((folder / "data").rglob("*.mp4"))[0]
    call(fresh, folder, "detect", str(video))
    assert (folder / "detections/index.html").is_file()
    assert (folder / f"detections/{video.stem.removeprefix('v_')}.json").is_file()
