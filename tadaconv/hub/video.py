"""Video networks of transformers: VideoMAE, V-JEPA 2, ViViT, TimeSformer.

Clip length, frame size, mean and deviation are those of the network's own folder. The feature is
what its own classifiers look at: the mean over all tokens of the last layer (VideoMAE, V-JEPA 2),
or the class token (ViViT, TimeSformer).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from tadaconv.heads import ClassificationHead, NumClasses
from tadaconv.hub.folder import extra, model_folder, read_json, rgb
from tadaconv.inputs import NetworkInput
from tadaconv.network import VideoNetwork

PREPROCESSORS = ("video_preprocessor_config.json", "preprocessor_config.json")


def _mean_token(tokens_BNC: Tensor) -> Tensor:
    return tokens_BNC.mean(1)


def _class_token(tokens_BNC: Tensor) -> Tensor:
    return tokens_BNC[:, 0]


@dataclass(frozen=True)
class Family:
    """What a kind of network calls things.

    Attributes:
        frames: entry of config.json with the frames of a clip.
        side: likewise, with the pixels of a side.
        argument: that takes clips (B, T, 3, H, W).
        pooled: from tokens (B, N, C) to the feature (B, C).
        options: further arguments.
        parts: arguments that leave out what the feature does without.
        fixed_frames: whether it takes one length only.
    """

    frames: str = "num_frames"
    side: str = "image_size"
    argument: str = "pixel_values"
    pooled: Callable[[Tensor], Tensor] = _class_token
    options: Mapping[str, Any] = field(default_factory=dict)
    parts: Mapping[str, Any] = field(default_factory=dict)
    fixed_frames: bool = True


FAMILIES: dict[str, Family] = {
    "videomae": Family(pooled=_mean_token),
    "vjepa2": Family(
        frames="frames_per_clip",
        side="crop_size",
        argument="pixel_values_videos",
        pooled=_mean_token,
        options={"skip_predictor": True},
        fixed_frames=False,
    ),
    "vivit": Family(parts={"add_pooling_layer": False}),
    "timesformer": Family(),
}
""""model_type" of config.json -> its names."""


@dataclass(frozen=True)
class TransformersSpec:
    """A video network in a folder or in the hub's cache.

    Attributes:
        name: of either.
        pretrained: whether it is built with its weights; else they are random, and need not be
            there.
    """

    name: str
    pretrained: bool = True

    @cached_property
    def folder(self) -> Path:
        """Where it lies."""
        return model_folder(self.name, weights=self.pretrained)

    @cached_property
    def _config(self) -> dict[str, Any]:
        return read_json(self.folder / "config.json")

    @property
    def family(self) -> Family:
        """Its kind.

        Raises:
            ValueError: if it is another one than we know.
        """
        kind = self._config.get("model_type")
        if kind not in FAMILIES:
            raise ValueError(f"{self.folder}: expected a network of {', '.join(FAMILIES)}, found {kind!r}")
        return FAMILIES[kind]

    @cached_property
    def input(self) -> NetworkInput:
        """Facts of its input.

        Raises:
            ValueError: if the folder does not tell them.
        """
        family, mean_std = self.family, pixel_statistics(self.folder)
        frames, side = (self._config.get(key) for key in (family.frames, family.side))
        if not isinstance(frames, int) or not isinstance(side, int):
            raise ValueError(f"{self.folder}/config.json: expected numbers {family.frames} and {family.side}")
        return NetworkInput(
            clip=(frames, side, side),
            mean=mean_std[0],
            std=mean_std[1],
            fixed_size=True,
            fixed_frames=family.fixed_frames,
        )

    def build(self, num_classes: NumClasses, input_size: tuple[int, int, int] | None = None) -> VideoNetwork:
        """The network with its weights, and a head with random ones.

        Raises:
            ValueError: if transformers is not installed, the folder's weights are not whole, or it
                cannot have this size.
        """
        refuse_other_size(f"hf:{self.name}", self.input, input_size)
        model = self._with_weights() if self.pretrained else self._bare()
        head = ClassificationHead(int(model.config.hidden_size), num_classes)
        return HubNetwork(_Tokens(model, self.family), head, f"hf:{self.name}" if self.pretrained else "")

    def _with_weights(self) -> Any:
        model, found = extra("transformers").AutoModel.from_pretrained(
            self.folder,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            **self.family.parts,
        )
        if found["missing_keys"]:
            missing = sorted(found["missing_keys"])
            raise ValueError(f"{self.folder}: {len(missing)} weights are missing, the first: {missing[0]}")
        return model.float()  # files may hold half of the digits

    def _bare(self) -> Any:
        transformers = extra("transformers")
        config = transformers.AutoConfig.from_pretrained(self.folder, local_files_only=True)
        return transformers.AutoModel.from_config(config, **self.family.parts)


class HubNetwork(VideoNetwork):
    """A network whose weights are those of a hub."""

    def __init__(self, backbone: nn.Module, head: ClassificationHead, weights: str) -> None:
        super().__init__(backbone, head)
        self.weights = weights


class _Tokens(nn.Module):
    """From clips to the feature, by a network of transformers."""

    def __init__(self, model: nn.Module, family: Family) -> None:
        super().__init__()
        self.model, self.family = model, family

    def forward(self, clips_BCTHW: Tensor) -> Tensor:
        clips = {self.family.argument: clips_BCTHW.transpose(1, 2)}
        return self.family.pooled(self.model(**clips, **self.family.options).last_hidden_state)


def pixel_statistics(folder: Path) -> tuple[tuple[float, float, float], tuple[float, float, float]]:
    """Mean and deviation of pixels in 0 .. 1, from the folder's description of its preprocessing.

    There pixels p in 0 .. 255 become (p * rescale_factor - offset - mean) / std, where offset is 1
    or 0 (ViViT).

    Raises:
        ValueError: if there is none.
    """
    path = next((folder / name for name in PREPROCESSORS if (folder / name).is_file()), None)
    if path is None:
        raise ValueError(
            f"{folder}: no {PREPROCESSORS[1]}, so that mean and deviation of its pixels are unknown"
        )
    told = read_json(path)
    factor = 255.0 * float(told.get("rescale_factor", 1 / 255))
    offset = 1.0 if told.get("offset") else 0.0
    try:
        mean, std = rgb(told["image_mean"]), rgb(told["image_std"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path}: expected image_mean and image_std of R, G, B ({error})") from error
    return rgb((value + offset) / factor for value in mean), rgb(value / factor for value in std)


def refuse_other_size(name: str, takes: NetworkInput, wanted: tuple[int, int, int] | None) -> None:
    """Raise ValueError if a network that is given cannot have the size that is asked for."""
    if wanted is None:
        return
    (frames, *side), (wanted_frames, *wanted_side) = takes.clip, wanted
    if (takes.fixed_size and side != wanted_side) or (takes.fixed_frames and frames != wanted_frames):
        expected, found = ("x".join(map(str, size)) for size in (takes.clip, wanted))
        raise ValueError(f"{name} takes clips of {expected} (frames x pixels) only, not of {found}")
