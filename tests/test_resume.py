"""Kill the pipeline at random moments, start it again, and compare with an uninterrupted run,
bit for bit."""

from __future__ import annotations

import hashlib
import json
import math
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import h5py
import pytest
import torch

from video_datasets.mini import MiniSize, ensure_mini

ROOT = Path(__file__).resolve().parents[1]
STAGES = {
    "finetune": "classification.finetune",
    "features": "feature_extraction",
    "bmn": "bmn",
    "proposals": "proposals",
    "classification": "classification",
    "evaluation": "evaluation",
}
SETTINGS = (
    "data.mini=false",
    "finetune.epochs=3",
    "finetune.batch_size=8",
    "finetune.validate_every_epochs=3",
    "bmn.epochs=4",
    "bmn.tscale=16",
    "bmn.dscale=16",
    "evaluation.timelines=1",
    "runtime.threads=1",
    "runtime.checkpoint_every_s=0.05",  # so that kills fall between checkpoints, and behind the first
)


SHORT = (
    "finetune.epochs=1",
    "finetune.validate_every_epochs=1",
    "finetune.clips_per_segment=1",
    "bmn.epochs=2",
)
"""Of the many runs of random kills."""


@dataclass(frozen=True)
class Data:
    """A mini data set.

    Attributes:
        layout: "hacs" or "ek100".
        root: its folder.
    """

    layout: str
    root: Path

    def run_dir(self, name: str) -> Path:
        return self.root.parent / name


SIZES = {
    "hacs": MiniSize(training=16, validation=8, testing=2, duration_s=(4.0, 8.0)),
    "ek100": MiniSize(training=4, validation=4, testing=2, duration_s=(5.0, 8.0)),
}


@pytest.fixture(
    scope="module",
    params=["hacs", pytest.param("ek100", marks=[pytest.mark.slow, pytest.mark.timeout(3600)])],
)
def data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Data:
    layout = request.param
    root = tmp_path_factory.mktemp(f"resume_{layout}") / "data"
    ensure_mini(root, layout=layout, seed=3, size=SIZES[layout])
    return Data(layout, root)


@pytest.fixture(scope="module")
def uninterrupted(data: Data) -> Path:
    run_dir = data.run_dir("uninterrupted")
    _finish(data, run_dir)
    return run_dir


def _start(data: Data, run_dir: Path) -> subprocess.Popen[bytes]:
    """Start all stages, one after the other, in a process group of their own."""
    config = f"configs/{data.layout}_mini.yaml"
    words = [config, *SETTINGS, f"data.root={data.root}", f"run_dir={run_dir}"]
    code = (
        "import subprocess, sys\n"
        f"for stage in {tuple(STAGES)!r}:\n"
        "    code = subprocess.call([sys.executable, '-m', 'pipeline.run_one', stage, *sys.argv[1:]])\n"
        "    if code: sys.exit(code)\n"
    )
    with data.run_dir(f"{run_dir.name}.log").open("ab") as log:
        command = [sys.executable, "-c", code, *words]
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)


def _kill_within(stage: str, data: Data, run_dir: Path, delay_s: float) -> bool:
    """Start the run and kill it `delay_s` after a stage has begun; return whether that stage was
    cut off."""
    process = _start(data, run_dir)
    record = run_dir / stage / "stage.json"
    while process.poll() is None and not record.is_file():
        time.sleep(0.01)
    time.sleep(delay_s)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return bool(json.loads(record.read_text())["state"] == "running")


def _finish(data: Data, run_dir: Path) -> None:
    assert _start(data, run_dir).wait() == 0, data.run_dir(f"{run_dir.name}.log").read_text()[-3000:]


def _same_results(one: Path, other: Path) -> None:
    """Every result is there in both and equal, bit for bit; nothing is left of cut-off writes."""
    names = [path.relative_to(one) for path in sorted(one.rglob("*")) if path.suffix in COMPARED]
    assert len(names) > 10
    for name in names:
        if name.name not in OWN_TO_A_RUN:
            assert COMPARED[name.suffix](one / name) == COMPARED[name.suffix](other / name), name
    assert not list(other.rglob("*.part"))


def _tensors(path: Path) -> dict[str, bytes]:
    """Bytes of the tensors of a file of torch.save by their places in it."""
    found = {}

    def note(place: str, content: object) -> None:
        if isinstance(content, torch.Tensor):
            found[place] = content.numpy().tobytes()
        elif isinstance(content, dict):
            for key, value in content.items():
                note(f"{place}/{key}", value)

    note("", torch.load(path, weights_only=True))
    assert found
    return found


def _arrays(path: Path) -> dict[str, bytes]:
    found = {}

    def note(name: str, item: h5py.Dataset | h5py.Group) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()].tobytes() if item.dtype.kind != "O" else repr(item[()].tolist()).encode()

    with h5py.File(path) as file:
        file.visititems(note)
    assert found
    return found


COMPARED = {
    ".pt": _tensors,
    ".h5": _arrays,
    ".json": Path.read_bytes,
    ".jsonl": Path.read_bytes,
    ".txt": Path.read_bytes,
}
OWN_TO_A_RUN = ("stage.json", "timing.jsonl", "notes.txt")
"""Files that say when and where a run was."""


def test_a_run_killed_in_three_stages_ends_like_an_uninterrupted_one(data: Data, uninterrupted: Path) -> None:
    rng = random.Random(0)
    run_dir = data.run_dir("killed")
    cut_off = [
        _kill_within(stage, data, run_dir, rng.uniform(0.0, 2.5)) for stage in ("finetune", "features", "bmn")
    ]
    assert any(cut_off)
    _finish(data, run_dir)
    _same_results(uninterrupted, run_dir)


def _digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def _files(run_dir: Path) -> set[str]:
    found = {str(path.relative_to(run_dir)) for path in run_dir.rglob("*") if path.is_file()}
    return found - {".lock", "notes.txt"}


def _stage_at_work(run_dir: Path) -> str:
    """The stage whose record says that it runs, or the gap behind the last complete one."""
    states = {}
    for stage in STAGES:
        record = run_dir / stage / "stage.json"
        states[stage] = json.loads(record.read_text())["state"] if record.is_file() else "none"
    running = [stage for stage, state in states.items() if state == "running"]
    return running[0] if running else f"after {sum(state == 'complete' for state in states.values())} stages"


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_kills_at_random_moments_of_whole_runs(data: Data, tmp_path: Path) -> None:
    """So many kills of `pipeline.run` as $TADALOC_KILLS says (8), each run continued until it is
    whole; files of others in the run folder, beside it and in the data stay as they are."""
    began = resource.getrusage(resource.RUSAGE_CHILDREN)
    whole = data.run_dir("whole")
    assert _run(data, whole).wait() == 0, _log(data, whole)
    ended_at = resource.getrusage(resource.RUSAGE_CHILDREN)
    whole_s = ended_at.ru_utime + ended_at.ru_stime - began.ru_utime - began.ru_stime
    others = data.root.parent / "others"
    others.mkdir(exist_ok=True)
    (others / "features.h5.123.part").write_text("another program's")
    (data.root / "notes.part").write_text("the user's")
    foreign = {folder: _digests(folder) for folder in (others, data.root)}

    rng, kills, runs = random.Random(2), int(os.environ.get("TADALOC_KILLS", "8")), 0
    moments: list[str] = []
    ended = False
    while len(moments) < kills or not ended:
        run_dir = data.run_dir(f"random-{runs}")
        run_dir.mkdir(exist_ok=True)
        (run_dir / "notes.txt").write_text("the user's")
        process = _run(data, run_dir)
        # Some early, some anywhere: starts cost most of a short run.
        last_s = rng.uniform(0, rng.choice((0.25, 1.0)) * whole_s) if len(moments) < kills else math.inf
        while process.poll() is None and _cpu_s(process.pid) < last_s:
            time.sleep(0.02)
        ended = process.poll() is not None
        if not ended:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            moments.append(_stage_at_work(run_dir))
            continue
        assert process.returncode == 0, _log(data, run_dir)
        _same_results(whole, run_dir)
        assert _files(run_dir) == _files(whole)
        assert (run_dir / "notes.txt").read_text() == "the user's"
        runs += 1
    assert {folder: _digests(folder) for folder in foreign} == foreign
    print(f"{data.layout}: a run takes {whole_s:.0f} s of CPU time; {kills} kills over {runs} runs:")
    print(dict(sorted(Counter(moments).items())))


def _run(data: Data, run_dir: Path) -> subprocess.Popen[bytes]:
    """Start `python -m pipeline.run` in a process group of its own."""
    config = f"configs/{data.layout}_mini.yaml"
    words = [config, *SETTINGS, *SHORT, f"data.root={data.root}", f"run_dir={run_dir}"]
    with data.run_dir(f"{run_dir.name}.log").open("ab") as log:
        command = [sys.executable, "-m", "pipeline.run", *words]
        return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, start_new_session=True)


def _cpu_s(group: int) -> float:
    """CPU time that the processes of a group, and their children that have ended, have used: what
    a run has come to does not depend on what else the machine does."""
    ticks = 0
    for process in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it has just ended
            fields = process.read_text().rpartition(")")[2].split()
            if int(fields[2]) == group:
                ticks += sum(int(field) for field in fields[11:15])
    return ticks / os.sysconf("SC_CLK_TCK")


def _log(data: Data, run_dir: Path) -> str:
    return data.run_dir(f"{run_dir.name}.log").read_text()[-3000:]
