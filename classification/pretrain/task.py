"""The task of MoSI for the training loop: name the motion of every clip of every picture.

Source: MoSI (Huang et al., CVPR 2021), Sec. 3; mean cross-entropy over all clips, as `MoSIJoint` of
the TAdaConv repository.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from classification.pretrain.moving_clips import MovingClips, random_flips
from classification.pretrain.pictures import PictureFiles, read_picture
from classification.pretrain.settings import PretrainConfig
from runtime.errors import InputError
from tadaconv import VideoNetwork
from tadaconv.inputs import NetworkInput
from training.batches import ItemKey, derived_seed
from training.distributed import shard, sum_over_ranks
from video_datasets.video.colour import ColourJitter
from video_datasets.video.decoding import VideoError
from video_datasets.video.transforms import to_float


class MovingPictures(Dataset[dict[str, Any]]):
    """Stacks of moving clips, one stack of each picture file in an epoch.

    A file that cannot be read is replaced by another one, which depends on seed, epoch and item
    alone.

    Args:
        files: images and videos.
        config: sizes and augmentations.
        seed: of the run.
        facts: statistics of the network's pixels.
        central: whether pictures, paths and colours are the same every time, as in validation.
    """

    def __init__(
        self,
        files: Sequence[Path],
        config: PretrainConfig,
        seed: int,
        facts: NetworkInput,
        *,
        central: bool = False,
    ) -> None:
        self.files, self.config, self.seed = files, config, seed
        self.facts, self.central = facts, central
        self.clips = moving_clips(config)
        self.colour = ColourJitter(
            brightness=config.colour,
            contrast=config.colour,
            saturation=config.colour,
            hue=config.colour / 2,
            grey_probability=config.grey_probability,
            per_frame=True,
        )

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, key: ItemKey) -> dict[str, Any]:
        """Return one item.

        Returns:
            "clips" (M, 3, T, W, W) normalised, one for every motion; "labels" (M,); "damaged": file
            and reason, both "" if none.

        Raises:
            InputError: if no file can be read.
        """
        epoch, item = (0, key[1]) if self.central else key
        generator = np.random.default_rng([self.seed, epoch, item])
        place = 0.5 if self.central else generator.random()
        damaged = ("", "")
        for path in self._candidates(item, generator):
            try:
                picture = read_picture(path, place)
            except VideoError as error:
                damaged = damaged if damaged[0] else (str(path), error.reason)
                continue
            clips, labels = self._stack(picture, generator, derived_seed(self.seed, epoch, item))
            return {"clips": clips, "labels": torch.tensor(labels), "damaged": damaged}
        raise InputError(f"no picture can be read; the first: {damaged[0]}: {damaged[1]}")

    def _candidates(self, item: int, generator: np.random.Generator) -> Sequence[Path]:
        others = generator.permutation(len(self.files))
        return [self.files[item], *(self.files[other] for other in others if other != item)]

    def _stack(
        self, picture: np.ndarray, generator: np.random.Generator, seed: int
    ) -> tuple[Tensor, list[int]]:
        stack = self.clips.of_picture(picture, generator, central=self.central)
        labels = [*range(len(stack))]
        clips = torch.stack([to_float(clip) for clip in stack])
        if not self.central:
            torch_generator = torch.Generator().manual_seed(seed)
            clips = torch.stack([self.colour(clip, torch_generator) for clip in clips])
        clips = torch.stack([self.facts.normalise(clip) for clip in clips])
        if self.config.flip == "swap" and not self.central:
            clips, labels = random_flips(clips, labels, self.clips.classes, generator)
        return self.clips.mask(clips, generator), labels


def moving_clips(config: PretrainConfig) -> MovingClips:
    """Return the sizes of the clips that a configuration asks for."""
    return MovingClips(
        picture_px=config.picture_px,
        window_px=config.window_px,
        num_frames=config.num_frames,
        speeds=config.speeds,
        joint_axes=config.joint_axes,
        mask_share=config.mask_share,
    )


class MotionTask:
    """Network, moving pictures and cross-entropy.

    Attributes:
        damaged: file -> reason, for pictures that could not be read.
        best_metric: validation figure that tells the best epoch.
    """

    best_metric = ("validation_accuracy", "max")

    def __init__(self, model: VideoNetwork, files: PictureFiles, config: PretrainConfig, seed: int) -> None:
        self.model = model
        self.dataset = MovingPictures(files.training, config, seed, model.input)
        self.validation = MovingPictures(files.validation, config, seed, model.input, central=True)
        self.num_items = len(self.dataset)
        self.damaged: dict[str, str] = {}

    def losses(
        self, model: nn.Module, batch: dict[str, Any], generator: torch.Generator
    ) -> dict[str, Tensor]:
        """Return the mean cross-entropy over all clips of a batch, and the share of right
        answers."""
        self.damaged.update({name: why for name, why in zip(*batch["damaged"], strict=True) if name})
        labels = batch["labels"].flatten()
        logits = model(batch["clips"].flatten(0, 1).to(memory_format=torch.channels_last_3d))
        right = (logits.argmax(dim=1) == labels).float().mean()
        return {"loss": F.cross_entropy(logits, labels), "accuracy": right}

    def validate(self) -> dict[str, float]:
        """Return loss and accuracy on the held-out pictures; empty if there are none."""
        if not len(self.validation):
            return {}
        device = next(self.model.parameters()).device
        keys = [(0, item) for item in range(len(self.validation))]
        totals = {"loss": 0.0, "accuracy": 0.0}
        for batch in DataLoader(self.validation, sampler=shard(keys), batch_size=1):
            moved = {name: batch[name].to(device) for name in ("clips", "labels")}
            found = self.losses(self.model, {**moved, "damaged": batch["damaged"]}, torch.Generator(device))
            totals = {name: total + float(found[name]) for name, total in totals.items()}
        return {f"validation_{name}": total / len(keys) for name, total in sum_over_ranks(totals).items()}
