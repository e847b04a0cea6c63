"""A small stage without torch, for the tests of the machinery around stages."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.stages import load_config
from runtime.sections import RunConfig

MakeConfig = Callable[..., RunConfig]


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    """A configuration file whose run folder is tmp_path/run."""
    path = tmp_path / "run.yaml"
    path.write_text(f"run_dir: {tmp_path / 'run'}\ndata: {{root: {tmp_path / 'data'}}}\n", encoding="utf-8")
    return path


@pytest.fixture
def make_config(config_file: Path) -> MakeConfig:
    """Return a function from words `key=value` to a configuration; the run folder stays the
    same."""
    run_dir = config_file.parent / "run"
    return lambda *words: load_config(config_file, [f"run_dir={run_dir}", *words])
