"""The base of all networks: a backbone, the feature of a clip, a head, and the facts of the
input."""

from __future__ import annotations

from torch import Tensor, nn

from tadaconv.heads import ClassificationHead
from tadaconv.inputs import NetworkInput


class VideoNetwork(nn.Module):
    """A backbone and a classification head; families differ in :meth:`forward_features`.

    Attributes:
        backbone: the layers up to the feature.
        head: from the feature to logits.
        num_features: C, length of the feature.
        input: statistics of the pixels, size of the clips (``create_model`` takes them from the
            network's entry).
    """

    input = NetworkInput()

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
