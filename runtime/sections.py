"""Sections of the configuration: each belongs to the package that reads it, and registers itself
here.

    @section("toy")
    @dataclass(frozen=True, kw_only=True)
    class ToyConfig:
        colour: str = "red"

    config.toy.colour     # an attribute of every `RunConfig`

This module knows no section by name. Commands load all of them by importing `pipeline.stages`.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from omegaconf import MISSING

from runtime.schema_checks import require

Settings = TypeVar("Settings", bound=type)

SECTIONS: dict[str, type] = {}
"""Name -> frozen dataclass whose fields all have defaults."""


def section(name: str) -> Callable[[Settings], Settings]:
    """Register a dataclass as a section of the configuration."""

    def register(settings: Settings) -> Settings:
        SECTIONS[name] = settings
        return settings

    return register


def arrange(order: Sequence[type]) -> None:
    """Put the sections into an order, whichever was loaded first; those that it does not name
    come last."""
    named = {settings: name for name, settings in SECTIONS.items()}
    names = [named[settings] for settings in order]
    for name in [*names, *(name for name in list(SECTIONS) if name not in names)]:
        SECTIONS[name] = SECTIONS.pop(name)


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """One run: these keys, and an attribute for each section (`configs/` has complete examples)."""

    run_dir: str = MISSING
    """Folder of the run."""
    seed: int = 0
    """Of all randomness, and of the data that are rendered on the spot."""
    model: str = "tada2d_r50"
    """Name of the video model (`tadaconv.list_models()`)."""
    head: str = "bmn"
    """Name of the network that finds segments in features (`proposals.heads.HEADS`)."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    def changed(self, **values: Any) -> RunConfig:
        """Return a copy with other values: sections as a whole, or keys of the run itself."""
        return dataclasses.replace(self, **values)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as values: the class of a whole configuration is made by each process."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return _of_values, (values,)

    def __post_init__(self) -> None:
        require(self.seed >= 0, f"seed must be at least 0, found {self.seed}")
        require(self.run_dir != "", "run_dir must name a folder, found an empty word")


def run_config_type() -> type[RunConfig]:
    """Return `RunConfig` with a field for every section that is registered."""
    return _run_config_type(tuple(SECTIONS.items()))


@functools.cache
def _run_config_type(sections: tuple[tuple[str, type], ...]) -> type[RunConfig]:
    fields = [(name, settings, dataclasses.field(default_factory=settings)) for name, settings in sections]
    made = dataclasses.make_dataclass("RunConfig", fields, bases=(RunConfig,), frozen=True, kw_only=True)
    made.__module__ = __name__
    return made


def run_config(**values: Any) -> RunConfig:
    """Return a configuration of these values, everything else at its default."""
    return run_config_type()(**values)


def _of_values(values: dict[str, Any]) -> RunConfig:
    return run_config(**values)


def places() -> set[str]:
    """Return the keys, `section.key`, that say where something lies (`schema_checks.PLACE`)."""
    return {
        f"{name}.{field.name}"
        for name, settings in SECTIONS.items()
        for field in dataclasses.fields(settings)
        if field.metadata.get("place")
    }
