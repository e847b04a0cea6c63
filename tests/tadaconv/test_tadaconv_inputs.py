"""Facts of a network's input, and the way of pixels to the network and back."""

from __future__ import annotations

import pytest
import torch

from tadaconv import create_model, optimize_for_inference
from tadaconv.inputs import CLIP_MEAN, CLIP_STD, NetworkInput


def test_pixels_of_equal_channels_are_normalised_as_ever() -> None:
    """The same operations as before networks had statistics of their own, so the same bits."""
    clip = torch.rand(3, 4, 9, 11)
    assert torch.equal(NetworkInput().normalise(clip), (clip - 0.45) / 0.225)


@pytest.mark.parametrize("facts", [NetworkInput(), NetworkInput(mean=CLIP_MEAN, std=CLIP_STD)])
def test_each_channel_has_its_own_mean_and_deviation(facts: NetworkInput) -> None:
    clip = torch.rand(3, 2, 5, 6)
    seen = facts.normalise(clip)
    for channel in range(3):
        expected = (clip[channel].double() - facts.mean[channel]) / facts.std[channel]
        torch.testing.assert_close(seen[channel].double(), expected, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(facts.pixels(seen), clip)


def test_impossible_deviations_are_refused() -> None:
    with pytest.raises(ValueError, match="a positive deviation of R, G, B"):
        NetworkInput(std=(0.2, 0.0, 0.2))


def test_facts_come_with_the_network_and_its_copies() -> None:
    with torch.device("meta"):
        model = create_model("tadaformer_b16", 5, input_size=(8, 160, 160))
    assert (model.input.mean, model.input.std) == (CLIP_MEAN, CLIP_STD)
    assert (model.input.clip, model.input.fixed_size) == ((8, 160, 160), True)
    mini = create_model("tada2d_mini", 5)
    assert mini.input.statistics == "mean 0.45 0.45 0.45, std 0.225 0.225 0.225"
    assert optimize_for_inference(mini).input == mini.input == NetworkInput(clip=(8, 64, 64))
