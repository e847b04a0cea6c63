"""Watching a training: how fast it is, whether it waits for data, TensorBoard.

Times differ from run to run, so they stand in a file of their own, `timing.jsonl`, one line an
epoch:

    data_wait_share    time blocked on the loader / time of the steps (of this process)
    items_per_s        of all processes together
    duration_s, steps  of the steps since the epoch began, or since training was started again
    inside it
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from tqdm import tqdm

from runtime.atomic import write_text
from runtime.errors import InputError
from runtime.settings import RuntimeConfig

TIMING_NAME = "timing.jsonl"
SLOW_LOADING_SHARE = 0.2
"""Above this, a line says that the device waits for data."""
WARMUP_STEPS, WATCHED_S = 10, 20.0
"""Loading is judged over every so many seconds of steps, after so many steps in which the loader
starts up."""


class Reading(NamedTuple):
    """What a `StepClock` has added up so far."""

    steps: int = 0
    items: int = 0
    duration_s: float = 0.0
    waited_s: float = 0.0

    def since(self, earlier: Reading) -> Reading:
        """Return what came after an earlier reading."""
        return Reading(
            self.steps - earlier.steps,
            self.items - earlier.items,
            self.duration_s - earlier.duration_s,
            self.waited_s - earlier.waited_s,
        )

    @property
    def data_wait_share(self) -> float:
        """Waiting / duration, 0 before the first step."""
        return self.waited_s / self.duration_s if self.duration_s else 0.0

    def figures(self) -> dict[str, float]:
        """Return what a line of timing.jsonl says beside its epoch."""
        return {
            "steps": self.steps,
            "duration_s": round(self.duration_s, 3),
            "data_wait_share": round(self.data_wait_share, 4),
            "items_per_s": round(self.items / self.duration_s, 3) if self.duration_s else 0.0,
        }


class StepClock:
    """Adds up the time of steps, and how much of it was waiting for data; of several threads, where
    they share one.

    Args:
        now: returns seconds.
    """

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.now = now
        self.reading = Reading()
        self._lock = threading.Lock()

    @contextmanager
    def step(self, items: int) -> Iterator[None]:
        """Time one step on so many items."""
        began = self.now()
        yield
        self._add(steps=1, items=items, duration_s=self.now() - began)

    def timed(self, batches: Iterator[Any]) -> Iterator[Any]:
        """Yield from a loader, and time the waiting, which is part of a step."""
        while True:
            began = self.now()
            try:
                batch = next(batches)
            except StopIteration:
                return
            self._add(waited_s=self.now() - began)
            yield batch

    def _add(self, **more: float) -> None:
        with self._lock:
            old = self.reading._asdict()
            self.reading = self.reading._replace(**{name: old[name] + value for name, value in more.items()})


class LoadingWatch:
    """Warns once, on stderr, if the device waits for data for too large a share of the time.

    Args:
        loader_workers: of the runtime settings, for the message.
    """

    def __init__(self, loader_workers: int) -> None:
        self.loader_workers = loader_workers
        self.window_began: Reading | None = None
        self.warned = False

    def look(self, reading: Reading) -> None:
        """Judge at the end of every window of time after the warm-up, until there was a warning."""
        if self.window_began is None:
            self.window_began = reading if reading.steps >= WARMUP_STEPS else None
            return
        watched = reading.since(self.window_began)
        if self.warned or watched.duration_s < WATCHED_S:
            return
        self.window_began = reading
        if watched.data_wait_share > SLOW_LOADING_SHARE:
            self.warned = True
            text = (
                f"warning: {100 * watched.data_wait_share:.0f} % of the training time is waiting for data; "
                f"raise runtime.loader_workers (now {self.loader_workers}) if there are cores to spare"
            )
            tqdm.write(text, file=sys.stderr)


class TimingFile:
    """Lines of timing.jsonl in a folder; those of epochs that are trained again are replaced.

    Args:
        folder: of the stage.
        epochs_done: lines of later epochs are dropped.
    """

    def __init__(self, folder: Path, epochs_done: int) -> None:
        self.path = folder / TIMING_NAME
        text = self.path.read_text(encoding="utf-8") if self.path.is_file() else ""
        lines = [json.loads(line) for line in text.splitlines()]
        self.lines: list[dict[str, float]] = [line for line in lines if line["epoch"] <= epochs_done]

    def add(self, line: dict[str, float]) -> None:
        """Append a line."""
        self.lines.append(line)
        write_text(self.path, "".join(json.dumps(entry) + "\n" for entry in self.lines))


class Scalars:
    """TensorBoard's event files in `<folder>/tensorboard`, or nothing at all if it is not wanted.

    Args:
        folder: of the stage.
        runtime: says whether it is wanted.
        first_step: steps that are done; what earlier attempts wrote about later ones is dropped.

    Raises:
        InputError: if it is wanted, but not installed.
    """

    def __init__(self, folder: Path, runtime: RuntimeConfig, first_step: int) -> None:
        self.writer: Any = None
        if runtime.tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise InputError(
                    "runtime.tensorboard=true needs a package that is missing: pip install tadaloc[tensorboard]"
                ) from error
            self.writer = SummaryWriter(folder / "tensorboard", purge_step=first_step + 1)

    def add(self, group: str, values: dict[str, float], step: int) -> None:
        """Write values as `group/name`."""
        if self.writer is not None:
            for name, value in values.items():
                self.writer.add_scalar(f"{group}/{name}", value, step)

    def close(self) -> None:
        """Write out what is still in memory."""
        if self.writer is not None:
            self.writer.close()
