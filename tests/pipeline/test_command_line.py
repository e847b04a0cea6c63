"""The command `tadaloc`: its names, its help at 80 columns, and how soon it starts."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from pipeline.command_line import COMMANDS, main
from pipeline.command_line import STAGES as STAGE_NAMES
from pipeline.stages import STAGES
from runtime.config import SHIPPED

ROOT = Path(__file__).resolve().parents[2]


PARTS = [f"zoo {part}" for part in ("pack", "verify", "export", "import")] + [
    "models fetch",
    "models networks",
]


@pytest.mark.parametrize("name", ["", *COMMANDS, *PARTS])
def test_help_fits_80_columns_and_names_the_command(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    words = [*name.split(), "--help"] if name else []
    try:
        code = main(words)
    except SystemExit as stop:  # argparse's own
        code = int(stop.code or 0)
    text = capsys.readouterr().out
    assert code == 0
    assert [line for line in text.splitlines() if len(line) > 80] == []
    assert text.startswith(f"usage: tadaloc {name}")
    named = set(re.findall(r"python -m ([\w.]+)", text))
    assert named <= {
        "evaluation.check",
        "evaluation.pack",
        "classification.finetune.test",
    }  # commands that `tadaloc` has no word for


def examples_of(name: str, capsys: pytest.CaptureFixture[str]) -> list[list[str]]:
    with pytest.raises(SystemExit):
        main([*name.split(), "--help"])
    lines = capsys.readouterr().out.replace("\\\n", " ").splitlines()
    return [shlex.split(line)[1:] for line in lines if line.startswith("  tadaloc ")]


@pytest.mark.parametrize("name", sorted({*COMMANDS, "zoo import"} - {"run", "check", "models"}))
def test_examples_of_a_help_are_understood_in_an_empty_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """They end with a file that is not there, at the latest: no word is refused, no configuration unknown."""
    monkeypatch.chdir(tmp_path)
    for words in examples_of(name, capfd):
        code = main(words)
        said = capfd.readouterr().err
        assert code in (0, 2), said
        assert "configuration file not found" not in said


def test_the_stages_are_those_of_the_table() -> None:
    assert {spec.command: name for name, spec in STAGES.items()} == STAGE_NAMES


def test_errors_name_commands_as_they_were_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["run", "hacs_mini", "data.mini=false", "data.root=.", "--only", "proposals"]) == 2
    assert "run `tadaloc features` with the same configuration" in capfd.readouterr().err
    assert main(["evaluate", "--config", "hacs_mini", "bmn.epochs=1"]) == 2
    said = capfd.readouterr().err
    assert "bmn.epochs is not read by `tadaloc evaluate`, but by `tadaloc run --only bmn`" in said
    main(["check", "hacs_mini", "data.mini=false", "data.root=."])
    assert "python -m" not in capfd.readouterr().out
    assert main(["run", "hacs_mini", "bmn.epohcs=1"]) == 2
    assert "python -m" not in capfd.readouterr().err


def test_an_unknown_command_is_told_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["detct"]) == 2
    assert capsys.readouterr().err == "tadaloc: no command named 'detct'; did you mean detect?\n"


def test_it_loads_nothing_that_takes_time() -> None:
    code = (
        "import sys; from pipeline.command_line import main; main([]); print(sorted({'torch','numpy','omegaconf',"
        "'yaml','h5py','av','importlib.metadata'} & sys.modules.keys()))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert found.stdout.splitlines()[-1] == "[]"


def test_configurations_are_listed_shown_and_copied_but_never_over_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["config", "list"]) == 0
    listed = capsys.readouterr().out.splitlines()
    assert [line for line in listed if line[0] != " "] == sorted(file.stem for file in SHIPPED.glob("*.yaml"))
    assert main(["config", "show", "hacs_mini"]) == 0
    shown = capsys.readouterr().out
    assert yaml.safe_load(shown)["run_dir"] == "runs/hacs_mini"
    assert main(["config", "copy", "hacs_mini"]) == 0
    assert (tmp_path / "hacs_mini.yaml").read_text() == shown
    (tmp_path / "hacs_mini.yaml").write_text("mine")
    assert main(["config", "copy", "own", "hacs_mini.yaml"]) == 2
    assert "hacs_mini.yaml is there" in capsys.readouterr().err
    assert (tmp_path / "hacs_mini.yaml").read_text() == "mine"
    assert main(["config", "keys", "bmn.epochs"]) == 0
    assert "bmn.epochs = " in capsys.readouterr().out
