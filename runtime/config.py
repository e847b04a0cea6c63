"""From defaults, a YAML file and `key=value` words to one typed, frozen `RunConfig`.

Order: the defaults of the sections (`runtime.sections`), then the YAML file, then the command line.
Everything is type checked; an unknown key is refused with the closest known one.
"""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from runtime.errors import InputError
from runtime.sections import SECTIONS, RunConfig, places, run_config_type

# Given on the command line, these name another run, so they become part of the default run folder.
RUN_NAMING_KEYS = ("model", "seed")


SHIPPED = Path(__file__).resolve().parents[1] / "configs"
"""Folder of the configurations that come with the project."""


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> RunConfig:
    """Read the configuration of a run.

    `model=` or `seed=` among the overrides without `run_dir=` names another run folder: with
    `run_dir: runs/hacs_mini` in the file, `seed=1` gives `runs/hacs_mini-seed1`. In `run_dir` and
    other places (`schema_checks.PLACE`) "~" is the home folder.

    Args:
        path: YAML file; only keys that differ from the defaults need to be there.
        overrides: words `section.key=value`, applied in order.

    Returns:
        The resolved configuration, plain dataclasses without any reference to the YAML library.

    Raises:
        InputError: file missing or not YAML, unknown key (the closest known one is named), value of
            the wrong type, out of range or not finite, or a mandatory key left out.
    """
    file = Path(path)
    layers = [_read_yaml(file), _read_overrides(overrides)]
    origins = [str(file), "the command line"]
    for layer, origin in zip(layers, origins, strict=True):
        _drop_retired_keys(layer, origin)
        _refuse_unknown_keys(layer, origin)
    run_dir_suffix = _run_dir_suffix(layers[1])
    try:
        merged = OmegaConf.merge(_writable_defaults(), *layers)
        missing = sorted(OmegaConf.missing_keys(merged))
        if missing:
            raise InputError(f"{file}: mandatory key not set: {', '.join(missing)}; add it to the file")
        merged.run_dir = f"{merged.run_dir}{run_dir_suffix}"
        _expand_home(merged)
        config = OmegaConf.to_object(merged)
    except InputError:
        raise
    except OmegaConfBaseException as error:
        raise InputError(f"{file} with overrides {list(overrides)}: {_one_line(error)}") from error
    except ValueError as error:  # of a section: out of range
        raise InputError(f"{file} with overrides {list(overrides)}: {error}") from error
    assert isinstance(config, RunConfig)
    _refuse_not_finite(config, file, overrides)
    return config


def find_config(word: str) -> Path:
    """Return the file of a configuration: a path, or the name of a shipped one such as `hacs_mini`.

    Raises:
        InputError: if there is neither; the shipped ones are named.
    """
    path = Path(word).expanduser()
    if path.is_file():
        return path
    shipped = {file.stem: file for file in sorted(SHIPPED.glob("*.yaml"))}
    if word in shipped:
        return shipped[word]
    raise InputError(f"configuration file not found: {word}; shipped: {', '.join(shipped)}")


def config_to_dict(config: Any) -> dict[str, Any]:
    """Return a plain nested dict (lists, numbers, strings) of a configuration dataclass."""
    content = dataclasses.asdict(config)
    return {key: _plain(value) for key, value in content.items()}


def config_to_yaml(config: RunConfig) -> str:
    """Render the resolved configuration as YAML that `load_config` reads back to the same
    values."""
    return yaml.safe_dump(config_to_dict(config), sort_keys=False, allow_unicode=True)


def flatten(tree: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Flatten nested mappings to dotted keys.

    >>> flatten({"bmn": {"epochs": 3}, "seed": 0})
    {'bmn.epochs': 3, 'seed': 0}
    """
    flat: dict[str, Any] = {}
    for key, value in tree.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{name}."))
        else:
            flat[name] = value
    return flat


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _writable_defaults() -> DictConfig:
    """Structured defaults; frozen dataclasses arrive read-only, which merging would refuse."""
    defaults = OmegaConf.structured(run_config_type())
    OmegaConf.set_readonly(defaults, False)
    for key in SECTIONS:
        OmegaConf.set_readonly(defaults[key], None)
    return defaults


def known_keys() -> list[str]:
    """Return all keys that a configuration may have, `section.key`."""
    keys = [field.name for field in dataclasses.fields(RunConfig)]
    for name, settings in SECTIONS.items():
        keys += [f"{name}.{field.name}" for field in dataclasses.fields(settings)]
    return keys


def default_values() -> dict[str, Any]:
    """Return the default of every key, `section.key` -> plain value; "???" where a run must say."""
    defaults = OmegaConf.to_container(OmegaConf.structured(run_config_type()))
    return {key: _plain(value) for key, value in flatten(defaults).items()}  # type: ignore[arg-type]


def _read_yaml(file: Path) -> DictConfig:
    if not file.is_file():
        raise InputError(
            f"configuration file not found: {file}; `python -m pipeline.configurations list` shows the shipped ones"
        )
    try:
        content = OmegaConf.load(file)
    except (yaml.YAMLError, OSError, UnicodeDecodeError) as error:
        raise InputError(f"{file} is not readable YAML: {_one_line(error)}") from error
    if not isinstance(content, DictConfig):
        raise InputError(f"{file}: expected `key: value` lines at the top level, found a list or a word")
    return content


def _read_overrides(overrides: Iterable[str]) -> DictConfig:
    words = list(overrides)
    for word in words:
        if "=" not in word or word.startswith("="):
            raise InputError(f"expected key=value on the command line, found '{word}'")
    try:
        return OmegaConf.from_dotlist(words)
    except (yaml.YAMLError, OmegaConfBaseException) as error:
        raise InputError(f"overrides {words} cannot be read: {_one_line(error)}") from error


def _drop_retired_keys(layer: DictConfig, origin: str) -> None:
    """Take out keys of earlier versions whose value still says what is done (`retired` of a
    section)."""
    for section, settings in SECTIONS.items():
        found = layer.get(section)
        for name, value in getattr(settings, "retired", {}).items():
            if not isinstance(found, DictConfig) or name not in found:
                continue
            word = found.pop(name)
            if word != value:
                raise InputError(
                    f"{origin}: {section}.{name}={word} is no longer a key, and its only value is {value}; "
                    f"see docs/configuration.md for what took its place"
                )


def _refuse_unknown_keys(layer: DictConfig, origin: str) -> None:
    known = known_keys()
    for key in flatten(OmegaConf.to_container(layer, resolve=False)):  # type: ignore[arg-type]
        if key in known or key in SECTIONS:
            continue
        section, _, last = key.rpartition(".")
        sections = difflib.get_close_matches(section, SECTIONS, n=1)
        by_section = [f"{name}.{last}" for name in sections if f"{name}.{last}" in known]
        by_name = [name for name in known if name.rsplit(".", 1)[-1] == key.rsplit(".", 1)[-1]]
        by_spelling = difflib.get_close_matches(key, known, n=2, cutoff=0.5)
        close = list(dict.fromkeys(by_section + by_name + by_spelling))[:2]
        hint = (
            f"; closest known: {', '.join(close)}"
            if close
            else "; `python -m pipeline.settings` lists all keys"
        )
        raise InputError(f"unknown key '{key}' in {origin}{hint}")


def _refuse_not_finite(config: RunConfig, file: Path, overrides: Sequence[str]) -> None:
    for key, value in flatten(config_to_dict(config)).items():
        if isinstance(value, float) and not math.isfinite(value):
            raise InputError(
                f"{file} with overrides {list(overrides)}: {key} must be a finite number, found {value}"
            )


def _expand_home(merged: Any) -> None:
    """Replace "~" in places: no shell does it in a file, nor behind `key=`."""
    for key in ("run_dir", *places()):
        word = OmegaConf.select(merged, key)
        if isinstance(word, str) and word.split("/")[0].startswith("~"):
            with contextlib.suppress(RuntimeError):  # of a user that there is not: a name like any other
                OmegaConf.update(merged, key, str(Path(word).expanduser()))


def _run_dir_suffix(overrides: DictConfig) -> str:
    if "run_dir" in overrides:
        return ""
    return "".join(
        f"-{_as_file_name(str(overrides[key]))}" if key == "model" else f"-{key}{overrides[key]}"
        for key in RUN_NAMING_KEYS
        if key in overrides
    )


def _as_file_name(model: str) -> str:
    """Name a network in a file name: of "hf:folder/name" the kind and the last part."""
    kind, _, place = model.rpartition(":")
    return "-".join(filter(None, (kind, Path(place).name)))


def _one_line(error: Exception) -> str:
    """The message on one line, without the library's notes on its own types."""
    lines = [line.strip() for line in str(error).splitlines()]
    return " ".join(line for line in lines if line and "_type=" not in line)
