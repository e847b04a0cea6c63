"""AdamW or SGD, whose weight decay leaves norms and biases alone (facts: the original's
BN.WEIGHT_DECAY 0)."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import nn

from training.settings import TrainingConfig

SGD_MOMENTUM = 0.9
"""The original's, with Nesterov's look ahead."""
PLAIN = (1.0, False)
"""Multiple of the learning rate, and whether a parameter is new: of most."""


def build_optimizer(
    model: nn.Module,
    config: TrainingConfig,
    new_parameters: Collection[str] = (),
    rate_factors: Mapping[str, float] | None = None,
) -> torch.optim.Optimizer:
    """Return the configured optimiser over the trainable parameters, norms and biases without
    decay.

    Args:
        model: its parameters are trained.
        config: optimiser, rate, decay.
        new_parameters: full names of parameters that learn `new_layer_rate_factor` times as fast.
        rate_factors: full name -> multiple of the learning rate, beside that; 1 where it is not
            named.

    Raises:
        ValueError: if the model has no parameter of such a name.
    """
    factors = rate_factors or {}
    unknown = {*new_parameters, *factors} - {name for name, _ in model.named_parameters()}
    if unknown:
        raise ValueError(f"the model has no parameters {sorted(unknown)} that could learn at another rate")
    kinds = {name: (factors.get(name, 1.0), name in new_parameters) for name, _ in model.named_parameters()}
    groups = []
    for kind in sorted({PLAIN, *kinds.values()}, key=lambda kind: (-kind[0], kind[1])):
        rate_factor = kind[0] * (config.new_layer_rate_factor if kind[1] else 1.0)
        alike = split_parameters(model, {name for name, found in kinds.items() if found == kind})
        for parameters, decay in zip(alike, (config.weight_decay, 0.0), strict=True):
            if parameters or kind == PLAIN:
                groups.append({"params": parameters, "weight_decay": decay, "rate_factor": rate_factor})
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=SGD_MOMENTUM, nesterov=True)
    # Fused: one pass over each parameter; a step of BMN on a CPU gains 6 % by it.
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group of parameters its multiple of the rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["rate_factor"]


def split_parameters(
    model: nn.Module, names: Collection[str] | None = None
) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Split trainable parameters, all or those of some names, into those with weight decay and
    norms and biases."""
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and (names is None or name in names):
            (plain if parameter.ndim <= 1 or name.endswith("bias") else decayed).append(parameter)
    return decayed, plain
