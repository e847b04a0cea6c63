"""State of this machine and this installation: versions, decoder, threads, devices, locks, disk.

python -m pipeline.doctor            # paste it into a bug report
python -m pipeline.doctor --json     # the same as JSON
"""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import shutil
import sys
import tempfile
import textwrap
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path

from runtime.brief import columns
from runtime.exit_codes import EXIT_CODES_HELP, EXIT_DONE, EXIT_SKIPPED_ITEMS, guarded
from runtime.help_text import CommandParser, program_name
from runtime.hidden_packages import PACKAGES
from runtime.resources import versions

OPTIONAL = ("decord", "safetensors", "distributed", "tensorboard", "matplotlib")
"""Names so common that a folder of the user's may hide one."""

Check = Callable[[], tuple[str, bool]]
"""Returns what was found, and whether it is as it should be."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; exit code 1 where something is not as it should be."""
    parser = CommandParser(
        prog=program_name("pipeline.doctor"),
        description=__doc__,
        epilog=EXIT_CODES_HELP,
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args(argv)
    return guarded(lambda: _report(as_json=arguments.json))


def _report(*, as_json: bool) -> int:
    found = examine()
    if as_json:
        print(json.dumps({name: {"found": text, "ok": ok} for name, (text, ok) in found.items()}, indent=1))
    else:
        width = max(map(len, found))
        wrapper = textwrap.TextWrapper(
            columns(), subsequent_indent=" " * (width + 2), break_long_words=False, break_on_hyphens=False
        )
        for name, (text, ok) in found.items():
            print(wrapper.fill(f"{name:{width}}  {'' if ok else '! '}{text}"))
    return EXIT_DONE if all(ok for _, ok in found.values()) else EXIT_SKIPPED_ITEMS


def examine() -> dict[str, tuple[str, bool]]:
    """Return, by name, what was found and whether it is as it should be."""
    found = {name: (version, version != "not installed") for name, version in versions().items()}
    found.update({name: (_version(name), True) for name in OPTIONAL})
    checks: dict[str, Check] = {
        "packages": _packages,
        "decoder": _decoder,
        "threads": _threads,
        "devices": _devices,
        "locks": _locks,
        "disk": _disk,
        "encoding": _encoding,
    }
    for name, check in checks.items():
        try:
            found[name] = check()
        except (ImportError, OSError, RuntimeError) as error:
            found[name] = (f"{type(error).__name__}: {error}", False)
    return found


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed (optional)"


def _packages() -> tuple[str, bool]:
    """Find packages of ours that something else of the same name hides."""
    home = Path(__file__).resolve().parents[1]
    hidden = []
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        if origin is None or origin.parent.parent != home:
            hidden.append(f"{name} is {origin}")
    return ("; ".join(hidden) or f"all in {home}"), not hidden


def _decoder() -> tuple[str, bool]:
    import av

    codecs = {name: name in av.codecs_available for name in ("h264", "hevc", "vp9", "av1", "mpeg4")}
    missing = [name for name, there in codecs.items() if not there]
    libraries = ", ".join(
        f"{name} {'.'.join(map(str, number))}" for name, number in av.library_versions.items()
    )
    return f"PyAV, {libraries}" + (f"; without {', '.join(missing)}" if missing else ""), not missing


def _threads() -> tuple[str, bool]:
    import torch

    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    capability = torch.backends.cpu.get_cpu_capability()
    return f"{usable} cores, torch takes {torch.get_num_threads()}, {capability}", True


def _devices() -> tuple[str, bool]:
    import torch

    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return ", ".join(names) or "no GPU: everything runs on the processor", True


def _locks() -> tuple[str, bool]:
    with tempfile.TemporaryFile(dir=Path.cwd()) as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            return f"none in {Path.cwd()} ({error.strerror}): run one command at a time there", False
    return f"work in {Path.cwd()}", True


def _disk() -> tuple[str, bool]:
    free = {str(place): shutil.disk_usage(place).free / 1e9 for place in (Path.cwd(), tempfile.gettempdir())}
    return ", ".join(f"{size:.1f} GB free in {place}" for place, size in free.items()), min(free.values()) > 1


def _encoding() -> tuple[str, bool]:
    name = sys.getfilesystemencoding()
    return f"file names are {name}", name.lower() in ("utf-8", "utf8")


if __name__ == "__main__":
    sys.exit(main())
