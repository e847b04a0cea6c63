"""The study of the paper's ablations: its tables, one short training end to end, going on after
a stop."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.ablations import training
from benchmarks.ablations.__main__ import _parser, run
from benchmarks.ablations.paper import TABLES, Row, Table
from benchmarks.ablations.report import order_lines, table_text
from benchmarks.ablations.training import Job, finished, pair_figures, prepare, reversals, train
from benchmarks.ablations.variants import Variant, aggregated, calibrated, of_branch, slowfast
from runtime.errors import InputError
from tadaconv.branches import R2D
from tadaconv.resnet import ResNetSpec
from tadaconv.router import RouteFuncMLP
from training.loop import Trainer
from video_datasets.mini import MiniSize

TINY = MiniSize(training=8, validation=8, testing=2, duration_s=(4.0, 8.0))


# ---- tables


@pytest.mark.parametrize("name", TABLES)
def test_every_network_of_a_table_is_another_and_answers(name: str) -> None:
    rows = TABLES[name].rows.values()
    assert len({json.dumps(row.variant.parts(), sort_keys=True) for row in rows}) == len(rows)
    for row in rows:
        clip = torch.zeros(1, 3, row.variant.clip_frames, 32, 32)
        assert row.variant.spec.build(8).eval()(clip).shape == (1, 8)


@pytest.mark.parametrize("name", TABLES)
def test_the_order_is_about_rows(name: str) -> None:
    for pair in TABLES[name].order:
        assert set(pair) <= set(TABLES[name].rows)


def test_slowfast_has_tadaconvs_in_both_paths() -> None:
    plain, tada = (slowfast(with_tada=with_tada).spec.build(8) for with_tada in (False, True))
    routers = [name for name, module in tada.named_modules() if isinstance(module, RouteFuncMLP)]
    assert {name.split(".")[1].split("_")[0] for name in routers} == {"slow", "fast"}
    assert not any(isinstance(module, RouteFuncMLP) for module in plain.modules())


# ---- what a network can know of the direction of time (docs/ablations.md)


def _answers_to_both_directions(variant: Variant) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(0)
    network = variant.spec.build(8).eval()
    for module in network.modules():  # as after training: routers and aggregation count
        if isinstance(module, RouteFuncMLP):
            torch.nn.init.normal_(module.b.weight)
        elif isinstance(module, torch.nn.BatchNorm3d):
            torch.nn.init.ones_(module.weight)
    brightness = torch.linspace(-2, 2, variant.clip_frames).view(-1, 1, 1)
    clip = torch.rand(1, 3, variant.clip_frames, 32, 32) * brightness
    with torch.no_grad():
        return network(clip), network(clip.flip(2))


@pytest.mark.parametrize(
    "variant",
    [
        of_branch(R2D),
        calibrated((1, 1)),  # each frame's factors from the frame and the mean of the clip
        aggregated(calibration=False),  # a symmetric average
    ],
)
def test_networks_blind_to_the_direction_of_time(variant: Variant) -> None:
    torch.testing.assert_close(*_answers_to_both_directions(variant), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("variant", [calibrated(global_context=False), calibrated(), slowfast()])
def test_networks_that_see_the_direction_of_time(variant: Variant) -> None:
    forwards, backwards = _answers_to_both_directions(variant)
    assert (forwards - backwards).abs().max() > 1e-3 * forwards.abs().max()


# ---- figures


def test_pair_figures_equal_a_count_by_hand() -> None:
    rng = np.random.default_rng(0)
    logits, classes = rng.normal(size=(20, 3, 8)), rng.integers(8, size=20)
    reversal_of = np.array([1, 0, 3, 2, 5, 4, 7, 6])
    hits = {"accuracy": 0, "within_pair": 0, "of_pair": 0}
    for item, right in enumerate(classes):
        for scores in logits[item]:
            told, reverse = max(range(8), key=lambda k: scores[k]), reversal_of[right]
            hits["accuracy"] += told == right
            hits["within_pair"] += scores[right] > scores[reverse]
            hits["of_pair"] += told in (right, reverse)
    expected = {name: count / 60 for name, count in hits.items()}
    assert pair_figures(logits, classes[:, None], reversal_of) == pytest.approx(expected)


def test_reversals_are_the_pairs_of_the_data_set() -> None:
    labels = [
        "Closing", "Cooling down", "Falling", "Heating up",
        "Moving away", "Moving closer", "Opening", "Rising",
    ]  # fmt: skip
    assert [labels[k] for k in reversals(labels)] == [
        "Opening", "Heating up", "Rising", "Cooling down",
        "Moving closer", "Moving away", "Closing", "Falling",
    ]  # fmt: skip


def test_report_says_where_the_order_differs_and_where_it_is_within_the_spread() -> None:
    rows = {label: Row(Variant(ResNetSpec())) for label in "abc"}
    table = Table("T", rows, order=(("a", "b"), ("b", "c"), ("a", "c")))
    trainings = {
        label: [{"accuracy": value, "within_pair": 0.5, "of_pair": 1.0} for value in values]
        for label, values in {"a": [0.50, 0.52], "b": [0.70, 0.74], "c": [0.69, 0.71]}.items()
    }
    assert order_lines(table, trainings) == [
        "a 51.0 | b 72.0: the paper's order",
        "b 72.0 | c 70.0: NOT the paper's order, but within the spread of the seeds",
        "a 51.0 | c 70.0: the paper's order",
    ]
    assert "51.0 ± 1.4" in table_text(table, trainings)
    assert order_lines(table, {"a": trainings["a"]}) == []


# ---- training


@pytest.fixture(scope="module")
def out(tiny_mini: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ablations")
    prepare(folder, tiny_mini, TINY, workers=1)
    return folder


def _job(out: Path, data: Path, epochs: int = 2) -> Job:
    return Job(calibrated(), seed=3, epochs=epochs, out=out, data=data)


def test_one_table_end_to_end(
    out: Path, tiny_mini: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TABLES, "3a", Table("T", {"per frame": Row(of_branch(R2D))}))  # type: ignore[index]
    words = ["--only", "3a", "--epochs", "1", "--workers", "1", "--out", str(out), "--data", str(tiny_mini)]
    assert run(_parser().parse_args(words), TINY) == 0
    assert run(_parser().parse_args([*words, "--show"])) == 0
    trained, shown = capsys.readouterr().out.split("paper: only what", 1)
    assert "per frame" in trained
    assert trained.splitlines()[2] in shown
    assert not list((out / "training").glob("*"))


def test_a_stopped_training_goes_on_and_a_finished_one_stays(
    out: Path, tiny_mini: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = _job(out, tiny_mini)
    end_epoch = Trainer._end_epoch

    def stop_behind_the_first_epoch(trainer: Trainer) -> None:
        end_epoch(trainer)
        trainer._save_checkpoint()
        raise KeyboardInterrupt

    monkeypatch.setattr(Trainer, "_end_epoch", stop_behind_the_first_epoch)
    with pytest.raises(KeyboardInterrupt):
        train(job)
    assert finished(job) is None
    assert (out / "training" / job.key / "checkpoint.pt").is_file()
    steps = []
    monkeypatch.setattr(
        Trainer, "_end_epoch", lambda trainer: (steps.append(trainer.step), end_epoch(trainer))
    )
    figures = train(job)
    assert len(steps) == 1  # the second epoch alone
    monkeypatch.setattr(training, "Trainer", None)  # nothing is trained any more
    assert train(job) == finished(job) == figures


def test_showing_without_a_data_set_says_what_to_do(tmp_path: Path) -> None:
    arguments = _parser().parse_args(["--show", "--data", str(tmp_path)])
    with pytest.raises(
        InputError, match=r"expected the data set of the study, found no mini\.json; run without --show"
    ):
        run(arguments)


@pytest.mark.parametrize("words", [["--seeds", "0"], ["--workers", "0"], ["--epochs", "0"]])
def test_counts_below_one_are_refused(words: list[str]) -> None:
    with pytest.raises(InputError, match="must be at least 1, found"):
        run(_parser().parse_args(words))


def test_the_key_tells_network_recipe_seed_and_data_apart(out: Path, tiny_mini: Path, tmp_path: Path) -> None:
    job = _job(out, tiny_mini)
    other_data = tmp_path / "mini.json"
    other_data.write_text("{}")
    others = [
        _job(out, tiny_mini, epochs=3),
        Job(job.variant, 4, job.epochs, out, tiny_mini),
        Job(aggregated(), job.seed, job.epochs, out, tiny_mini),
        _job(out, tmp_path),
    ]
    assert len({job.key, *(other.key for other in others)}) == 5
    assert Job(job.variant, job.seed, job.epochs, tmp_path, tiny_mini).key == job.key  # wherever it lies
