"""The documentation holds: its site builds strictly, its commands are accepted, and those of detection run."""

from __future__ import annotations

import argparse
import ast
import doctest
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import Any

import pytest

from classification.finetune.test import SPEC as FINETUNE_TEST
from pipeline.command_line import COMMANDS
from pipeline.command_line import main as tadaloc
from pipeline.stages import STAGES, load_config
from runtime.command import refuse_foreign_keys
from runtime.config import find_config
from tests.doc_blocks import PAGES, ROOT, commands, python_blocks

SPECS = {spec.command: spec for spec in (*STAGES.values(), FINETUNE_TEST)}
PLACEHOLDERS = {"FORMAT": "csv", "$SLURM_ARRAY_TASK_ID": "1", "NAME": "name"}
NEEDS_MORE = ("fetch", "OWNER/my-model")
"""Words of commands that are not run: they want the network."""


class ParsedError(Exception):
    """Ends a command once its own parser has accepted its words."""


def module_main(name: str) -> Callable[[Sequence[str]], Any]:
    """What `python -m NAME` calls."""
    spec = find_spec(name)
    if spec is not None and spec.submodule_search_locations:
        name = f"{name}.__main__"
    found: Callable[[Sequence[str]], Any] = import_module(name).main
    return found


def called(words: list[str]) -> tuple[str, Callable[[Sequence[str]], Any], list[str]]:
    """Take a command apart: module, its main, its arguments."""
    words = [PLACEHOLDERS.get(word, word) for word in words]
    words = [word.replace("$SLURM_ARRAY_TASK_ID", "1") for word in words]
    if words[0] == "tadaloc":
        module = (
            COMMANDS[words[1]].module.removesuffix(".__main__") if words[1:] and words[1] in COMMANDS else ""
        )
        return module, tadaloc, words[1:]
    if words[0] == "bash":
        default = "ek100_mini" if "ek100" in words[1] else "hacs_mini"
        config = [] if any(word.endswith(".yaml") for word in words[2:3]) else [default]
        return "pipeline.run", module_main("pipeline.run"), [*config, *words[2:]]
    at = words.index("-m")
    return words[at + 1], module_main(words[at + 1]), words[at + 2 :]


@pytest.mark.parametrize(
    "words",
    [
        pytest.param(words, id=f"{page.stem}: {' '.join(words)[:90]}")
        for page in PAGES
        for words in commands(page)
    ],
)
def test_every_command_is_accepted(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[argparse.Namespace] = []

    def stopping(parse: Callable[..., argparse.Namespace]) -> Callable[..., argparse.Namespace]:
        def parse_and_stop(self: argparse.ArgumentParser, *arguments: Any) -> argparse.Namespace:
            parsed.append(parse(self, *arguments))
            raise ParsedError

        return parse_and_stop

    module, main, arguments = called(words)
    monkeypatch.chdir(ROOT)
    for name in ("parse_args", "parse_intermixed_args"):
        monkeypatch.setattr(argparse.ArgumentParser, name, stopping(getattr(argparse.ArgumentParser, name)))
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    try:
        main(*([arguments] if signature(main).parameters else []))
    except ParsedError:
        config, overrides = getattr(parsed[0], "config", None), getattr(parsed[0], "overrides", [])
        if config is not None:
            keys = load_config(find_config(config), overrides)
            if module in SPECS:
                refuse_foreign_keys(SPECS[module].for_run(keys), STAGES, keys, overrides)
    except SystemExit as stop:
        if stop.code != 0:
            pytest.fail(f"refused: {' '.join(words)}")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_compiles_imports_what_there_is_and_its_examples_hold(page: Path) -> None:
    for text in python_blocks(page):
        imports = [node for node in ast.parse(text).body if isinstance(node, ast.Import | ast.ImportFrom)]
        exec(compile(ast.Module(imports, []), str(page), "exec"), {})
    if page.name != "features.md":  # has a test of its own, with a store
        assert doctest.testfile(str(page), module_relative=False).failed == 0


def test_the_commands_of_detection_run(
    tiny_run: Path, tiny_mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_run, tmp_path / "runs/hacs_mini")
    videos = sorted((tiny_mini / "videos").rglob("*.mp4"))
    (tmp_path / "videos").mkdir()
    for video, name in zip(videos, ("my_video.mp4", "clip.avi", "videos/a.mp4"), strict=False):
        shutil.copy(video, tmp_path / name)
    run = 0
    for page in (ROOT / "docs/index.md", ROOT / "docs/detect.md"):
        for words in commands(page):
            if "run" in words[1:2] or any(word in NEEDS_MORE for word in words):
                continue
            _, main, arguments = called(words)
            assert main(arguments) == 0, words
            run += 1
    assert run >= 8
    assert (tmp_path / "my-model/README.md").is_file()


@pytest.mark.skipif(find_spec("material") is None, reason="mkdocs-material is not installed")
def test_the_site_builds_strictly(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    pages = {page.parent.name for page in tmp_path.rglob("index.html")}
    assert {page.stem for page in PAGES if page.parent.name == "docs"} - {"index"} <= pages
    assert all(picture.stat().st_size < 80_000 for picture in (ROOT / "docs/pictures").iterdir())
