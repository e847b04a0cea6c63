"""The folder of a stage in a run: nothing in it is removed that is not a stage's own."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from runtime.config import config_to_dict, flatten
from runtime.errors import InputError
from runtime.record import has_record, holds_results, is_complete
from runtime.sections import RunConfig, places

PROJECT = Path(__file__).resolve().parents[1]
"""Folder of our packages: the checkout, or site-packages."""


def refuse_foreign_run_dir(config: RunConfig) -> None:
    """Refuse a run folder in which stages could meet files that are not theirs.

    Raises:
        InputError: if it is, or holds, the project, one of its packages, or an input of the run.
    """
    run_dir = Path(config.run_dir).resolve()
    settings = flatten(config_to_dict(config))
    protected = {"the project": PROJECT}
    protected |= {
        key: Path(settings[key]).resolve()
        for key in places()
        if settings.get(key) and Path(settings[key]).is_dir()
    }
    for name, folder in protected.items():
        if run_dir == folder or run_dir in folder.parents:
            raise InputError(
                f"run_dir={config.run_dir} is or holds {name} ({folder}); stages keep their own folders there and "
                f"remove them with --force, so name a folder of its own, such as runs/mine"
            )
    inside = run_dir.relative_to(PROJECT).parts if run_dir.is_relative_to(PROJECT) else ()
    if inside and (PROJECT / inside[0] / "__init__.py").is_file():
        raise InputError(
            f"run_dir={config.run_dir} lies in the package {inside[0]}; name another, such as runs/mine"
        )


def refuse_foreign_folder(folder: Path) -> None:
    """Refuse to work in a folder that holds something, but no record of a stage.

    Raises:
        InputError: naming the first file of it.
    """
    if folder.is_dir() and not has_record(folder) and holds_results(folder):
        first = min(path.name for path in folder.iterdir())
        raise InputError(
            f"{folder} is not the folder of a stage (it has no stage.json, but for example '{first}'), so nothing is "
            f"written or removed there; name another run_dir, or move it away"
        )


def replaced_folder(folder: Path) -> Path:
    """Return where the complete results of a stage's folder are while the stage is redone."""
    return folder.with_name(f"{folder.name}.replaced")


def has_leftovers(folder: Path) -> bool:
    """Whether a process that was killed has left folders that are to be removed."""
    return replaced_folder(folder).exists() or _removed_folder(folder).exists()


def clear_leftovers(folder: Path) -> None:
    """Remove what a killed process would have removed; replaced results only where new ones are
    complete."""
    _discard(_removed_folder(folder))
    if is_complete(folder):
        remove(replaced_folder(folder))


def set_aside(folder: Path) -> None:
    """Clear the way for a forced stage: complete results are kept until the new ones are
    complete."""
    if is_complete(folder):
        folder.rename(replaced_folder(folder))
    else:
        remove(folder)


def settle_replaced(folder: Path) -> None:
    """After the work: remove the results that it replaced, or put them back if it has made nothing.

    Killed anywhere in here or before, nothing is lost: they go only once the new ones are complete.
    """
    replaced = replaced_folder(folder)
    if not replaced.exists():
        return
    if is_complete(folder):
        remove(replaced)
    elif holds_results(folder):
        _say(f"{folder.name}: not complete; until it is, the results from before --force are in {replaced}")
    else:
        remove(folder)
        replaced.rename(folder)
        _say(f"{folder.name}: the results from before --force are back in {folder}")


def remove(folder: Path) -> None:
    """Remove a stage's folder, or a link to one; a link's target stays.

    It is renamed first: cut off in the middle, the rest still has a name that tells it is to go.
    """
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        refuse_foreign_folder(folder)
        _discard(_removed_folder(folder))
        folder.rename(_removed_folder(folder))
        _discard(_removed_folder(folder))


def _removed_folder(folder: Path) -> Path:
    return folder.with_name(f"{folder.name.removesuffix('.replaced')}.removed")


def _discard(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
