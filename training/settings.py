"""Settings that every training shares."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar, Literal

from runtime.schema_checks import require, require_at_least


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """What every training shares: the optimiser, half-period cosine by iteration with linear
    warm-up, precision."""

    lowest_epochs: ClassVar[int] = 1

    epochs: int = 30
    """Passes over the training items."""
    batch_size: int = 16
    """Items per optimizer step, over all processes together; each takes its share."""
    micro_batch: int = 0
    """Most items per forward on one device; larger shares are worked off piece by piece, their
    gradients summed. 0: the whole share at once. Batch norm, and losses that count over a batch
    (BMN's), see one piece at a time."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of forward and backward (bfloat16: by autocast); weights, optimiser and validation are
    float32 either way."""
    optimizer: Literal["adamw", "sgd"] = "adamw"
    """AdamW, or SGD with Nesterov momentum 0.9 (the paper's for Kinetics, Something-Something
    and EPIC-KITCHENS)."""
    learning_rate: float = 2e-4
    """Peak of the cosine, before warm-up cuts into it."""
    new_layer_rate_factor: float = 1.0
    """Learning rate of layers that the initial weights do not have, as a multiple of the others'
    (the original has 5 for router and head where it finetunes with LR_REDUCE)."""
    weight_decay: float = 1e-4
    """Not applied to norms and biases."""
    warmup_epochs: float = 8.0
    """Linear from `warmup_start_learning_rate` to the cosine's own value at this epoch."""
    warmup_start_learning_rate: float = 1e-5
    """Where the warm-up starts."""
    clip_gradient_norm: float = 0.0
    """Largest global 2-norm of the gradient; 0 turns clipping off."""
    freeze_batch_norm: bool = False
    """True: batch norm keeps the statistics of the initial weights; its scale and bias are
    trained."""
    sync_batch_norm: bool = False
    """True: batch norm's statistics run over the pieces of all processes (GPUs only; torch has
    none for the CPU)."""
    weight_average_decay: float = 0.0
    """Decay per step of a moving average of all weights, which validation and the later stages then
    take instead of the last step's (`training.average`; ViViT on Kinetics and ActionFormer: 0.999).
    0: no average."""
    validate_every_epochs: int = 1
    """Validate after every so many epochs and after the last one."""

    def __post_init__(self) -> None:
        words = re.findall("[A-Z][a-z]*", type(self).__name__.removesuffix("Config"))
        section = "_".join(words).lower()
        require_at_least(self, section, epochs=self.lowest_epochs, validate_every_epochs=1)
        require_at_least(self, section, batch_size=1, micro_batch=0)
        require_at_least(self, section, weight_decay=0, warmup_epochs=0, clip_gradient_norm=0)
        require_at_least(self, section, warmup_start_learning_rate=0)
        decay = self.weight_average_decay
        require(0 <= decay < 1, f"{section}.weight_average_decay must lie within 0 and 1, found {decay}")
        for name in ("learning_rate", "new_layer_rate_factor"):
            value = getattr(self, name)
            require(value > 0, f"{section}.{name} must be positive, found {value}")
        require(
            not (self.freeze_batch_norm and self.sync_batch_norm),
            f"{section}.freeze_batch_norm and {section}.sync_batch_norm exclude each other; set one to false",
        )
