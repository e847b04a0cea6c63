"""The base of all networks: a backbone, the feature of a clip, a head, and the facts of the
input."""

from __future__ import annotations

import re

from torch import Tensor, nn

from tadaconv.heads import ClassificationHead
from tadaconv.inputs import NetworkInput
from tadaconv.router import RouteFuncMLP
from tadaconv.router_v2 import RouteFuncTransformer


class VideoNetwork(nn.Module):
    """A backbone and a classification head; families differ in :meth:`forward_features`.

    Attributes:
        backbone: the layers up to the feature.
        head: from the feature to logits.
        num_features: C, length of the feature.
        input: statistics of the pixels, size of the clips (``create_model`` takes them from the
            network's entry).
        weights: where weights come from that the network is built with; empty: they are random.
    """

    input = NetworkInput()
    weights = ""

    def __init__(self, backbone: nn.Module, head: ClassificationHead) -> None:
        super().__init__()
        self.backbone = backbone
        self.num_features = head.num_features
        self.head = head

    def forward_features(self, clips_BCTHW: Tensor) -> Tensor:
        """Features (B, C) of clips (B, 3, T, H, W): float32 RGB, already normalised."""
        feats_BC: Tensor = self.backbone(clips_BCTHW)
        return feats_BC

    def feature_map(self) -> nn.Module | None:
        """The module whose output (B, C, T', h, w) is averaged into the feature; None: there is
        no such map."""
        return None

    def forward(self, clips_BCTHW: Tensor) -> Tensor | dict[str, Tensor]:
        """Logits (B, classes) of clips (B, 3, T, H, W), or {"verb": (B, n), "noun": (B, m)} for
        two heads."""
        logits: Tensor | dict[str, Tensor] = self.head(self.forward_features(clips_BCTHW))
        return logits


class MapNetwork(VideoNetwork):
    """A network whose backbone gives maps (B, C, T', h, w); their mean is the feature."""

    def feature_map(self) -> nn.Module:
        """The backbone."""
        return self.backbone

    def forward_features(self, clips_BCTHW: Tensor) -> Tensor:
        """Features (B, C) of clips (B, 3, T, H, W): float32 RGB, already normalised."""
        maps: Tensor = self.backbone(clips_BCTHW)
        return maps.mean((2, 3, 4))


_BLOCK = re.compile(r"backbone\.(?:layers\.\d+|conv\d\.res_\d+)\.")


def parameter_depths(model: VideoNetwork) -> dict[str, int]:
    """Return how deep each parameter lies: 0 what comes before the first block, then the blocks in
    order, and one more for what comes behind the last.

    >>> from tadaconv import create_model
    >>> depths = parameter_depths(create_model("tada2d_mini", 2))
    >>> [depths[name] for name in ("backbone.conv1.a.weight", "head.out.weight")]
    [0, 7]

    Raises:
        ValueError: if the blocks of the network do not stand in a row.
    """
    names = [name for name, _ in model.named_parameters()]
    blocks = list(dict.fromkeys(match[0] for name in names if (match := _BLOCK.match(name))))
    if not blocks:
        raise ValueError("the blocks of this network do not stand in a row, so they have no order of depth")
    first = next(place for place, name in enumerate(names) if name.startswith(blocks[0]))
    depths = {name: 0 if place < first else len(blocks) + 1 for place, name in enumerate(names)}
    for place, block in enumerate(blocks):
        depths |= {name: place + 1 for name in names if name.startswith(block)}
    return depths


def router_parameters(model: nn.Module) -> set[str]:
    """Names of the parameters of all routers, from which the factors of each frame come.

    >>> from tadaconv import create_model
    >>> len(router_parameters(create_model("r2d_mini", 2)))
    0
    """
    return {
        f"{place}.{name}"
        for place, module in model.named_modules()
        if isinstance(module, RouteFuncMLP | RouteFuncTransformer)
        for name, _ in module.named_parameters()
    }
