"""The packages are floors: none imports a higher one, and the lower ones start without PyTorch."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline.doctor import PACKAGES

ROOT = Path(__file__).resolve().parents[1]
FLOORS = (
    "tadaconv",
    "runtime",
    "video_datasets",
    "evaluation",
    "training",
    "feature_extraction",
    "bmn",
    "one_stage",
    "proposals",
    "classification",
    "pipeline",
)
ALSO_FORBIDDEN = {
    "tadaconv": {"numpy", "h5py", "av"},  # PyTorch only
    "runtime": {"torch", "tadaconv"},
    "video_datasets": {"tadaconv"},
    "evaluation": {"torch", "tadaconv"},
}
"""Beside the higher floors; the time grid's transforms are the one use of PyTorch in
video_datasets."""

WITHOUT_TORCH = (
    "pipeline.detect",
    "pipeline.bundle",
    "pipeline.report",
    "pipeline.suggest",
    "feature_extraction.zoo.__main__",
    "evaluation",
    "evaluation.files.evaluate",
    "evaluation.stage",
    "runtime.stage",
    "runtime.command",
    "video_datasets.convert",
    "video_datasets.dataset",
    "video_datasets.mini",
    "video_datasets.video.decoder_process",
    "proposals",
    "bmn",
    "bmn.__main__",
    "one_stage",
    "proposals.__main__",
    "feature_extraction.__main__",
    "classification.__main__",
    "classification.finetune.__main__",
)


def imported_modules(source: str) -> Iterator[str]:
    """Yield every module that a file imports anywhere: in functions and under TYPE_CHECKING,
    too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            assert node.module is not None
            yield node.module
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith("import_module"):
            yield from (str(argument.value) for argument in node.args if isinstance(argument, ast.Constant))


ALLOWED_IN_COMMANDS = "pipeline.stages"
"""The table of stages and the settings of all packages: a command is the top of the house,
wherever it lies."""


def forbidden_imports(package: str, source: str) -> set[str]:
    """Return the modules that a file of a package imports, but must not."""
    is_command = 'if __name__ == "__main__":' in source
    forbidden = {*FLOORS[FLOORS.index(package) + 1 :], *ALSO_FORBIDDEN.get(package, ())}
    return {
        module
        for module in imported_modules(source)
        if module.split(".")[0] in forbidden and not (is_command and module == ALLOWED_IN_COMMANDS)
    }


@pytest.mark.parametrize("package", [name for name in FLOORS if (ROOT / name).is_dir()])
def test_no_import_points_upwards(package: str) -> None:
    found = {
        str(file.relative_to(ROOT)): modules
        for file in sorted((ROOT / package).rglob("*.py"))
        if (modules := forbidden_imports(package, file.read_text(encoding="utf-8")))
    }
    assert found == {}


def test_every_package_has_a_floor() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    assert packages <= {*FLOORS, "benchmarks", "configs"}
    assert PACKAGES == FLOORS  # those that the doctor looks for


@pytest.mark.parametrize(
    ("package", "source"),
    [
        ("runtime", "import torch.nn"),
        ("runtime", "def f():\n    from bmn.model import BMN"),  # in a function
        ("evaluation", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import training.loop"),
        ("evaluation", "import importlib\nimportlib.import_module('bmn')"),
        ("video_datasets", "import numpy, evaluation"),
        ("bmn", "from proposals import soft_nms"),
        ("tadaconv", "from runtime.errors import InputError"),
    ],
)
def test_the_check_finds_what_it_looks_for(package: str, source: str) -> None:
    assert len(forbidden_imports(package, source)) == 1


def test_the_check_lets_through_what_points_down() -> None:
    assert (
        forbidden_imports("bmn", "import torch, runtime.stage\nfrom training import loop\nimport bmn.model")
        == set()
    )


def test_commands_and_light_packages_do_not_load_torch() -> None:
    code = f"import sys, {', '.join(WITHOUT_TORCH)}; print('torch' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"
