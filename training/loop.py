"""The training loop: shuffled epochs, scheduled AdamW, checkpoints inside an epoch, one metrics line an epoch.

All randomness follows from (seed, epoch, item) or (seed, step): a run that was killed goes on from its last
checkpoint and ends with the same weights, bit for bit on a CPU with fixed threads.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from runtime.atomic import write_text
from runtime.config import config_to_dict
from runtime.errors import InputError
from runtime.progress import progress
from runtime.schema import RuntimeConfig, TrainingConfig
from runtime.stage import StageRun
from training import checkpoint
from training.batches import derived_seed, epoch_batches, steps_per_epoch
from training.optimizer import build_optimizer
from training.schedule import cosine_learning_rate

ItemKey = tuple[int, int]
"""(epoch, item): all that a training item may depend on, beside the run's seed."""


class TrainingTask(Protocol):
    """What the loop trains: a model, its items and its losses."""

    @property
    def model(self) -> nn.Module: ...

    @property
    def num_items(self) -> int: ...

    @property
    def dataset(self) -> Dataset[Any]:
        """Map-style data set whose keys are `ItemKey`; collated by torch's default."""
        ...

    def losses(self, model: nn.Module, batch: Any, generator: torch.Generator) -> dict[str, Tensor]:
        """Return scalar losses of one batch; the entry "loss" is minimised.

        `model` is the task's own, perhaps inside a wrapper (data parallelism) whose forward must be the one called.
        """
        ...

    def validate(self) -> dict[str, float]:
        """Return figures on the validation set; the model is in eval mode, without gradients."""
        ...


def stage_trainer(
    run: StageRun,
    task: TrainingTask,
    config: TrainingConfig,
    device: torch.device,
    remembered: dict[str, str] | None = None,
) -> Trainer:
    """Return the trainer of a stage: in its folder, with the run's seed, runtime settings and resolved config."""
    return Trainer(
        task,
        config,
        run.config.runtime,
        folder=run.folder,
        seed=run.config.seed,
        device=device,
        resolved=config_to_dict(run.config),
        remembered=remembered,
    )


class Trainer:
    """Trains a task in a folder, going on from the folder's checkpoint where there is one.

    Args:
        task: model, items, losses.
        config: epochs, batch size, optimiser.
        runtime: loader processes and the time between checkpoints.
        folder: receives checkpoint.pt and metrics.jsonl.
        seed: of the run.
        device: the model is moved there.
        resolved: the run's configuration as a plain dict, stored in every checkpoint.
        remembered: texts that the task gathers on the way (damaged videos and their reasons); stored in
            checkpoints and put back into this dict when training goes on.
    """

    def __init__(
        self,
        task: TrainingTask,
        config: TrainingConfig,
        runtime: RuntimeConfig,
        *,
        folder: Path,
        seed: int,
        device: torch.device,
        resolved: dict[str, Any],
        remembered: dict[str, str] | None = None,
    ) -> None:
        if task.num_items < 1:
            raise InputError("the training set is empty: no usable labelled segment was found")
        self.task, self.config, self.runtime = task, config, runtime
        self.folder, self.seed, self.device, self.resolved = folder, seed, device, resolved
        self.remembered = {} if remembered is None else remembered
        self.model = task.model.to(device)
        self.optimizer = build_optimizer(self.model, config)
        self.steps_per_epoch = steps_per_epoch(task.num_items, config.batch_size)
        self.total_steps = config.epochs * self.steps_per_epoch
        self.step = 0
        self.metrics: list[dict[str, float]] = []
        self.totals: dict[str, float] = {}

    @property
    def checkpoint_path(self) -> Path:
        return self.folder / "checkpoint.pt"

    def run(self, description: str) -> dict[str, float]:
        """Train to the last epoch and return the last line of metrics."""
        self._resume()
        saved_at = time.monotonic()
        with progress(description=description, total=self.total_steps, unit="step") as bar:
            bar.update(self.step)
            while self.step < self.total_steps:
                for batch in self._rest_of_epoch():
                    self._train_step(batch)
                    bar.set_postfix(loss=f"{self.totals['loss'] / self.totals['steps']:.3f}", refresh=False)
                    bar.update()
                    if self.step % self.steps_per_epoch == 0:
                        self._end_epoch()
                    if time.monotonic() - saved_at > self.runtime.checkpoint_every_s:
                        self._save_checkpoint()
                        saved_at = time.monotonic()
        self._save_checkpoint()
        return self.metrics[-1]

    def _rest_of_epoch(self) -> Iterator[Any]:
        epoch, done = divmod(self.step, self.steps_per_epoch)
        batches = epoch_batches(self.task.num_items, self.config.batch_size, seed=self.seed, epoch=epoch)
        keys = [[(epoch, int(item)) for item in batch] for batch in batches[done:]]
        # A generator of its own: the loader would otherwise draw from, and so shift, the global one.
        return iter(
            DataLoader(
                self.task.dataset,
                batch_sampler=keys,
                num_workers=self.runtime.loader_workers,
                generator=torch.Generator().manual_seed(0),
            )
        )

    def _train_step(self, batch: Any) -> None:
        self.model.train()
        rate = self.learning_rate(self.step / self.steps_per_epoch)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        # Each step starts from its own seed (dropout, loss sampling), so no generator state needs saving.
        step_seed = derived_seed(self.seed, self.step)
        torch.manual_seed(step_seed)
        generator = torch.Generator(self.device).manual_seed(step_seed)
        losses = self.task.losses(self.model, _to_device(batch, self.device), generator)
        self.optimizer.zero_grad(set_to_none=True)
        losses["loss"].backward()
        if self.config.clip_gradient_norm > 0:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.clip_gradient_norm)
        self.optimizer.step()
        self._add_to_totals(losses)
        self.step += 1

    def learning_rate(self, epoch: float) -> float:
        """Return the scheduled rate at a fractional epoch."""
        return cosine_learning_rate(
            epoch,
            base=self.config.learning_rate,
            epochs=self.config.epochs,
            warmup_epochs=self.config.warmup_epochs,
            warmup_start=self.config.warmup_start_learning_rate,
        )

    def _add_to_totals(self, losses: dict[str, Tensor]) -> None:
        values = {name: float(value.detach()) for name, value in losses.items()}
        if not all(map(math.isfinite, values.values())):
            raise FloatingPointError(
                f"loss is not finite at step {self.step}: {values}; lower the learning rate"
            )
        for name, value in {**values, "steps": 1.0}.items():
            self.totals[name] = self.totals.get(name, 0.0) + value

    def _end_epoch(self) -> None:
        epoch = self.step // self.steps_per_epoch
        steps = self.totals.pop("steps")
        line = {"epoch": epoch, "step": self.step, "learning_rate": self.optimizer.param_groups[0]["lr"]}
        line.update({name: total / steps for name, total in self.totals.items()})
        self.totals = {}
        if epoch % self.config.validate_every_epochs == 0 or epoch == self.config.epochs:
            self.model.eval()
            with torch.inference_mode():
                line.update(self.task.validate())
        self.metrics.append(line)
        write_text(self.folder / "metrics.jsonl", "".join(json.dumps(entry) + "\n" for entry in self.metrics))

    def _save_checkpoint(self) -> None:
        content = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "totals": self.totals,
            "metrics": self.metrics,
            "remembered": self.remembered,
            "config": self.resolved,
        }
        checkpoint.save(self.checkpoint_path, content)

    def _resume(self) -> None:
        if not self.checkpoint_path.is_file():
            return
        content = checkpoint.load(self.checkpoint_path)
        self.model.load_state_dict(content["model"])
        self.optimizer.load_state_dict(content["optimizer"])
        self.remembered.update(content["remembered"])
        self.step, self.totals, self.metrics = content["step"], content["totals"], content["metrics"]


def _to_device(batch: Any, device: torch.device) -> Any:
    if isinstance(batch, Tensor):
        return batch.to(device, non_blocking=True)
    if isinstance(batch, dict):
        return {key: _to_device(value, device) for key, value in batch.items()}
    return batch
