"""Mixup, CutMix, smoothed labels and random erasing: clips and losses against their definitions."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from classification.finetune.heads import head_losses
from classification.finetune.mixing import UNMIXED, Mix, draw_mix, erase
from classification.finetune.settings import FinetuneConfig
from classification.finetune.train import FinetuneTask
from tadaconv import create_model


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@given(seed=st.integers(0, 10_000), height=st.integers(1, 40), width=st.integers(1, 40))
@settings(deadline=None)
def test_a_box_holds_as_much_of_the_partner_as_its_label(seed: int, height: int, width: int) -> None:
    mix = draw_mix(FinetuneConfig(cutmix=1.0), (height, width), generator(seed))
    clips = torch.stack([torch.zeros(3, 2, height, width), torch.ones(3, 2, height, width)])
    mixed = mix.clips(clips) if mix is not UNMIXED else clips
    assert mixed[0].mean().item() == pytest.approx(1 - mix.share, abs=1e-6)
    assert mixed[1].mean().item() == pytest.approx(mix.share, abs=1e-6)
    assert set(mixed.unique().tolist()) <= {0.0, 1.0}
    assert torch.equal(mixed[:, :, 0], mixed[:, :, 1])  # at the same place of all frames


def test_mixup_adds_the_reversed_batch() -> None:
    clips = torch.randn(4, 3, 2, 5, 5)
    mix = draw_mix(FinetuneConfig(mixup=0.2), (5, 5), generator(3))
    assert 0 < mix.share < 1
    torch.testing.assert_close(mix.clips(clips)[1], mix.share * clips[1] + (1 - mix.share) * clips[2])


def test_both_take_turns_and_neither_draws_nothing() -> None:
    config = FinetuneConfig(mixup=0.2, cutmix=1.0)
    cut = [draw_mix(config, (50, 50), generator(seed)).box != (0, 0, 0, 0) for seed in range(200)]
    assert 70 < sum(cut) < 130
    untouched = generator(5)
    assert draw_mix(FinetuneConfig(), (5, 5), untouched) is UNMIXED
    assert torch.equal(untouched.get_state(), generator(5).get_state())


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("share", [1.0, 0.7])
def test_the_loss_is_that_of_the_mixed_and_smoothed_target(share: float, smoothing: float) -> None:
    logits, classes = torch.randn(4, 6), torch.tensor([0, 5, 2, 2])
    smooth = F.one_hot(classes, 6) * (1 - smoothing) + smoothing / 6
    target = share * smooth + (1 - share) * smooth.flip(0)
    expected = -(target * logits.log_softmax(1)).sum(1).mean()
    found = head_losses({"action": logits}, {"action": classes}, Mix(share), smoothing)
    torch.testing.assert_close(found["loss"], expected)
    assert found["accuracy"] == (logits.argmax(1) == classes).float().mean()


def test_erasing_fills_one_rectangle_of_all_frames() -> None:
    clip = torch.full((3, 4, 40, 60), 7.0)
    for seed in range(30):
        erased = erase(clip, generator(seed)) != 7
        rows, columns = erased[0, 0].any(1).nonzero(), erased[0, 0].any(0).nonzero()
        area = len(rows) * len(columns)
        assert erased.sum() == area * 12  # a whole rectangle, in every frame and colour
        assert 0.015 < area / 2400 < 0.36
    assert (clip == 7).all()


@pytest.mark.parametrize(
    "setting", [{"label_smoothing": 1.5}, {"random_erasing": -0.1}, {"mixup": -1.0}, {"colour_jitter": 2.0}]
)
def test_settings_out_of_range_are_refused(setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(setting))):
        FinetuneConfig(**setting)


def test_the_task_mixes_by_the_steps_generator() -> None:
    class Clips:
        config = FinetuneConfig(mixup=0.2, cutmix=1.0, label_smoothing=0.1)

        def __len__(self) -> int:
            return 4

    model = create_model("r2d_mini", {"verb": 3, "noun": 4})
    task = FinetuneTask(model, Clips(), None, {"verb": tuple("abc"), "noun": tuple("defg")})
    batch = {
        "clip": torch.randn(4, 3, 2, 32, 32),
        "classes": {"verb": torch.tensor([0, 1, 2, 0]), "noun": torch.tensor([3, 1, 2, 0])},
        "damaged": (["", "", "", ""], ["", "", "", ""]),
    }
    losses = [task.losses(model.eval(), batch, generator(seed))["loss"].item() for seed in (1, 1, 2)]
    assert losses[0] == losses[1] != losses[2]
