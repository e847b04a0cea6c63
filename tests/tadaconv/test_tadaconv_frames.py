"""Folding of frames and the temporal average."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tadaconv.frames import fold_frames, gather_windows, temporal_average, unfold_frames
from tadaconv.layers import ClipConv


def test_folding_channels_last_clips_copies_nothing() -> None:
    clips = torch.randn(2, 3, 4, 5, 6).contiguous(memory_format=torch.channels_last_3d)
    images = fold_frames(clips)
    assert images.data_ptr() == clips.data_ptr()
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(images[1 * 4 + 2], clips[1, :, 2])
    assert unfold_frames(images, n_clips=2).data_ptr() == clips.data_ptr()


def test_unfolding_undoes_folding() -> None:
    clips = torch.randn(2, 3, 4, 5, 6)  # in the ordinary memory format
    assert torch.equal(unfold_frames(fold_frames(clips), n_clips=2), clips)


@pytest.mark.parametrize("n_frames", [3, 4, 8])
def test_temporal_average_is_zero_padded_pooling(n_frames: int) -> None:
    x = torch.randn(2, 4, n_frames, 3, 5, dtype=torch.float64)
    expected = F.avg_pool3d(x, kernel_size=(3, 1, 1), stride=1, padding=(1, 0, 0))
    torch.testing.assert_close(temporal_average(x), expected)


def test_temporal_average_of_one_and_two_frames() -> None:  # where pooling raises
    one, two = torch.tensor([6.0]), torch.tensor([3.0, 9.0])
    assert temporal_average(one.view(1, 1, 1, 1, 1)).flatten().tolist() == [2.0]
    assert temporal_average(two.view(1, 1, 2, 1, 1)).flatten().tolist() == [4.0, 4.0]


@pytest.mark.parametrize("n_frames", [1, 2, 5])
def test_gradient_of_the_temporal_average(n_frames: int) -> None:
    x = torch.randn(1, 2, n_frames, 2, 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(temporal_average, (x,))
    assert torch.autograd.gradgradcheck(temporal_average, (x,))


@pytest.mark.parametrize("kernel", [(1, 7), (3, 3), (5, 1)])
@pytest.mark.parametrize("n_frames", [1, 2, 4])  # fewer than the kernel spans, too
def test_clip_conv_is_a_conv3d_that_stays_channels_last(kernel: tuple[int, int], n_frames: int) -> None:
    conv = ClipConv(3, 8, kernel, stride=2, bias=True).double()
    x = torch.randn(2, 3, n_frames, 11, 14, dtype=torch.float64, requires_grad=True)
    y = conv(x)
    expected = F.conv3d(x, conv.weight, conv.bias, conv.stride, conv.padding)
    torch.testing.assert_close(y, expected)
    assert y.is_contiguous(memory_format=torch.channels_last_3d)

    upstream = torch.randn_like(y)
    sources = (x, conv.weight, conv.bias)
    for got, wanted in zip(
        torch.autograd.grad(y, sources, upstream),
        torch.autograd.grad(expected, sources, upstream),
        strict=True,
    ):
        torch.testing.assert_close(got, wanted)


@pytest.mark.parametrize(("kernel_t", "stride"), [(1, 1), (3, 1), (5, 4), (7, 8)])
def test_windows_turn_a_temporal_convolution_into_one_of_channels(kernel_t: int, stride: int) -> None:
    x, weight = torch.randn(2, 3, 8, 4, 5), torch.randn(6, 3, kernel_t, 1, 1)
    expected = F.conv3d(x, weight, stride=(stride, 1, 1), padding=(kernel_t // 2, 0, 0))
    got = torch.einsum("oc,bcthw->bothw", weight.flatten(1), gather_windows(x, kernel_t, stride))
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=1e-5)
