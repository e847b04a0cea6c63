"""Interface between the training loop and a task."""

from __future__ import annotations

from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import Dataset

BestMetric = tuple[str, Literal["max", "min"]]
"""Name of a validation figure, and whether large or small is good."""


class TrainingTask(Protocol):
    """What the loop trains: a model, its items and its losses.

    Four more attributes are looked at where a task has them:

        new_parameters: set[str]    full names of parameters that the initial weights did not have; they learn
                                    `new_layer_rate_factor` times as fast
        rate_factors: dict[str, float]   full name of a parameter -> multiple of the learning rate, beside that
        begin_step(pieces, batches)  called before each step with all pieces of this process and
        their items: for
                                    statistics over the whole batch (`one_stage.train`)
        best_metric: BestMetric     e.g. ("validation_accuracy", "max"); the weights of the best epoch are kept
    """

    @property
    def model(self) -> nn.Module: ...

    @property
    def num_items(self) -> int: ...

    @property
    def dataset(self) -> Dataset[Any]:
        """Map-style data set whose keys are `training.batches.ItemKey`; collated by torch's
        default."""
        ...

    def losses(self, model: nn.Module, batch: Any, generator: torch.Generator) -> dict[str, Tensor]:
        """Return scalar means over the items of a batch; the entry "loss" is minimised.

        The names must be the same for every batch. Where a batch is worked off in pieces (several
        processes, `micro_batch`), the means of the pieces are weighted by their items, which gives
        the batch's own mean unless a loss normalises otherwise (BMN's count positives: then every
        piece is balanced by itself).

        `model` is the task's own, perhaps inside a wrapper (data parallelism) whose forward must be
        the one called.
        """
        ...

    def validate(self) -> dict[str, float]:
        """Return figures on the validation set; the model is in eval mode, without gradients.

        Every process calls it, and process 0's figures count: share the work by
        `training.distributed.shard` and `sum_over_ranks`, or do all of it in each.
        """
        ...


def new_parameters(task: TrainingTask) -> frozenset[str]:
    """Return the names of the task's new parameters, none if it does not tell."""
    return frozenset(getattr(task, "new_parameters", ()))


def rate_factors(task: TrainingTask) -> dict[str, float]:
    """Return the multiples of the learning rate that the task gives to parameters."""
    return dict(getattr(task, "rate_factors", {}))


def best_metric(task: TrainingTask) -> BestMetric | None:
    """Return the figure by which the task's best weights are chosen, None if it has none."""
    return getattr(task, "best_metric", None)
