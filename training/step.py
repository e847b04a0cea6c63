"""One optimizer step on a batch that may be spread over processes and worked off in pieces."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from runtime.errors import InputError
from training.batches import Piece, derived_seed
from training.distributed import parallel, sum_in_order, world_size
from training.dropout import PieceOfDropout
from training.optimizer import build_optimizer, set_learning_rate
from training.settings import TrainingConfig
from training.task import TrainingTask, new_parameters, rate_factors


class Stepper:
    """Holds the network and the optimiser, and makes steps.

    The gradient is that of the mean loss over the batch of all processes: each piece counts by its
    items, so that neither the number of processes nor `micro_batch` changes it, beyond rounding and
    batch norm's statistics.

    Args:
        task: model and losses; its model is moved to the device.
        config: optimiser, precision, clipping, batch norm.
        seed: of the run.
        device: of this process.

    Attributes:
        network: the task's model.
        optimizer: of its parameters.
    """

    def __init__(
        self, task: TrainingTask, config: TrainingConfig, *, seed: int, device: torch.device
    ) -> None:
        self.task, self.config, self.seed, self.device = task, config, seed, device
        self.network = _with_batch_norm(task.model, config, device).to(device)
        self.optimizer = build_optimizer(self.network, config, new_parameters(task), rate_factors(task))
        self.wrapped = parallel(self.network, device)

    def run(self, step: int, rate: float, pieces: list[Piece], batches: Iterator[Any]) -> dict[str, float]:
        """Make a step; return the means of the losses over the batch of all processes.

        Args:
            step: number of the step; its randomness (dropout, sampling in the losses) follows from
                it.
            rate: learning rate.
            pieces: of this process.
            batches: the loaded pieces.
        """
        self._training_mode()
        set_learning_rate(self.optimizer, rate)
        self.optimizer.zero_grad(set_to_none=True)
        found = []
        batches = self._begun(pieces, batches)
        for left, piece in zip(range(len(pieces) - 1, -1, -1), pieces, strict=True):
            with self._exchange(last=left == 0):
                losses = self._losses(step, piece, next(batches))
                # The wrapper divides the sum over processes by their number.
                (losses["loss"] * (piece.weight * world_size())).backward()
            found.append((piece.weight, {name: value.detach() for name, value in losses.items()}))
        if self.config.clip_gradient_norm > 0:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.config.clip_gradient_norm)
        self.optimizer.step()
        return _batch_means(found)

    def _begun(self, pieces: list[Piece], batches: Iterator[Any]) -> Iterator[Any]:
        """Let a task that counts over the whole batch see all of its pieces before the first
        forward."""
        begin_step = getattr(self.task, "begin_step", None)
        if begin_step is None:
            return batches
        loaded = [to_device(next(batches), self.device) for _ in pieces]
        begin_step(pieces, loaded)
        return iter(loaded)

    def _training_mode(self) -> None:
        self.wrapped.train()
        if self.config.freeze_batch_norm:
            for module in self.network.modules():
                if isinstance(module, _BatchNorm):
                    module.eval()

    def _losses(self, step: int, piece: Piece, batch: Any) -> dict[str, Tensor]:
        # Each step starts from its own seed, so no generator state needs saving.
        torch.manual_seed(derived_seed(self.seed, step))
        keys = (self.seed, step, piece.start) if piece.start else (self.seed, step)
        generator = torch.Generator(self.device).manual_seed(derived_seed(*keys))
        as_in_whole_batch = nullcontext() if piece.is_whole else PieceOfDropout(piece)
        with self._precision(), as_in_whole_batch:
            return self.task.losses(self.wrapped, to_device(batch, self.device), generator)

    def _precision(self) -> torch.autocast:
        return torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=self.config.precision == "bfloat16"
        )

    def _exchange(self, *, last: bool) -> AbstractContextManager[None]:
        """Let gradients be exchanged with the last piece only."""
        if last or not isinstance(self.wrapped, DistributedDataParallel):
            return nullcontext()
        return self.wrapped.no_sync()


def to_device(batch: Any, device: torch.device) -> Any:
    """Move the tensors of a batch, a tensor or dicts of them; leave everything else."""
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {key: to_device(value, device) for key, value in batch.items()}
    return batch


def _batch_means(found: list[tuple[float, dict[str, Tensor]]]) -> dict[str, float]:
    names = list(found[0][1])
    own = [sum(weight * float(losses[name]) for weight, losses in found) for name in names]
    return dict(zip(names, sum_in_order(own), strict=True))


def _with_batch_norm(model: nn.Module, config: TrainingConfig, device: torch.device) -> nn.Module:
    if not config.sync_batch_norm:
        return model
    if device.type != "cuda":
        raise InputError(
            f"sync_batch_norm=true needs GPUs, since torch has no synchronised batch norm on the {device.type}; "
            f"set it to false, or freeze_batch_norm=true for results that do not depend on the processes"
        )
    return nn.SyncBatchNorm.convert_sync_batchnorm(model) if world_size() > 1 else model
