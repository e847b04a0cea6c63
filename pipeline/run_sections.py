"""Sections of the report of a run that follow from its folder: training curves, stages,
versions, configuration."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from evaluation.report.charts import Points, axis_end, figure, points_chart
from evaluation.report.fragments import grid
from evaluation.report.page import Section
from pipeline.player import render, words_table
from pipeline.stages import STAGES, stages_of
from runtime.config import config_to_dict, default_values, flatten
from runtime.errors import InputError
from runtime.sections import RunConfig
from runtime.stage import read_record
from runtime.stage_spec import StageSpec
from runtime.text import encodable
from training.curves import VALIDATION_PREFIX, panel_names

TRAININGS = {
    "pretrain": "Pre-training",
    "finetune": "Finetuning",
    "bmn": "BMN",
    "one_stage": "One-stage head",
}
"""Headings of the stages that train; another is called by its name."""
LINES = (("training", "seq-3"), ("validation", "average"))
PLAIN_NAMES = {
    "tem": "loss of starts and ends",
    "classes": "loss of classes",
    "boundaries": "loss of boundaries",
    "pem_reg": "loss of the IoU (regression)",
    "pem_cls": "loss of the IoU (classification)",
    "top5": "accuracy of the best 5",
    "replaced": "share of replaced clips",
}
SHARES = ("accuracy", "top5", "replaced")
"""Endings of figures that are at most 1, and shown in percent."""
SMALL = 0.02
"""Curves below it are drawn a thousandfold: the axis has no room for many digits."""
MAX_SKIPPED = 200
"""Items of a stage on the page; its stage.json has all."""


def read_records(run_dir: Path) -> dict[str, dict[str, Any]]:
    """Read the records of the stages that were started; of a damaged one only that it is so."""
    records: dict[str, dict[str, Any]] = {}
    for stage in STAGES:
        try:
            record = read_record(run_dir / stage)
        except InputError as error:
            record = {"state": "damaged record", "summary": str(error)}
        if record:
            records[stage] = record
    return records


def training_section(run_dir: Path) -> Section | None:
    """Every figure of all trainings against the epoch; None before the first epoch is done."""
    parts = []
    for stage in (spec.name for spec in STAGES.values() if spec.trains):
        lines = _metrics(run_dir / stage / "metrics.jsonl")
        if lines:
            parts.append(Markup("<h3>{}</h3>").format(TRAININGS.get(stage, stage)))
            constant = [name for name in panel_names(lines) if _is_constant(name, lines)]
            parts.append(grid([_panel(name, lines) for name in panel_names(lines) if name not in constant]))
            if constant:
                parts.append(_constant_figures(constant, lines))
    return Section("training", "Training", Markup("").join(parts)) if parts else None


def _metrics(path: Path) -> list[dict[str, float]]:
    """Lines of a training; one that is cut off or not finite is left out."""
    lines = []
    if path.is_file():
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                found = json.loads(text)
            except ValueError:
                continue
            lines.append({name: value for name, value in found.items() if value == value})
    return [line for line in lines if "epoch" in line]


def _values(name: str, lines: Sequence[Mapping[str, float]]) -> list[float]:
    keys = (name, VALIDATION_PREFIX + name)
    return [line[key] for line in lines for key in keys if key in line]


def _is_constant(name: str, lines: Sequence[Mapping[str, float]]) -> bool:
    """Whether a curve would be a flat line, or a point, although there were several epochs."""
    return len(lines) > 1 and len(set(_values(name, lines))) == 1


def _constant_figures(names: Sequence[str], lines: Sequence[Mapping[str, float]]) -> Markup:
    words = []
    for name in names:
        value = _values(name, lines)[0]
        words.append(f"{plain_name(name)} " + (f"{100 * value:.4g} %" if _is_share(name) else f"{value:.4g}"))
    return Markup('<p class="muted">The same in every epoch: {}.</p>').format(", ".join(words))


def _is_share(name: str) -> bool:
    return name.endswith(SHARES)


def _scale(name: str, values: Sequence[float]) -> tuple[int, str]:
    """Factor of a figure's axis, and what its title says of it."""
    if _is_share(name):
        return 100, " (%)"
    return (1000, " x 1000") if 0 < max(values) < SMALL else (1, "")


def plain_name(name: str) -> str:
    """Name a figure of a training for readers.

    >>> plain_name("tem"), plain_name("verb_loss"), plain_name("verb_top5")
    ('loss of starts and ends', 'verb loss', 'verb: accuracy of the best 5')
    """
    task, _, figure_name = name.rpartition("_")
    if task and figure_name in PLAIN_NAMES:
        return f"{task}: {PLAIN_NAMES[figure_name]}"
    return PLAIN_NAMES.get(name, name.replace("_", " "))


def _panel(name: str, lines: Sequence[Mapping[str, float]]) -> Markup:
    named = {
        key: [(line["epoch"], line[key]) for line in lines if key in line]
        for key in (name, VALIDATION_PREFIX + name)
    }
    factor, unit = _scale(name, _values(name, lines))
    series = [
        Points(label, [epoch for epoch, _ in points], [factor * value for _, value in points], style)
        for points, (label, style) in zip(named.values(), LINES, strict=True)
        if points
    ]
    title = plain_name(name) + unit
    values = [value for of_line in series for value in of_line.y]
    above = sum(value > axis_end(values) for value in values)
    note = f"{above} of {len(values)} values lie above, up to {max(values):.4g}." if above else ""
    chart = points_chart(series, "epoch", title, 100.0 if _is_share(name) else math.inf)
    return figure(title, note, chart, series if name != "learning_rate" else ())


def stages_section(records: Mapping[str, Mapping[str, Any]], needed: Collection[str]) -> Section:
    """State, duration, memory and skipped items of the stages that a run needs or has, and the
    versions they ran with."""
    rows = [["stage", "state", "duration", "peak memory", "skipped", "result"]]
    rows += [
        _stage_row(stage, records.get(stage, {})) for stage in STAGES if stage in needed or stage in records
    ]
    skipped = [
        render(
            "skipped.html.jinja", stage=stage, items=_shown(record["skipped"]), count=len(record["skipped"])
        )
        for stage, record in records.items()
        if record.get("skipped")
    ]
    versions = _versions(records)
    parts = [words_table(rows), *skipped]
    if len(versions) > 1:
        parts += [Markup("<h3>Versions</h3>"), words_table(versions)]
    return Section("stages", "Stages", Markup("").join(parts))


def _stage_row(stage: str, record: Mapping[str, Any]) -> list[str]:
    if not record:
        return [stage, "not started", "", "", "", ""]
    duration_s, memory_mb = record.get("duration_s"), record.get("peak_memory_mb")
    return [
        stage,
        "cut off, or running" if record["state"] == "running" else record["state"],
        "" if duration_s is None else _duration(duration_s),
        "" if memory_mb is None else f"{memory_mb:.0f} MB",
        str(len(record.get("skipped") or {})),
        encodable(record.get("summary") or ""),
    ]


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.1f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"


def _shown(skipped: Mapping[str, str]) -> list[tuple[str, str]]:
    items = list(skipped.items())[:MAX_SKIPPED]
    return [(encodable(item), encodable(str(reason))) for item, reason in items]


def _versions(records: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """A row for each version; where stages ran with different ones, with the stages behind it."""
    found: dict[str, dict[str, list[str]]] = {}
    for stage, record in records.items():
        for package, version in (record.get("versions") or {}).items():
            found.setdefault(package, {}).setdefault(str(version), []).append(stage)
    rows = [["software", "version"]]
    for package, versions in found.items():
        words = [
            version if len(versions) == 1 else f"{version} ({', '.join(stages)})"
            for version, stages in versions.items()
        ]
        rows.append([package, encodable("; ".join(words))])
    return rows


def configuration_section(config: RunConfig) -> Section:
    """The resolved configuration: what the run reads and sets stands first, then its defaults,
    then the sections that only stages of other runs read."""
    values, defaults = flatten(config_to_dict(config)), default_values()
    read = _sections_read(stages_of(config), config)
    unread = _sections_read(STAGES.values(), config) - read
    parts: dict[str, list[Sequence[str]]] = {"changed": [], "same": [], "unread": []}
    for key, value in values.items():
        section, _, name = key.partition(".")
        part = "unread" if section in unread else "changed" if defaults.get(key) != value else "same"
        parts[part].append(
            [Markup("{}.<wbr>{}").format(section, name) if name else key, encodable(str(value))]
        )
    body = render(
        "configuration.html.jinja",
        **{part: words_table([["key", "value"], *rows]) for part, rows in parts.items()},
        counts={part: len(rows) for part, rows in parts.items()},
        sections=", ".join(sorted(unread)),
    )
    return Section("configuration", "Configuration", body)


def _sections_read(specs: Iterable[StageSpec], config: RunConfig) -> set[str]:
    return {key.partition(".")[0] for spec in specs for key in spec.settings(config) if "." in key}
