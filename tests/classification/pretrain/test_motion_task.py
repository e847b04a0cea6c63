"""The training task of MoSI: items, damaged files, losses, and that a small network learns it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from classification.pretrain.pictures import PictureFiles
from classification.pretrain.settings import PretrainConfig
from classification.pretrain.task import MotionTask, MovingPictures
from runtime.errors import InputError
from tadaconv import VideoNetwork, create_model
from tadaconv.inputs import NetworkInput

SMALL = PretrainConfig(
    epochs=1, warmup_epochs=0, picture_px=48, window_px=16, num_frames=4, speeds=3, colour=0.4
)


FACTS = NetworkInput()


@pytest.fixture
def images(tmp_path: Path) -> tuple[Path, ...]:
    generator = np.random.default_rng(0)
    paths = tuple(tmp_path / f"{number}.png" for number in range(6))
    for path in paths:  # smooth blobs: noise would move by more than it is wide
        blobs = Image.fromarray(generator.integers(0, 256, (6, 8, 3), dtype=np.uint8))
        blobs.resize((80, 60), Image.Resampling.BICUBIC).save(path)
    return paths


def test_an_item_is_a_clip_of_every_motion(images: tuple[Path, ...]) -> None:
    item = MovingPictures(images, SMALL, 0, FACTS)[(0, 2)]
    assert item["clips"].shape == (5, 3, 4, 16, 16)
    assert sorted(item["labels"].tolist()) == [0, 1, 2, 3, 4]
    still = item["clips"][item["labels"] == 4]
    assert item["damaged"] == ("", "")
    assert still.shape[0] == 1


def test_items_depend_on_seed_epoch_and_place_alone(images: tuple[Path, ...]) -> None:
    first, again = (MovingPictures(images, SMALL, 3, FACTS)[(1, 4)] for _ in range(2))
    other_epoch = MovingPictures(images, SMALL, 3, FACTS)[(2, 4)]
    assert torch.equal(first["clips"], again["clips"])
    assert not torch.equal(first["clips"], other_epoch["clips"])


def test_validation_shows_the_same_in_every_epoch(images: tuple[Path, ...]) -> None:
    held_out = MovingPictures(images, SMALL, 0, FACTS, central=True)
    assert torch.equal(held_out[(0, 1)]["clips"], held_out[(7, 1)]["clips"])
    assert held_out[(0, 1)]["labels"].tolist() == [0, 1, 2, 3, 4]


def test_a_damaged_file_is_replaced_and_named(images: tuple[Path, ...]) -> None:
    images[1].write_bytes(b"no picture")
    item = MovingPictures(images, SMALL, 0, FACTS)[(0, 1)]
    assert item["damaged"][0] == str(images[1])
    assert item["clips"].isfinite().all()


def test_only_damaged_files_stop_the_training(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"no picture can be read; the first: .*a\.png"):
        _ = MovingPictures((tmp_path / "a.png",), SMALL, 0, FACTS)[(0, 0)]


def test_loss_is_the_mean_over_all_clips(images: tuple[Path, ...]) -> None:
    class Constant(VideoNetwork):
        def __init__(self) -> None:
            torch.nn.Module.__init__(self)

        def forward(self, clips: torch.Tensor) -> torch.Tensor:
            logits = torch.zeros(len(clips), 5)
            logits[:, 4] = 2.0
            return logits

    task = MotionTask(Constant(), PictureFiles(images, ()), SMALL, seed=0)
    batch = torch.utils.data.default_collate([task.dataset[(0, item)] for item in range(3)])
    found = task.losses(task.model, batch, torch.Generator())
    total = np.log(4 + np.exp(2.0))
    assert found["loss"].item() == pytest.approx((4 * total + (total - 2.0)) / 5, rel=1e-6)
    assert found["accuracy"].item() == pytest.approx(0.2)


@pytest.mark.slow
def test_a_small_network_learns_the_motions(images: tuple[Path, ...]) -> None:
    torch.manual_seed(0)
    config = PretrainConfig(
        picture_px=48, window_px=32, num_frames=4, speeds=3, mask_share=None, colour=0, grey_probability=0
    )
    task = MotionTask(create_model("tada2d_mini", num_classes=5), PictureFiles(images, ()), config, seed=0)
    optimizer = torch.optim.AdamW(task.model.parameters(), lr=3e-3)
    for epoch in range(120):
        batch = torch.utils.data.default_collate([task.dataset[(epoch, item)] for item in range(6)])
        losses = task.losses(task.model, batch, torch.Generator())
        optimizer.zero_grad()
        losses["loss"].backward()
        optimizer.step()
    assert losses["accuracy"] > 0.6  # chance is 0.2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"picture_px": 112}, "pretrain.picture_px=112 must exceed pretrain.window_px=112"),
        ({"speeds": 4}, "pretrain.speeds must be odd and at least 3, found 4"),
        ({"mask_share": (0.6, 0.5)}, "pretrain.mask_share must be two shares, smallest first"),
        ({"colour": 1.5}, "pretrain.colour must be at most 1, found 1.5"),
    ],
)
def test_settings_out_of_range(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message.replace(".", r"\.")):
        PretrainConfig(**settings)  # type: ignore[arg-type]
