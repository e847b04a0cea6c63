"""Where finetuning starts from, and how it measures itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from classification.finetune.clips import LabelledSegment, SegmentClips
from classification.finetune.settings import FinetuneConfig
from classification.finetune.train import FinetuneTask, initial_model, refuse_unfit_clips
from classification.finetune.views import TestClips, ViewsConfig
from pipeline.stages import load_config
from runtime.errors import InputError
from runtime.sections import RunConfig
from tadaconv import create_model
from tadaconv.inputs import NetworkInput
from video_datasets.dataset import Segment, Video
from video_datasets.time_grid import TimeGrid
from video_datasets.video.decoding import VideoError

HEADS = {"action": tuple("abcde")}
TWO_HEADS = {"verb": tuple("abc"), "noun": tuple("wxyz")}


def _config(*words: str) -> RunConfig:
    configs = Path(__file__).resolve().parents[2] / "configs"
    return load_config(configs / "hacs_mini.yaml", words)


def test_the_seed_alone_decides_on_random_weights() -> None:
    states = [initial_model(_config(f"seed={seed}"), HEADS)[0].state_dict() for seed in (0, 0, 1)]
    key = "head.out.weight"
    assert torch.equal(states[0][key], states[1][key])
    assert not torch.equal(states[0][key], states[2][key])


def test_given_weights_are_loaded_but_for_the_head(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = create_model("tada2d_mini", num_classes=7)
    torch.save(source.state_dict(), tmp_path / "w.pt")
    model, new_parameters = initial_model(_config(f"finetune.init_weights={tmp_path / 'w.pt'}"), HEADS)
    assert new_parameters == {"head.out.weight", "head.out.bias"}
    key = next(name for name, _ in source.named_parameters())
    assert torch.equal(model.state_dict()[key], source.state_dict()[key])
    assert model.head.out.weight.shape == (5, 256)
    screen = capsys.readouterr()
    assert "loaded" in screen.err
    assert screen.out == ""


def test_layers_that_the_weights_lack_are_new(tmp_path: Path) -> None:
    torch.save(create_model("r2d_mini", num_classes=5).state_dict(), tmp_path / "r2d.pt")
    model, new = initial_model(_config(f"finetune.init_weights={tmp_path / 'r2d.pt'}"), HEADS)
    added = {name for name, _ in model.named_parameters() if ".b_rf." in name or ".b_avgpool_bn." in name}
    assert new == added != set()
    assert initial_model(_config(), HEADS)[1] == set()  # where all are random, none is newer than others


def test_two_heads_are_built_for_verbs_and_nouns() -> None:
    logits = initial_model(_config(), TWO_HEADS)[0].eval()(torch.zeros(1, 3, 2, 32, 32))
    assert {head: tuple(values.shape) for head, values in logits.items()} == {"verb": (1, 3), "noun": (1, 4)}


def test_clips_that_a_network_does_not_take_are_refused_before_training() -> None:
    model = create_model("tadaformer_b16", 5)
    sizes = ["model=tadaformer_b16", "finetune.short_side_px=[224,224]", "finetune.crop_px=224"]
    with pytest.raises(InputError, match=r"takes frames of 224 x 224 pixels.*finetune.test_short_side_px=64"):
        refuse_unfit_clips(model, _config(*sizes))
    whole = _config(*sizes, "finetune.test_short_side_px=224")
    with pytest.raises(InputError, match=r"square where finetune.test_crops is 1 or 3"):
        refuse_unfit_clips(model, whole)
    model.train()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    refuse_unfit_clips(model, _config(*sizes, "finetune.test_short_side_px=224", "finetune.test_crops=1"))
    assert model.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_what_does_not_fit_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no network named 'tada2d_mimi'; did you mean tada2d_mini"):
        initial_model(_config("model=tada2d_mimi"), HEADS)
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "w.pt")
    with pytest.raises(InputError, match="no tensor in it belongs to this network"):
        initial_model(_config(f"finetune.init_weights={tmp_path / 'w.pt'}"), HEADS)
    with pytest.raises(FileNotFoundError, match=r"absent\.pt"):
        initial_model(_config(f"finetune.init_weights={tmp_path / 'absent.pt'}"), HEADS)


class BrightnessModel(nn.Module):
    """Class 1 for bright clips, class 0 for dark ones."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, clips: Tensor) -> Tensor:
        mean = clips.mean(dim=(1, 2, 3, 4)) * self.scale
        return torch.stack([-mean, mean], dim=1)


class Shades:
    """Clip source whose videos are of one grey level, the number in their id; "-" is damaged."""

    start_step = 1

    def num_frames(self, video: Video) -> int:
        return 300

    def read(self, video: Video, frames: np.ndarray) -> np.ndarray:
        if video.video_id.startswith("-"):
            raise VideoError("x.mp4", "damaged")
        return np.full((len(frames), 8, 8, 3), int(video.video_id), dtype=np.uint8)


def _segment(video_id: str, **classes: int) -> LabelledSegment:
    segment = Segment(1.0, 5.0, "x")
    return LabelledSegment(Video(video_id, "training", None, 10.0, (segment,)), segment, classes, classes)


def _task(
    model: nn.Module, training: list[LabelledSegment], validation: list[LabelledSegment]
) -> FinetuneTask:
    config = FinetuneConfig(short_side_px=(8, 8), crop_px=8, test_short_side_px=8)
    grid = TimeGrid(fps=30, stride_frames=16)
    heads = (
        {"verb": ("v0", "v1"), "noun": ("n0", "n1")}
        if "verb" in training[0].classes
        else {"action": ("a", "b")}
    )
    return FinetuneTask(
        model,
        SegmentClips(training, Shades(), grid, config, 0, NetworkInput()),
        TestClips(validation, Shades(), grid, ViewsConfig.of_validation(config), NetworkInput()),
        heads,
    )


@pytest.fixture
def task() -> FinetuneTask:
    return _task(
        BrightnessModel(),
        [_segment("0", action=0), _segment("255", action=1), _segment("-1", action=1)],
        [
            _segment("10", action=0),
            _segment("200", action=0),
            _segment("-2", action=0),
            _segment("220", action=1),
        ],
    )


def _first_batch(task: FinetuneTask) -> dict[str, Any]:
    keys = [[(0, item) for item in range(task.num_items)]]
    return next(iter(torch.utils.data.DataLoader(task.dataset, batch_sampler=keys)))


def _logit(shade: int) -> float:
    return (shade / 255 - 0.45) / 0.225


def test_validation_counts_hits_and_lists_damaged_videos(task: FinetuneTask) -> None:
    found = task.validate()
    assert found["validation_accuracy"] == pytest.approx(2 / 3)
    assert found["validation_top5"] == 1.0
    wrong_by = [
        2 * _logit(10),
        2 * _logit(200),
        -2 * _logit(220),
    ]  # logit of the wrong class less the right one's
    expected = np.mean([np.log1p(np.exp(margin)) for margin in wrong_by])
    assert found["validation_loss"] == pytest.approx(expected, rel=1e-4)
    assert task.damaged == {"-2": "damaged"}


def test_losses_are_cross_entropy_and_accuracy_and_collect_damaged_videos(task: FinetuneTask) -> None:
    found = task.losses(task.model, _first_batch(task), torch.Generator())
    # the damaged one is replaced by the first, which is dark
    expected = np.mean([np.log1p(np.exp(-2 * abs(_logit(shade)))) for shade in (0, 255, 0)])
    assert found["loss"].item() == pytest.approx(expected, rel=1e-4)
    assert found["accuracy"].item() == 1.0
    assert found["replaced"].item() == pytest.approx(1 / 3)
    assert task.damaged == {"-1": "damaged"}


class TwoHeads(nn.Module):
    """Verb 1 for bright clips; noun 1 for all."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, clips: Tensor) -> dict[str, Tensor]:
        mean = clips.mean(dim=(1, 2, 3, 4)) * self.scale
        return {
            "verb": torch.stack([-mean, mean], dim=1),
            "noun": torch.stack([0 * mean, 0 * mean + 1], dim=1),
        }


def test_two_heads_add_their_losses_and_are_right_together() -> None:
    training = [_segment("0", verb=0, noun=1), _segment("255", verb=1, noun=0)]
    validation = [*training, _segment("254", verb=0, noun=1), _segment("253", verb=1, noun=1)]
    task = _task(TwoHeads(), training, validation)
    found = task.losses(task.model, _first_batch(task), torch.Generator())
    verb_loss = np.mean([np.log1p(np.exp(-2 * abs(_logit(shade)))) for shade in (0, 255)])
    noun_loss = np.mean([np.log1p(np.exp(-1)), np.log1p(np.exp(1))])
    assert found["loss"].item() == pytest.approx(verb_loss + noun_loss, rel=1e-4)
    assert found["noun_loss"].item() == pytest.approx(noun_loss, rel=1e-4)
    accuracies = {name: value.item() for name, value in found.items() if "accuracy" in name}
    assert accuracies == {"accuracy": 0.5, "verb_accuracy": 1.0, "noun_accuracy": 0.5}
    figures = task.validate()
    assert figures["validation_accuracy"] == 0.5
    assert figures["validation_verb_accuracy"] == figures["validation_noun_accuracy"] == 0.75
    assert task.best_metric[0] in figures


def test_a_large_network_without_weights_is_warned_of(capsys: pytest.CaptureFixture[str]) -> None:
    initial_model(_config(), HEADS)
    assert "WARNING" not in capsys.readouterr().err
    initial_model(_config("model=r2d_r50"), HEADS)
    said = capsys.readouterr().err
    assert "all 24 million weights of r2d_r50 start at random" in said
    assert "finetune.init_weights=FILE" in said
    assert "model=tada2d_mini" in said


def test_a_missing_weights_file_names_the_ways_out(tmp_path: Path) -> None:
    with pytest.raises(
        FileNotFoundError, match=r"absent\.pt: there is no such .*--weights.*model=tada2d_mini"
    ):
        initial_model(_config(f"finetune.init_weights={tmp_path / 'absent.pt'}"), HEADS)
