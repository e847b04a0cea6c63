"""The price of a new stage: a section and one entry of STAGES, defined in this test, through a
whole run."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.run import run
from pipeline.stages import STAGES, load_config, stages_of
from runtime.atomic import write_json
from runtime.errors import InputError
from runtime.sections import SECTIONS, section
from runtime.stage_spec import StageRun, StageSpec
from tests.stages import stage_of_run

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True, kw_only=True)
class ToyConfig:
    """Settings of a stage that counts detections."""

    at_least: float = 0.5
    """Smallest score that counts."""


def count(run: StageRun) -> None:
    """Count the detections of the validation videos above a score."""
    found = json.loads((run.upstream("classification") / "detections.json").read_text())["results"]
    scores = [entry["score"] for video in found.values() for entry in video]
    number = sum(score >= run.config.toy.at_least for score in scores)
    write_json(run.folder / "count.json", {"count": number})
    run.summary = f"{number} of {len(scores)} detections"


TOY = StageSpec(
    name="toy",
    command="toy",
    work=count,
    sections=("toy",),
    reads=("classification",),
    results=("count.json",),
    wanted=lambda config: True,
)


@pytest.fixture
def toy_stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setitem(STAGES, "toy", TOY)
    section("toy")(ToyConfig)
    yield
    del SECTIONS["toy"]


@pytest.fixture
def words(tiny_run: Path, tiny_mini: Path, tmp_path: Path) -> list[str]:
    """Words of a copy of a finished run, whose results the stage can read."""
    shutil.copytree(tiny_run, tmp_path / "run")
    resolved = tmp_path / "run/config.yaml"
    return ["--config", str(resolved), f"run_dir={tmp_path / 'run'}"]


@pytest.mark.usefixtures("toy_stage")
def test_a_toy_stage_is_part_of_a_run(words: list[str], tmp_path: Path) -> None:
    config = load_config(words[1], words[2:])
    assert [spec.name for spec in stages_of(config)][-2:] == ["evaluation", "toy"]
    assert stage_of_run("toy", words) == 0
    folder = tmp_path / "run/toy"
    everything = json.loads((folder / "stage.json").read_text())
    assert everything["fingerprint_parts"]["config.toy.at_least"] == 0.5
    assert "stage.classification" in everything["fingerprint_parts"]
    assert set(everything["results"]) == {"count.json"}
    before = json.loads((folder / "count.json").read_text())["count"]
    assert stage_of_run("toy", [*words, "toy.at_least=0.0"]) == 2  # changed: named, nothing done
    assert stage_of_run("toy", [*words, "toy.at_least=0.0", "--force"]) == 0
    assert json.loads((folder / "count.json").read_text())["count"] > before
    assert stage_of_run("evaluation", words) == 0  # its key invalidates no other stage


@pytest.mark.usefixtures("toy_stage")
def test_pipeline_run_shows_it_with_the_others(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert stage_of_run("toy", words) == 0
    assert run(Path(words[1]), words[2:]) == 0
    screen = capsys.readouterr()
    assert "toy: complete, nothing to do" in screen.err
    assert (
        screen.err.count("complete, nothing to do") == len(STAGES) - 2  # no pretrain, no second head
    )  # heads beside BMN, pretrain, have none


@pytest.mark.usefixtures("toy_stage")
def test_a_key_of_another_stage_is_refused(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from runtime.command import refuse_foreign_keys

    config = load_config(words[1], words[2:])
    with pytest.raises(
        InputError, match=r"bmn.epochs is not read by `python -m toy`, but by `python -m bmn`"
    ):
        refuse_foreign_keys(TOY, STAGES, config, ["bmn.epochs=3", "toy.at_least=0.1", "seed=0"])
