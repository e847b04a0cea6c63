"""The geometry of a clip before the network sees it: scale, crop, flip.

As in the TAdaConv repository (datasets/utils/transformations.py and configs/pool/base.yaml), whose
released weights expect exactly this: bilinear without antialiasing, the long side truncated. Mean
and deviation of the pixels are the network's own (`VideoNetwork.input`). Pure functions; randomness
comes from the generator that is passed in.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate


def to_float(frames_THWC: NDArray[np.uint8] | Tensor) -> Tensor:
    """Turn frames as decoded, uint8 (T, H, W, 3), into a clip: float32 (3, T, H, W) in [0, 1].

    Raises:
        ValueError: if the shape or the type is another.
    """
    frames = torch.as_tensor(frames_THWC)
    if frames.ndim != 4 or frames.shape[-1] != 3 or frames.dtype != torch.uint8:
        raise ValueError(f"expected uint8 frames (T, H, W, 3), got {frames.dtype} {tuple(frames.shape)}")
    return frames.permute(3, 0, 1, 2).float() / 255


def resized_size(height: int, width: int, short_side_px: int) -> tuple[int, int]:
    """Height and width after `resize_short_side`; the long side is truncated to whole pixels.

    >>> resized_size(1080, 1920, 224)
    (224, 398)
    """
    long_side_px = int(max(height, width) / min(height, width) * short_side_px)
    return (short_side_px, long_side_px) if height <= width else (long_side_px, short_side_px)


def resize_short_side(clip_CTHW: Tensor, short_side_px: int) -> Tensor:
    """Scale a clip so that its shorter side is `short_side_px`: bilinear, no antialiasing, (C,
    T, h, w)."""
    size = resized_size(clip_CTHW.shape[-2], clip_CTHW.shape[-1], short_side_px)
    if size == tuple(clip_CTHW.shape[-2:]):
        return clip_CTHW
    return interpolate(clip_CTHW, size=size, mode="bilinear", align_corners=False, antialias=False)


def scaled_frames(frames_THWC: NDArray[np.uint8] | Tensor, short_side_px: int) -> Tensor:
    """Scale whole frames, uncropped: float32 (3, T, h, w) in [0, 1].

    Works frame by frame, so clips may be put together afterwards.
    """
    return resize_short_side(to_float(frames_THWC), short_side_px)


def crop(clip_CTHW: Tensor, top_px: int, left_px: int, size_px: int) -> Tensor:
    """Cut out a square.

    Raises:
        ValueError: if the square does not lie within the frame.
    """
    height, width = clip_CTHW.shape[-2:]
    if not (0 <= top_px <= height - size_px and 0 <= left_px <= width - size_px):
        raise ValueError(f"no {size_px} px square at row {top_px}, column {left_px} of {height} x {width} px")
    return clip_CTHW[..., top_px : top_px + size_px, left_px : left_px + size_px]


def centre_crop(clip_CTHW: Tensor, size_px: int) -> Tensor:
    """Cut out the square in the middle."""
    return three_crops(clip_CTHW, size_px)[1]


def three_crops(clip_CTHW: Tensor, size_px: int) -> tuple[Tensor, Tensor, Tensor]:
    """Cut out three squares along the longer side: left, centre, right (or top, centre, bottom)."""
    spare_rows, spare_columns = (side - size_px for side in clip_CTHW.shape[-2:])
    wide = spare_columns >= spare_rows
    tops = (spare_rows // 2,) * 3 if wide else (0, spare_rows // 2, spare_rows)
    lefts = (0, spare_columns // 2, spare_columns) if wide else (spare_columns // 2,) * 3
    first, second, third = (
        crop(clip_CTHW, top, left, size_px) for top, left in zip(tops, lefts, strict=True)
    )
    return first, second, third


def random_training_view(
    clip_CTHW: Tensor,
    *,
    short_side_range_px: tuple[int, int],
    crop_px: int,
    generator: torch.Generator,
    flip_probability: float = 0.5,
) -> Tensor:
    """Flip, scale and crop a clip at random, the same way in all its frames (the paper's training
    recipe).

    First the flip, then the short side, uniform within the range and truncated, then a square
    anywhere.

    Args:
        clip_CTHW: float clip.
        short_side_range_px: smallest and largest short side; 224, 340 in the released configs.
        crop_px: side of the square, at most the smallest short side.
        generator: the source of randomness; four numbers are drawn.
        flip_probability: 0 for data where left and right matter.

    Returns:
        Tensor of shape (C, T, crop_px, crop_px).

    Raises:
        ValueError: if the range is not increasing or the crop exceeds it.
    """
    low_px, high_px = short_side_range_px
    if not 0 < crop_px <= low_px <= high_px:
        raise ValueError(
            f"expected 0 < crop <= low <= high px, got crop {crop_px}, low {low_px}, high {high_px}"
        )
    flip, scale, row, column = torch.rand(4, generator=generator, dtype=torch.float64).tolist()
    if flip < flip_probability:
        clip_CTHW = clip_CTHW.flip(-1)
    clip_CTHW = resize_short_side(clip_CTHW, int(low_px + scale * (high_px - low_px)))
    spare_rows, spare_columns = (side - crop_px for side in clip_CTHW.shape[-2:])
    return crop(clip_CTHW, int(row * (spare_rows + 1)), int(column * (spare_columns + 1)), crop_px)
