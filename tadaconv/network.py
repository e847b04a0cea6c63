"""What all networks have in common: a backbone, the feature of a clip, and a head."""

from __future__ import annotations

from torch import Tensor, nn

from tadaconv.heads import ClassificationHead


class VideoNetwork(nn.Module):
    """A backbone and a classification head; families differ in :meth:`forward_features`.

    Attributes:
        backbone: the layers up to the feature.
        head: from the feature to logits.
        num_features: C, length of the feature.
    """

    def __init__(self, backbone: nn.Module, head: ClassificationHead) -> None:
        super().__init__()
        self.backbone = backbone
        self.num_features = head.num_features
        self.head = head

    def forward_features(self, clips_BCTHW: Tensor) -> Tensor:
        """Features (B, C) of clips (B, 3, T, H, W): float32 RGB, already normalised."""
        feats_BC: Tensor = self.backbone(clips_BCTHW)
        return feats_BC

    def forward(self, clips_BCTHW: Tensor) -> Tensor | dict[str, Tensor]:
        """Logits (B, classes) of clips (B, 3, T, H, W), or {"verb": (B, n), "noun": (B, m)} for two heads."""
        logits: Tensor | dict[str, Tensor] = self.head(self.forward_features(clips_BCTHW))
        return logits
