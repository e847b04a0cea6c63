"""A stack of moving clips from one still picture: one clip for every motion.

    picture --short side, random square--> (S, S) --window slides--> clip (T, W, W) --mask--> clip

Everything outside a small rectangle is frozen ("static mask"), so that the motion has to be seen
there and cannot be told from the borders.

Source: MoSI (Huang et al., CVPR 2021), Sec. 3; `mosi_generator.py` of the TAdaConv repository.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from classification.pretrain.motions import (
    WindowMotion,
    central_path,
    mirrored_class,
    motion_classes,
    random_path,
)
from video_datasets.video.transforms import resize_short_side, to_float


@dataclass(frozen=True, kw_only=True)
class MovingClips:
    """Sizes of the clips.

    Attributes:
        picture_px: S, side of the square that the window slides over (paper: 320).
        window_px: W, side of the window (paper: 112).
        num_frames: T of a clip (paper: 16).
        speeds: of an axis (paper: 5).
        joint_axes: whether both axes may move in one clip (paper: no).
        still: whether standing still is a class (paper: yes).
        mask_share: smallest and largest side of the moving rectangle, as a share of W; None: no
            mask (paper: 0.3, 0.5).
    """

    picture_px: int = 320
    window_px: int = 112
    num_frames: int = 16
    speeds: int = 5
    joint_axes: bool = False
    still: bool = True
    mask_share: tuple[float, float] | None = (0.3, 0.5)

    @property
    def classes(self) -> list[WindowMotion]:
        """Motions in the order of their class numbers."""
        return motion_classes(self.speeds, joint_axes=self.joint_axes, still=self.still)

    @property
    def free_px(self) -> int:
        """Pixels that the window can move along an axis."""
        return self.picture_px - self.window_px

    def of_picture(
        self, picture_HWC: NDArray[np.uint8], generator: np.random.Generator, *, central: bool = False
    ) -> NDArray[np.uint8]:
        """Make a clip of every motion; a new square of the picture is cut for each.

        Args:
            picture_HWC: RGB, of any size.
            generator: source of squares and, unless `central`, of starts.
            central: whether each path's middle is the square's, as in validation.

        Returns:
            uint8 (classes, T, W, W, 3), before any mask.
        """
        scaled = scaled_picture(picture_HWC, self.picture_px)
        return np.stack([self._clip(scaled, motion, generator, central) for motion in self.classes])

    def _clip(
        self, scaled: NDArray[np.uint8], motion: WindowMotion, generator: np.random.Generator, central: bool
    ) -> NDArray[np.uint8]:
        square = random_square(scaled, self.picture_px, generator)
        top_speed = self.speeds // 2
        columns, rows = (
            (
                central_path(speed, top_speed, self.free_px)
                if central
                else random_path(speed, top_speed, self.free_px, generator)
            ).positions_px(self.num_frames, self.free_px)
            for speed in motion
        )
        size = self.window_px
        return np.stack([square[y : y + size, x : x + size] for y, x in zip(rows, columns, strict=True)])

    def mask(self, clips_BCTHW: Tensor, generator: np.random.Generator) -> Tensor:
        """Freeze each clip outside a rectangle of its own; unchanged without a mask."""
        if self.mask_share is None:
            return clips_BCTHW
        low, high = self.mask_share
        return torch.stack(
            [static_mask(clip, generator.uniform(low, high), generator) for clip in clips_BCTHW]
        )


def scaled_picture(picture_HWC: NDArray[np.uint8], short_side_px: int) -> NDArray[np.uint8]:
    """Scale a picture to a short side: bilinear, no antialiasing, truncated to 8 bit (as the
    original)."""
    scaled = resize_short_side(to_float(picture_HWC[None]), short_side_px)
    return (scaled[:, 0] * 255).clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()


def random_square(
    picture_HWC: NDArray[np.uint8], size_px: int, generator: np.random.Generator
) -> NDArray[np.uint8]:
    """Cut a square out at a random place."""
    height, width = picture_HWC.shape[:2]
    top = int(generator.integers(height - size_px, endpoint=True))
    left = int(generator.integers(width - size_px, endpoint=True))
    return picture_HWC[top : top + size_px, left : left + size_px]


def static_mask(clip_CTHW: Tensor, share: float, generator: np.random.Generator) -> Tensor:
    """Freeze a clip outside a rectangle: there all frames show one of its frames.

    Args:
        clip_CTHW: C x T x H x W.
        share: side of the rectangle as a share of the clip's, the same for both sides.
        generator: source of the frame, and of the rectangle's place.
    """
    num_frames, height, width = clip_CTHW.shape[1:]
    shown = int(generator.integers(num_frames))
    tall, wide = int(height * share), int(width * share)
    top = int(generator.integers(height - tall, endpoint=True))
    left = int(generator.integers(width - wide, endpoint=True))
    masked = clip_CTHW[:, shown : shown + 1].repeat(1, num_frames, 1, 1)
    inside = (..., slice(top, top + tall), slice(left, left + wide))
    masked[inside] = clip_CTHW[inside]
    return masked


def random_flips(
    clips_BCTHW: Tensor, labels: list[int], classes: list[WindowMotion], generator: np.random.Generator
) -> tuple[Tensor, list[int]]:
    """Flip every second clip from left to right, and swap its label with the mirrored motion's.

    The original flips without swapping, so that left and right of one speed cannot be told apart
    (77.8 % of nine classes at best).
    """
    flipped = generator.random(len(labels)) < 0.5
    clips = torch.stack(
        [clip.flip(-1) if flip else clip for clip, flip in zip(clips_BCTHW, flipped, strict=True)]
    )
    swapped = [
        mirrored_class(classes, label) if flip else label for label, flip in zip(labels, flipped, strict=True)
    ]
    return clips, swapped
