"""Settings of the machine that a run is on."""

from __future__ import annotations

from dataclasses import dataclass

from runtime.schema_checks import require, require_at_least
from runtime.sections import section


@section("runtime")
@dataclass(frozen=True, kw_only=True)
class RuntimeConfig:
    """How a run uses the machine; results depend on it by rounding, and by videos that meet the
    time limit."""

    device: str = "auto"
    """auto (a GPU when there is one), cpu, cuda, cuda:1, ...; several, as cuda:0,cuda:1, share the
    videos of an extraction, and the first does all else (`detect --device` shares its videos, too)."""
    threads: int = 0
    """Threads of torch in each process; 0: all cores, divided among the processes of this machine,
    but one where videos are shared among `workers` (proposals, labels)."""
    workers: int = 2
    """Processes that decode videos for extraction (one at least for each device), and that find and
    label proposals; each of the latter holds the network and one video."""
    scheduler: str = ""
    """Address (tcp://host:port) of a running Dask cluster that extracts the features, finds the
    proposals and labels them; empty: this machine does. See `runtime.cluster`."""
    loader_workers: int = 0
    """Processes that load training items; 0: the training process itself. Clips to validate and
    test a video model on are decoded by as many threads, and by no fewer than `workers`."""
    checkpoint_every_s: float = 60.0
    """Seconds of training between two checkpoints."""
    process_timeout_s: float = 1800.0
    """How long processes started by `torchrun` wait for one another before they give up: longer
    than the slowest share of a validation, and than what the first process does alone (rendering,
    decoding to a cache)."""
    tensorboard: bool = False
    """True: training also writes `<stage>/tensorboard/` (needs `pip install
    tadaloc[tensorboard]`)."""
    video_time_limit_s: float = 300.0
    """A decoder that shows no progress for so long is stopped and its video listed."""
    video_max_hours: float = 24.0
    """A longer video file is listed instead of extracted: a few kilobytes can promise days of
    video."""
    video_max_megapixels: float = 36.0
    """A file with larger frames is listed instead of extracted; 8K has 33 to 35. A decoder takes up
    to 80 bytes a pixel, 3 GB at this limit."""

    @property
    def test_decoders(self) -> int:
        """Threads that decode clips to validate and test on."""
        return max(self.loader_workers, self.workers)

    def __post_init__(self) -> None:
        require_at_least(self, "runtime", threads=0, workers=1, loader_workers=0, checkpoint_every_s=0)
        for name in (
            "video_time_limit_s", "process_timeout_s", "video_max_hours", "video_max_megapixels",
        ):  # fmt: skip
            limit = getattr(self, name)
            require(limit > 0, f"runtime.{name} must be positive, found {limit}")
