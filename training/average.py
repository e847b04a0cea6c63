"""The moving average of a network's weights over the steps of its training."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """An exponential moving average of all weights and buffers, corrected for its short memory at
    the start.

    After n steps the weights w_k of step k count in proportion to decay ** (n - k), and the
    proportions sum to 1:

        average += (weights - average) * (1 - decay) / (1 - decay ** n)

    Uncorrected, the average would still hold decay ** n of the initial weights, which ruins
    trainings of less than a few times 1 / (1 - decay) steps. (The original's, and ActionFormer's,
    is uncorrected; Adam's averages have this correction: Kingma and Ba, ICLR 2015, Sec. 3.) Whole
    numbers, batch norm's count of batches, are taken as they are.

    Args:
        model: its weights are averaged, from the first update on.
        decay: of one step, 0 < decay < 1; the average looks back over about 1 / (1 - decay) steps.

    >>> layer = nn.Linear(1, 1, bias=False)
    >>> average = WeightAverage(layer, decay=0.5)
    >>> for value in (3.0, 0.0):
    ...     _ = layer.weight.data.fill_(value)
    ...     average.update(layer)
    >>> average.state["weight"].item()  # (0.5 * 3 + 1 * 0) / 1.5
    1.0
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.steps = 0
        self.state = _copy(model)

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Take the weights after a step."""
        self.steps += 1
        share = (1 - self.decay) / (1 - self.decay**self.steps)
        for name, value in model.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value, share)
            else:
                self.state[name].copy_(value)

    @contextmanager
    def in_place_of(self, model: nn.Module) -> Iterator[None]:
        """Let the model have the average for a while, then its own weights again."""
        own = _copy(model)
        model.load_state_dict(self.state)
        try:
            yield
        finally:
            model.load_state_dict(own)

    def content(self) -> dict[str, object]:
        """What a checkpoint keeps."""
        return {"state": self.state, "steps": self.steps}

    @torch.no_grad()
    def restore(self, content: Mapping[str, object]) -> None:
        """Go on from what a checkpoint kept."""
        state, steps = content["state"], content["steps"]
        assert isinstance(state, Mapping)
        assert isinstance(steps, int)
        for name, value in state.items():
            self.state[name].copy_(value)
        self.steps = steps


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
