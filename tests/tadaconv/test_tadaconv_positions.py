"""Positions of a ViViT at another size than its weights were trained on."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tadaconv import create_model, load_weights
from tadaconv.positions import interpolated_steps


def test_weights_of_another_frame_size_see_what_interpolation_on_the_way_gives() -> None:
    """The network built for 64 pixels interpolates when it sees 96, as the released code does
    (golden data of test_tadaconv_seed_family)."""
    torch.manual_seed(0)
    small = create_model("vivit_mini", num_classes=5, input_size=(8, 64, 64)).eval()
    large = create_model("vivit_mini", num_classes=5, input_size=(8, 96, 96)).eval()
    report = load_weights(large, small.state_dict())
    assert report.interpolated == ("backbone.pos_embd",)
    assert "interpolated to another size: 1 (backbone.pos_embd)" in str(report)
    clips = torch.randn(2, 3, 8, 96, 96)
    with torch.no_grad():
        torch.testing.assert_close(large(clips), small(clips))


@pytest.mark.parametrize("count", [3, 8, 16])
def test_steps_are_interpolated_linearly(count: int) -> None:
    torch.manual_seed(0)
    steps = torch.randn(1, 1 + 8, 6)
    found = interpolated_steps(steps, count)
    middles = (np.arange(count) + 0.5) * 8 / count - 0.5  # of the new steps, in the old ones
    for channel in range(6):
        expected = np.interp(middles, np.arange(8), steps[0, 1:, channel].numpy())
        np.testing.assert_allclose(found[0, 1:, channel].numpy(), expected, atol=1e-6)
    torch.testing.assert_close(found[:, :1], steps[:, :1])


def test_a_clip_of_another_length_and_other_classes() -> None:
    ours = create_model("vivit_mini", num_classes=3, input_size=(16, 64, 64))
    given = create_model("vivit_mini", num_classes=5, input_size=(8, 64, 64)).state_dict()
    report = load_weights(ours, given, drop_mismatched_head=True)
    assert report.interpolated == ("backbone.temp_embd",)


def test_one_table_of_places_and_times_is_refused() -> None:
    ours = create_model("vivit_b16", input_size=(2, 32, 32))
    given = create_model("vivit_b16", input_size=(2, 48, 48)).state_dict()
    with pytest.raises(ValueError, match=r"other shapes: 1 \(backbone\.pos_embd"):
        load_weights(ours, given)
