"""A mini data set in a folder: rendered when missing, finished when cut off, left alone when
complete."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

from joblib import cpu_count

from runtime.atomic import sweep_temporary_files, write_json
from runtime.errors import InputError
from runtime.lock import LOCK_NAME, hold
from runtime.parallel import parallel_map
from runtime.progress import progress
from video_datasets.annotations import read_json_object
from video_datasets.mini import ek100_layout, hacs_layout
from video_datasets.mini.layout import Layout, TwinFiles
from video_datasets.mini.plan import MiniSize
from video_datasets.mini.render import RENDERER_VERSION, write_twins

LAYOUTS: dict[str, Layout] = {"hacs": hacs_layout, "ek100": ek100_layout}
RECORD_NAME = "mini.json"
"""Beside the annotations: the parameters of the data set, written before the first video."""


def ensure_mini(
    out: Path,
    *,
    layout: str = "hacs",
    seed: int = 0,
    size: MiniSize | None = None,
    workers: int | None = None,
) -> bool:
    """Make sure that the mini data set with these parameters is in `out`.

    The same parameters give the same files, on any number of cores. What an earlier, cut-off call
    has rendered is kept.

    Args:
        out: folder of the data set, made when missing.
        layout: whose layout of files and annotations: "hacs" or "ek100".
        seed: >= 0; another seed is another data set.
        size: numbers and lengths of videos; None: the standard ones of the layout.
        workers: processes that render; None: one a core.

    Returns:
        Whether anything had to be rendered.

    Raises:
        InputError: if `out` holds another mini data set or other files, or a parameter is out of
            range.
    """
    if layout not in LAYOUTS:
        raise InputError(f"mini data set: unknown layout {layout!r}, known: {', '.join(LAYOUTS)}")
    if seed < 0:
        raise InputError(f"mini data set: the seed must be 0 or more, found {seed}")
    maker = LAYOUTS[layout]
    size = size or maker.STANDARD_SIZE
    wanted = _record(layout, seed, size)
    if _matches(out, wanted) and (out / maker.COMPLETE_NAME).exists():
        return False
    out.mkdir(parents=True, exist_ok=True)
    with hold(out, "video_datasets.mini"):
        write_json(out / RECORD_NAME, wanted)
        sweep_temporary_files(out)
        _render_all(maker.plan_files(out, seed, size), workers or cpu_count())
        maker.write_annotations(out, seed, size)
    return True


def _record(layout: str, seed: int, size: MiniSize) -> dict[str, Any]:
    numbers = asdict(size) | {"duration_s": list(size.duration_s)}
    return {"layout": layout, "seed": seed, "renderer_version": RENDERER_VERSION, **numbers}


def _matches(out: Path, wanted: dict[str, Any]) -> bool:
    """Whether `out` was begun with the parameters `wanted`; False where it is new.

    Raises:
        InputError: if it holds something else.
    """
    record_path = out / RECORD_NAME
    if not record_path.exists():
        if out.exists() and any(path.name != LOCK_NAME for path in out.iterdir()):
            raise InputError(
                f"{out}: expected a new or empty folder, or a mini data set with its {RECORD_NAME}, "
                f"but found other files; give another folder"
            )
        return False
    found = read_json_object(record_path)
    differences = [
        f"{key} is {found.get(key)!r}, asked for {wanted.get(key)!r}"
        for key in sorted(found.keys() | wanted.keys())
        if found.get(key) != wanted.get(key)
    ]
    if differences:
        raise InputError(
            f"{out}: holds a mini data set with other parameters ({'; '.join(differences)}); "
            f"give the parameters of {record_path}, or another folder, or delete this one"
        )
    return True


def _render_all(files: list[TwinFiles], workers: int) -> None:
    results = parallel_map(write_twins, files, workers=workers)
    bar = progress(results, description="rendering", total=len(files), unit="pair")
    for failure in [result for _, result in bar if result is not None]:
        raise failure
