"""The card of a model repository: README.md, with licences and figures on top for the site and
below for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

NOT_STATED = "not stated"
MAX_LISTED = 50
"""Classes that the card names; config.json has all."""


@dataclass(frozen=True, kw_only=True)
class ModelFacts:
    """What a run does not know about itself.

    Attributes:
        licence: of the weights, by the site's short name, e.g. "apache-2.0"; "" is not stated.
        licence_videos: of what it was trained on.
        dataset: name of the data set, or of the lab's own.
    """

    licence: str = ""
    licence_videos: str = NOT_STATED
    dataset: str = NOT_STATED


def render_card(
    name: str,
    facts: ModelFacts,
    rows: Mapping[str, str],
    heads: Mapping[str, tuple[str, ...]],
    metrics: Mapping[str, Any] | None,
    remark: str = "",
) -> str:
    """Return the text of README.md.

    Args:
        name: of the model.
        facts: from the person who shares it.
        rows: network, head, time grid, in words.
        heads: head -> class names.
        metrics: content of the run's metrics.json, None where it was never evaluated.
        remark: what everybody who uses it must know.
    """
    table = {
        **rows,
        "data set": facts.dataset,
        "licence of the weights": facts.licence or NOT_STATED,
        "licence of the videos": facts.licence_videos,
    }
    lines = [f"| {key} | {value.replace('|', chr(92) + '|')} |" for key, value in table.items()]
    sections = [
        f"---\n{yaml.safe_dump(_front_matter(name, facts, metrics), sort_keys=False, allow_unicode=True)}---",
        f"# {name}",
        f"> {remark}" if remark else "",
        "\n".join(["| | |", "|---|---|", *lines]),
        _figures(metrics),
        _use(name),
        *(_classes(head, labels) for head, labels in heads.items()),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _front_matter(name: str, facts: ModelFacts, metrics: Mapping[str, Any] | None) -> dict[str, Any]:
    """Fields that the site reads (its model card specification)."""
    fields: dict[str, Any] = {
        "license": facts.licence or "unknown",
        "library_name": "tadaloc",
        "pipeline_tag": "video-classification",  # the site has none for localization
        "tags": ["temporal-action-localization", "video"],
    }
    if metrics is not None:
        dataset = {"name": facts.dataset, "type": metrics["protocol"]}
        figures = [
            {"type": "mAP", "name": f"average mAP, {task} (%)", "value": round(100 * value, 2)}
            for task, value in metrics["average_mAP"].items()
        ]
        result = {
            "task": {"type": "video-classification", "name": "temporal action localization"},
            "dataset": dataset,
            "metrics": figures,
        }
        fields["model-index"] = [{"name": name, "results": [result]}]
    return fields


def _figures(metrics: Mapping[str, Any] | None) -> str:
    if metrics is None:
        return "## Results\n\nNot stated."
    rows = []
    for task, average in metrics["average_mAP"].items():
        at = dict(zip(metrics["tiou_thresholds"], metrics["mAP"][task], strict=True))
        half = next((value for tiou, value in at.items() if abs(tiou - 0.5) < 1e-6), None)
        rows.append(f"| {task} | {'' if half is None else f'{100 * half:.2f}'} | {100 * average:.2f} |")
    head = f"Percent, protocol {metrics['protocol']} ({metrics['protocol_version']})."
    return "\n".join(["## Results", "", head, "", "| | mAP@0.5 | average mAP |", "|---|---|---|", *rows])


def _use(name: str) -> str:
    return f"""\
## Use

```bash
pip install 'tadaloc[hub]'
tadaloc detect my_video.mp4 --run OWNER/{name}
```

`--run` takes a local copy of this folder as well. Nothing in it is executed."""


def _classes(head: str, labels: tuple[str, ...]) -> str:
    more = f", and {len(labels) - MAX_LISTED} more" if len(labels) > MAX_LISTED else ""
    return f"## {head.capitalize()} classes ({len(labels)})\n\n{', '.join(labels[:MAX_LISTED])}{more}"
