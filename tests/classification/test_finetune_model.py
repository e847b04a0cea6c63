"""Where finetuning starts from, and how it measures itself."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from classification.finetune.clips import LabelledSegment, SegmentClips
from classification.finetune.train import FinetuneTask, initial_model
from runtime.config import load_config
from runtime.errors import InputError
from runtime.schema import FinetuneConfig, RunConfig
from tadaconv import create_model
from video_datasets.dataset import Segment, Video
from video_datasets.decoding import VideoError
from video_datasets.time_grid import TimeGrid


def _config(*words: str) -> RunConfig:
    configs = Path(__file__).resolve().parents[2] / "configs"
    return load_config(configs / "hacs_mini.yaml", words)


def test_the_seed_alone_decides_on_random_weights() -> None:
    states = [initial_model(_config(f"seed={seed}"), 5).state_dict() for seed in (0, 0, 1)]
    key = "head.out.weight"
    assert torch.equal(states[0][key], states[1][key])
    assert not torch.equal(states[0][key], states[2][key])


def test_given_weights_are_loaded_but_for_the_head(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = create_model("tada2d_mini", num_classes=7)
    torch.save(source.state_dict(), tmp_path / "w.pt")
    model = initial_model(_config(f"finetune.init_weights={tmp_path / 'w.pt'}"), 5)
    key = next(name for name, _ in source.named_parameters())
    assert torch.equal(model.state_dict()[key], source.state_dict()[key])
    assert model.head.out.weight.shape == (5, 256)
    screen = capsys.readouterr()
    assert "loaded" in screen.err
    assert screen.out == ""


def test_what_does_not_fit_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no network named 'tada2d_mimi'; did you mean tada2d_mini"):
        initial_model(_config("model=tada2d_mimi"), 5)
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "w.pt")
    with pytest.raises(InputError, match="no tensor in it belongs to this network"):
        initial_model(_config(f"finetune.init_weights={tmp_path / 'w.pt'}"), 5)
    with pytest.raises(FileNotFoundError, match=r"absent\.pt"):
        initial_model(_config(f"finetune.init_weights={tmp_path / 'absent.pt'}"), 5)


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


def _segment(video_id: str, class_index: int) -> LabelledSegment:
    segment = Segment(1.0, 5.0, "x")
    return LabelledSegment(Video(video_id, "training", None, 10.0, (segment,)), segment, class_index)


@pytest.fixture
def task() -> FinetuneTask:
    config = FinetuneConfig(short_side_px=(8, 8), crop_px=8, test_short_side_px=8)
    grid = TimeGrid(fps=30, stride_frames=16)
    training = [_segment("0", 0), _segment("255", 1), _segment("-1", 1)]
    validation = [_segment("10", 0), _segment("200", 0), _segment("-2", 0), _segment("220", 1)]
    clips = SegmentClips(training, Shades(), grid, config, seed=0)
    return FinetuneTask(BrightnessModel(), clips, validation, Shades(), config)


def test_validation_counts_hits_and_lists_damaged_videos(task: FinetuneTask) -> None:
    assert task.validate() == {"validation_accuracy": 2 / 3}
    assert task.damaged == {"-2": "damaged"}


def test_losses_are_cross_entropy_and_accuracy_and_collect_damaged_videos(task: FinetuneTask) -> None:
    batch = next(iter(torch.utils.data.DataLoader(task.dataset, batch_sampler=[[(0, 0), (0, 1), (0, 2)]])))
    found = task.losses(task.model, batch, torch.Generator())
    dark, bright = (0 - 0.45) / 0.225, (1 - 0.45) / 0.225
    # the damaged one is replaced by the first, which is dark
    expected = np.mean([np.log1p(np.exp(-2 * abs(mean))) for mean in (dark, bright, dark)])
    assert found["loss"].item() == pytest.approx(expected, rel=1e-4)
    assert found["accuracy"].item() == 1.0
    assert task.damaged == {"-1": "damaged"}
