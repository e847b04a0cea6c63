"""The training loop: shuffled epochs, scheduled steps, checkpoints inside an epoch, one metrics
line an epoch.

    python -m bmn --config FILE                               # a CPU or one GPU
    torchrun --nproc_per_node=4 -m bmn --config FILE          # four GPUs, or CPU processes; the same batches

All randomness follows from (seed, epoch, item) or (seed, step): a run that was killed goes on from
its last checkpoint and ends with the same weights, bit for bit on a CPU with fixed threads. In the
stage's folder:

    checkpoint.pt    to go on from; also saved before and after every validation
    best.pt          weights of the best epoch, if the task names a figure (`training.task`)
    metrics.jsonl    one line an epoch; timing.jsonl likewise (`training.watching`)
    curves.png       the lines of metrics.jsonl, drawn at the end
"""

from __future__ import annotations

import json
import math
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from runtime.atomic import write_text
from runtime.brief import columns, is_brief
from runtime.config import config_to_dict
from runtime.errors import InputError
from runtime.progress import progress
from runtime.settings import RuntimeConfig
from runtime.stage import StageRun
from training import checkpoint
from training.allocator import keep_freed_memory
from training.average import WeightAverage
from training.batches import ItemKey, Plan
from training.curves import draw_curves
from training.distributed import (
    is_main,
    main_decides,
    merge_over_ranks,
    rank,
    same_buffers,
    stop_at_exit,
    sum_over_ranks,
    world_size,
)
from training.loader import load_pieces
from training.schedule import cosine_learning_rate
from training.settings import TrainingConfig
from training.step import Stepper
from training.task import TrainingTask, best_metric
from training.watching import LoadingWatch, Reading, Scalars, StepClock, TimingFile

__all__ = ["ItemKey", "Trainer", "TrainingTask", "stage_trainer"]


_ROOM_FOR_ALL = 110
"""Columns in which a bar has room for all its figures beside counts and times of five digits."""


def stage_trainer(
    run: StageRun,
    task: TrainingTask,
    config: TrainingConfig,
    device: torch.device,
    remembered: dict[str, str] | None = None,
) -> Trainer:
    """Return the trainer of a stage: in its folder, with the run's seed, runtime settings and
    resolved config."""
    keep_freed_memory()
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
        folder: receives the files above; of several processes, the same for all.
        seed: of the run.
        device: of this process (`training.device.prepare_device`); the model is moved there.
        resolved: the run's configuration as a plain dict, stored in every checkpoint.
        remembered: texts that the task gathers on the way (damaged videos and their reasons);
            stored in checkpoints and put back into this dict when training goes on.

    Raises:
        InputError: if there is nothing to train on, or the settings do not go together.
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
        self.stepper = Stepper(task, config, seed=seed, device=device)
        self.model = self.stepper.network
        decay = config.weight_average_decay
        self.average = WeightAverage(self.model, decay) if decay else None
        self.plan = Plan(
            num_items=task.num_items,
            batch_size=config.batch_size,
            micro_batch=config.micro_batch,
            epochs=config.epochs,
            seed=seed,
            rank=rank(),
            world_size=world_size(),
        )
        self.step = 0
        self.metrics: list[dict[str, float]] = []
        self.totals: dict[str, float] = {}
        self.clock, self.epoch_began = StepClock(), Reading()

    @property
    def checkpoint_path(self) -> Path:
        """What training goes on from."""
        return self.folder / "checkpoint.pt"

    @property
    def best_path(self) -> Path:
        """Weights of the best epoch so far: "model", "epoch", "figures", "config"."""
        return self.folder / "best.pt"

    def run(self, description: str) -> dict[str, float]:
        """Train to the last epoch and return the last line of metrics.

        The model then has the weights of the last step, or their moving average where the settings
        ask for it.

        Raises:
            InputError: if a loss or a validation figure is not finite.
        """
        self._resume()
        self._say_settings(description)
        self.timing = TimingFile(self.folder, epochs_done=len(self.metrics))
        self.scalars = Scalars(self.folder, self.runtime if is_main() else RuntimeConfig(), self.step)
        if self.totals and self.step % self.plan.steps_per_epoch == 0:
            self._end_epoch()  # was cut off in its validation
        self._train(description)
        self._save_checkpoint()
        if self.average is not None:
            self.model.load_state_dict(self.average.state)
        self.scalars.close()
        if is_main():
            draw_curves(self.metrics, self.folder / "curves.png")
        stop_at_exit()
        return self.metrics[-1]

    def _train(self, description: str) -> None:
        workers = self.runtime.loader_workers
        loaded = load_pieces(self.task.dataset, self.plan, self.step, workers=workers, device=self.device)
        batches = self.clock.timed(loaded)
        watch = LoadingWatch(workers)
        saved_at = time.monotonic()
        with progress(description=description, total=self.plan.total_steps, unit="step") as bar:
            bar.update(self.step)
            for pieces in self.plan.steps(self.step):
                rate = self.learning_rate(self.step / self.plan.steps_per_epoch)
                with self.clock.step(items=pieces[0].batch_size):
                    losses = self.stepper.run(self.step, rate, pieces, batches)
                self._add_to_totals(losses, pieces[0].batch_size)
                if self.average is not None:
                    self.average.update(self.model)
                self.step += 1
                self.scalars.add("step", {**losses, "learning_rate": rate}, self.step)
                watch.look(self.clock.reading)
                bar.set_postfix(self._watched(rate), refresh=False)
                bar.update()
                if self.step % self.plan.steps_per_epoch == 0:
                    self._end_epoch()
                if main_decides(time.monotonic() - saved_at > self.runtime.checkpoint_every_s):
                    self._save_checkpoint()
                    saved_at = time.monotonic()

    def learning_rate(self, epoch: float) -> float:
        """Return the scheduled rate at a fractional epoch."""
        return cosine_learning_rate(
            epoch,
            base=self.config.learning_rate,
            epochs=self.config.epochs,
            warmup_epochs=self.config.warmup_epochs,
            warmup_start=self.config.warmup_start_learning_rate,
        )

    def _say_settings(self, description: str) -> None:
        if not is_main():
            return
        config, processes = self.config, world_size()
        largest = next(self.plan.steps(0))  # of all batches; its first piece is the largest, too
        line = (
            f"{description}: {processes} process{'es' if processes > 1 else ''} on {self.device.type}, "
            f"batches of {largest[0].batch_size} items{self._why_smaller(largest[0].batch_size)}, "
            f"{len(largest[0].keys)} a forward; {config.optimizer}, "
            f"peak learning rate {config.learning_rate:g}, {config.precision}; "
            f"step {self.step} of {self.plan.total_steps}"
        )
        if not is_brief():
            print(line, file=sys.stderr)
        if config.warmup_epochs >= config.epochs:
            print(
                f"warning: {description}.warmup_epochs={config.warmup_epochs:g} must be below epochs={config.epochs} "
                "to reach the peak rate",
                file=sys.stderr,
            )

    def _why_smaller(self, batch_items: int) -> str:
        """Say why batches have fewer items than the settings ask for; nothing if they have as
        many."""
        asked, items, batches = self.config.batch_size, self.plan.num_items, self.plan.steps_per_epoch
        if batch_items == asked:
            return ""
        if batches == 1:
            return f" (batch_size={asked} is more than the {items} items)"
        return f" (batch_size={asked} cuts the {items} items into {batches} nearly equal batches)"

    def _watched(self, rate: float) -> dict[str, str]:
        """Return what the bar shows: the loss, and the rest where it fits beside counts and times."""
        loss = {"loss": f"{self.totals['loss'] / self.totals['items']:.3f}" if self.totals else ""}
        if columns() < _ROOM_FOR_ALL:
            return loss
        return {
            **loss,
            "lr": f"{rate:.2g}",
            "data_wait": f"{100 * self.clock.reading.since(self.epoch_began).data_wait_share:.0f}%",
        }

    def _add_to_totals(self, losses: dict[str, float], items: int) -> None:
        self._refuse_not_finite(losses, f"the loss at step {self.step}")
        for name, mean in {**losses, "items": 1.0}.items():
            self.totals[name] = self.totals.get(name, 0.0) + items * mean

    def _refuse_not_finite(self, figures: dict[str, float], what: str) -> None:
        """Stop: nothing that is made from here on could be right."""
        if not all(map(math.isfinite, figures.values())):
            listed = ", ".join(f"{name}={value:g}" for name, value in figures.items())
            raise InputError(
                f"{self.folder}: {what} is not finite: {listed}; the training has diverged, or what it reads is not "
                f"finite. Lower learning_rate={self.config.learning_rate:g} (or set clip_gradient_norm) and train "
                f"again with --force; if it stays so, look at its inputs"
            )

    def _end_epoch(self) -> None:
        epoch = self.step // self.plan.steps_per_epoch
        validates = epoch % self.config.validate_every_epochs == 0 or epoch == self.config.epochs
        if validates:
            self._save_checkpoint()  # with the totals of the epoch, which tell that its end is still to come
        items = self.totals["items"]
        rate = self.stepper.optimizer.param_groups[0]["lr"]
        line = {"epoch": epoch, "step": self.step, "learning_rate": rate}
        line.update({name: total / items for name, total in self.totals.items() if name != "items"})
        if validates:
            line.update(self._validate())
        self.totals = {}
        self.metrics.append(line)
        self._write_epoch(line)
        if validates:
            self._save_checkpoint()

    def _validate(self) -> dict[str, float]:
        self.model.eval()
        averaged = nullcontext() if self.average is None else self.average.in_place_of(self.model)
        with averaged:
            same_buffers(self.model)
            with torch.inference_mode():
                figures = self.task.validate()
        self._refuse_not_finite(figures, f"a validation figure after step {self.step}")
        return figures

    def _write_epoch(self, line: dict[str, float]) -> None:
        timing = self.clock.reading.since(self.epoch_began)
        self.epoch_began = self.clock.reading
        if not is_main():
            return
        if self._is_best(line):
            state = self.model.state_dict() if self.average is None else self.average.state
            content = {"model": state, "epoch": line["epoch"], "figures": line}
            checkpoint.save(self.best_path, {**content, "config": self.resolved})
        write_text(self.folder / "metrics.jsonl", "".join(json.dumps(entry) + "\n" for entry in self.metrics))
        self.timing.add({"epoch": line["epoch"], "step": self.step, **timing.figures()})
        self.scalars.add("epoch", line, self.step)

    def _is_best(self, line: dict[str, float]) -> bool:
        """Whether a line has the best figure of all epochs; of equal ones the first is the best."""
        metric = best_metric(self.task)
        if metric is None:
            return False
        name, direction = metric
        sign = 1.0 if direction == "max" else -1.0
        earlier = [sign * entry[name] for entry in self.metrics[:-1] if name in entry]
        return name in line and sign * line[name] > max(earlier, default=-math.inf)

    def _save_checkpoint(self) -> None:
        self.remembered.update(merge_over_ranks(self.remembered))
        content = {
            "model": self.model.state_dict(),
            "optimizer": self.stepper.optimizer.state_dict(),
            "step": self.step,
            "totals": self.totals,
            "metrics": self.metrics,
            "remembered": self.remembered,
            "config": self.resolved,
        }
        if self.average is not None:
            content["average"] = self.average.content()
        checkpoint.save(self.checkpoint_path, content)

    def _resume(self) -> None:
        if self.checkpoint_path.is_file():
            content = checkpoint.load(self.checkpoint_path)
            self.model.load_state_dict(content["model"])
            self.stepper.optimizer.load_state_dict(content["optimizer"])
            if self.average is not None:
                self.average.restore(content["average"])
            self.remembered.update(content["remembered"])
            self.step, self.totals, self.metrics = content["step"], content["totals"], content["metrics"]
        # Nobody writes a new checkpoint before all have read this one.
        if sum_over_ranks({"step": self.step})["step"] != self.step * world_size():
            raise InputError(
                f"{self.folder}: not all processes see the same checkpoint; put run_dir on shared disk"
            )
