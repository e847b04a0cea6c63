"""The classification head: one set of classes, or verbs and nouns side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

NumClasses = int | Mapping[str, int]
"""Number of classes, or {"verb": n, "noun": m} for two heads."""

_TASKS = ("verb", "noun")


class ClassificationHead(nn.Module):
    """Dropout and one linear layer, or one for verbs and one for nouns behind the same dropout
    mask.

    Gives logits in training and in evaluation alike (the released heads apply a softmax when in
    evaluation mode).

    Args:
        num_features: C, length of the feature.
        num_classes: an int, or {"verb": n, "noun": m}.
        dropout: probability of dropping a feature in training.
        task_layers: names of the two linear layers, as released (SlowFast has others).
        one_layer: name of the one linear layer, as released (transformers have another).

    Raises:
        ValueError: if num_classes is neither, or a count is below 1.
    """

    def __init__(
        self,
        num_features: int,
        num_classes: NumClasses,
        dropout: float = 0.5,
        task_layers: Sequence[str] = ("linear1", "linear2"),
        one_layer: str = "out",
    ) -> None:
        super().__init__()
        _check_num_classes(num_classes)
        self.num_features = num_features
        self.dropout = nn.Dropout(dropout)
        self.layer_of_task: dict[str, str] = {}
        self.one_layer = one_layer
        if isinstance(num_classes, int):
            self.add_module(one_layer, nn.Linear(num_features, num_classes))
            return
        self.layer_of_task = dict(zip(_TASKS, task_layers, strict=True))
        for task, layer in self.layer_of_task.items():
            self.add_module(layer, nn.Linear(num_features, num_classes[task]))

    def forward(self, feats_BC: Tensor) -> Tensor | dict[str, Tensor]:
        """Logits (B, classes), or {"verb": (B, n), "noun": (B, m)}."""
        feats_BC = self.dropout(feats_BC)
        if self.layer_of_task:
            return {task: self.get_submodule(layer)(feats_BC) for task, layer in self.layer_of_task.items()}
        logits: Tensor = self.get_submodule(self.one_layer)(feats_BC)
        return logits


def _check_num_classes(num_classes: NumClasses) -> None:
    counts = {"": num_classes} if isinstance(num_classes, int) else dict(num_classes)
    if not isinstance(num_classes, int) and set(counts) != set(_TASKS):
        raise ValueError(f'num_classes must be an int or {{"verb": n, "noun": m}}, got {counts}')
    if any(count < 1 for count in counts.values()):
        raise ValueError(f"num_classes must be at least 1, got {num_classes}")
