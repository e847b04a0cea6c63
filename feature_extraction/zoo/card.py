"""The card of a packed store: README.md, for people who have never seen this project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from feature_extraction.zoo.config_values import config_values, describe_config_values, offset_frames
from feature_extraction.zoo.summary import StoreSummary
from runtime.errors import InputError
from video_datasets.annotations import read_json_object
from video_datasets.time_grid import TimeGrid

NOT_STATED = "not stated"
RANDOM_WEIGHTS = "random"
"""Value of the attribute `weights` of features whose network was never trained."""


@dataclass(frozen=True, kw_only=True)
class CardFacts:
    """What the store itself does not know."""

    name: str = "Features"
    dataset: str = NOT_STATED
    licence_features: str = NOT_STATED
    licence_videos: str = NOT_STATED
    licence_weights: str = NOT_STATED


def read_metrics(path: Path) -> dict[str, Any]:
    """Read the JSON of `python -m evaluation`.

    Raises:
        FileNotFoundError: if there is no such file.
        InputError: if it is something else.
    """
    metrics = read_json_object(path)
    if not isinstance(metrics.get("average_mAP"), dict) or not isinstance(metrics.get("protocol"), str):
        raise InputError(
            f"{path}: expected the figures that `python -m evaluation --json` writes (protocol, average_mAP);"
            f" found the keys {', '.join(sorted(metrics)) or 'none'}"
        )
    return metrics


def render_card(
    facts: CardFacts,
    summary: StoreSummary,
    dtype: str,
    file_names: Sequence[str],
    metrics: dict[str, Any] | None,
) -> str:
    """Return the text of README.md.

    Args:
        facts: from the command line.
        summary: of the store.
        dtype: in which the features are packed.
        file_names: of the HDF5 files, one or several.
        metrics: content of metrics.json, None where nothing is known.
    """
    sections = [
        f"# {facts.name}",
        _random_warning(summary),
        _facts_table(facts, summary, dtype),
        _figures(metrics),
        _loading(file_names, summary),
        _readers(summary, len(file_names)),
        "## Files\n\n`index.csv` has a line a video; `sha256` there is of the features' bytes as stored (row by row,"
        " little-endian), followed by those of the times. `sha256sum -c SHA256SUMS` checks the files,"
        "\n`python -m feature_extraction.zoo verify .` everything else.",
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def is_random(summary: StoreSummary) -> bool:
    """Say whether the network that made the features was never trained."""
    return summary.attributes.get("weights") == RANDOM_WEIGHTS


def _random_warning(summary: StoreSummary) -> str:
    if not is_random(summary):
        return ""
    return (
        "> **WARNING: RANDOM WEIGHTS.** The network that made these features was never trained."
        " They serve to test software and say nothing about videos."
    )


def _facts_table(facts: CardFacts, summary: StoreSummary, dtype: str) -> str:
    grid = summary.grid
    rows = {
        "data set": facts.dataset,
        "videos": f"{summary.videos:,}",
        "hours": f"{summary.duration_s / 3600:.2f}" if summary.duration_s else NOT_STATED,
        "features": f"{summary.features:,} of {summary.channels} channels, {dtype}",
        "frame rate": f"{grid.fps:g} per second",
        "clip": f"{grid.clip_frames} frames, interval {grid.interval_frames} ({grid.spacing})",
        "stride": f"{grid.stride_frames} frames, {grid.stride_frames / grid.fps:.4f} s",
        "convention": grid.convention,
        "time of feature i": f"(i * {grid.stride_frames} + {offset_frames(grid):g}) / {grid.fps:g} s",
        "licence of the features": facts.licence_features,
        "licence of the videos": facts.licence_videos,
        "licence of the weights": facts.licence_weights,
    }
    own = {name: value for name, value in sorted(summary.attributes.items()) if name != "duration_s"}
    rows |= {f"`{name}`": str(value) for name, value in own.items()}
    lines = [f"| {name} | {_cell(value)} |" for name, value in rows.items()]
    return "\n".join(["| | |", "|---|---|", *lines]) + (
        "\n\nNames in code type are attributes that all videos share."
    )


def _cell(value: str) -> str:
    return value.replace("|", "\\|").replace("\n", " ")


def _figures(metrics: dict[str, Any] | None) -> str:
    if metrics is None:
        return "## Results\n\nNot stated."
    lines = [f"- {task}: {100 * value:.2f} % average mAP" for task, value in metrics["average_mAP"].items()]
    return "\n".join(
        [f"## Results\n\nProtocol {metrics['protocol']}; all figures are in `metrics.json`.", "", *lines]
    )


def _loading(file_names: Sequence[str], summary: StoreSummary) -> str:
    file_name, *further = file_names
    store = "." if further else file_name
    which = f"; of the {len(file_names)} files, `index.csv` names the one of each video" if further else ""
    return f"""\
## Loading

Any HDF5 reader finds one dataset a video at the root, T x {summary.channels}, and its times in seconds under
`_times`{which}:

```python
import h5py

with h5py.File("{file_name}", "r") as file:
    video_id = next(name for name in file if name != "_times")
    features = file[video_id][()].astype("float32")
    times_s = file["_times/" + video_id][()]
    attributes = dict(file[video_id].attrs)
```

With TAdaLoc:

```python
from feature_extraction import FeatureStore

store = FeatureStore("{store}")
for video_id, record in store.items():
    print(video_id, record.features.shape, record.times, record.grid)
```

and to train BMN on them, in a config or behind a command:

```
features.store={store} {grid_words(summary.grid)}
```"""


def grid_words(grid: TimeGrid) -> str:
    """Write a grid as settings of a run's configuration."""
    return " ".join(f"grid.{name}={value}" for name, value in grid.to_dict().items())


def _readers(summary: StoreSummary, n_files: int) -> str:
    values = config_values(summary.grid, summary.channels, summary.longest, "npy")
    as_it_is = "ActionFormer's `anet` data set opens this HDF5 file as its `feat_folder`; for the others, "
    return (
        f"## Settings for other programs\n\n{as_it_is if n_files == 1 else ''}"
        "`python -m feature_extraction.zoo export` writes a file a video. BMN (100 rows a video):"
        f" `--format csv --cells 100`, `temporal_scale: 100`, `feat_dim: {summary.channels}`.\n\n"
        f"```\n{describe_config_values(values, summary.grid)}```"
    )
