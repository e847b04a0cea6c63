"""The input that a network was made for: statistics of its pixels, size and rate of its clips."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of CLIP's image networks, which TAdaFormer starts from."""


@dataclass(frozen=True, kw_only=True)
class NetworkInput:
    """Facts of a network's input; the defaults are TAda2D's.

    Finetuning, extraction, tests and Grad-CAM prepare pixels by these, and a feature store and a
    file of weights name them. (Weights of an image ResNet that a video network starts from were
    trained on ImageNet's mean and deviation; the original code shows the video network its own all
    the same, and so does this.)
    """

    clip: tuple[int, int, int] = (8, 256, 256)
    """(T, H, W) at which the network is usually compared; of one built for a size, that size."""
    frame_step: int | None = 8
    """Frames of the video from one frame of the clip to the next; None: spread over the whole
    video."""
    mean: tuple[float, float, float] = (0.45, 0.45, 0.45)
    """RGB mean, for values in 0 .. 1."""
    std: tuple[float, float, float] = (0.225, 0.225, 0.225)
    """RGB standard deviation."""
    fixed_size: bool = False
    """Whether H and W of all clips must be those that the network was built for."""
    fixed_frames: bool = False
    """Whether T must be, too."""

    def __post_init__(self) -> None:
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise ValueError(
                f"expected a mean and a positive deviation of R, G, B; got {self.mean}, {self.std}"
            )

    def normalise(self, clip_CTHW: Tensor) -> Tensor:
        """Bring RGB pixels (3, T, H, W) from 0 .. 1 to what the network was trained on: (pixel -
        mean) / std.

        >>> NetworkInput().normalise(torch.full((3, 1, 1, 1), 0.675)).flatten()
        tensor([1.0000, 1.0000, 1.0000])
        """
        mean, std = self._per_channel(clip_CTHW)
        return (clip_CTHW - mean) / std

    def pixels(self, clip_CTHW: Tensor) -> Tensor:
        """Undo :meth:`normalise`."""
        mean, std = self._per_channel(clip_CTHW)
        return clip_CTHW * std + mean

    @property
    def statistics(self) -> str:
        """Mean and deviation in words, for an attribute of a file; the same numbers give the same
        words.

        >>> NetworkInput().statistics
        'mean 0.45 0.45 0.45, std 0.225 0.225 0.225'
        """
        mean, std = (" ".join(f"{value:g}" for value in values) for values in (self.mean, self.std))
        return f"mean {mean}, std {std}"

    def _per_channel(self, clip_CTHW: Tensor) -> tuple[Tensor | float, Tensor | float]:
        """What to subtract and divide by; plain numbers where the channels agree, which is
        faster."""
        if len({*self.mean}) == len({*self.std}) == 1:
            return self.mean[0], self.std[0]
        mean, std = (clip_CTHW.new_tensor(values).view(3, 1, 1, 1) for values in (self.mean, self.std))
        return mean, std
