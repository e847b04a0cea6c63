"""One head or two: the network's answers, and the loss, by head ("action", or "verb" and
"noun")."""

from __future__ import annotations

import torch
from torch import Tensor

from classification.finetune.mixing import UNMIXED, Mix


def by_head(logits: Tensor | dict[str, Tensor]) -> dict[str, Tensor]:
    """Return logits (B, classes) by head; a network with one set of classes answers for
    "action"."""
    return logits if isinstance(logits, dict) else {"action": logits}


def head_losses(
    logits: dict[str, Tensor],
    classes: dict[str, Tensor],
    mix: Mix = UNMIXED,
    label_smoothing: float = 0.0,
) -> dict[str, Tensor]:
    """Return the loss of a batch and what else is worth a curve.

    Args:
        logits: head -> (B, classes).
        classes: head -> class indices (B,).
        mix: how clips and labels were mixed; accuracies count a clip's own label.
        label_smoothing: part of the target that is spread over all classes.

    Returns:
        "loss": the sum of the heads' cross-entropies (the original's utils/losses.py), and
        "accuracy": the share of items with all heads right (the actions of EPIC-KITCHENS-100). For
        two heads also "verb_loss", "verb_accuracy" and so on.
    """
    losses = {head: mix.cross_entropy(logits[head], classes[head], label_smoothing) for head in logits}
    right = {head: logits[head].argmax(1) == classes[head] for head in logits}
    figures = {
        "loss": torch.stack(list(losses.values())).sum(),
        "accuracy": torch.stack(list(right.values())).all(dim=0).float().mean(),
    }
    if len(losses) > 1:
        for head, loss in losses.items():
            figures[f"{head}_loss"], figures[f"{head}_accuracy"] = loss, right[head].float().mean()
    return figures
