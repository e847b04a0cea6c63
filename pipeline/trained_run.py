"""A trained run as detection takes it: configuration, finetuned network and head; from its
folder or a bundle."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from classification.auto import settled_config
from classification.segment_classifier import FILE_NAME, SegmentClassifier, load_classifier
from classification.source_table import TRAINED
from feature_extraction.backbone import Backbone, load_backbone
from pipeline.bundle_file import unpack
from pipeline.hub_folder import fetch_hub_folder, is_hub_folder, unpack_hub_folder
from pipeline.stages import commands, load_config
from proposals.heads import TrainedHead, head_of
from runtime.errors import InputError
from runtime.record import refuse_changed_results
from runtime.sections import RunConfig
from runtime.settings import RuntimeConfig
from runtime.stage import read_record
from training.device import prepare_device

CONFIG, BACKBONE, CLASSIFIER = "config.yaml", "finetune/weights.pt", f"classification/{FILE_NAME}"
"""Files of a run folder that detection reads, beside the head's weights."""

_REPOSITORY = re.compile(r"(?!runs/)[\w.-]+/[\w.-]+(?<!\.zip)")
"""Name of a model repository; a mistyped folder of runs/ is not looked for on the network."""


@dataclass(frozen=True)
class TrainedRun:
    """A run whose finetuning and head are complete.

    Attributes:
        name: of the folder or bundle, for people.
        config: as the run resolved it, but for the device, on this machine alone, and the source of
            labels, which looks at features.
        backbone: finetuned network with its head.
        head: finds segments, on the device.
        classifier: of segments, where `classification.source` trains one.
        device: that was asked for.
    """

    name: str
    config: RunConfig
    backbone: Backbone
    head: TrainedHead
    classifier: SegmentClassifier | None
    device: torch.device

    @property
    def num_classes(self) -> str:
        """Words such as "8 classes", or "97 verbs and 300 nouns"."""
        sizes = {head: len(labels) for head, labels in self.backbone.heads.items()}
        if set(sizes) == {"action"}:
            return f"{sizes['action']} classes"
        return " and ".join(f"{size} {head}s" for head, size in sizes.items())

    @property
    def remark(self) -> str:
        """What everybody who looks at the detections of a mini run must know; "" for other runs."""
        if not self.config.data.mini:
            return ""
        return (
            "This run was trained on a mini data set of rendered videos. Its labels are the mini classes, which mean "
            "nothing in other videos: what it finds there shows that the pipeline works, not what happens in them."
        )


def open_run(path: str | Path, device: str = "cpu") -> TrainedRun:
    """Open a run folder, or what `python -m pipeline.bundle` made of one.

    Args:
        path: folder, file, or name of a model repository ("someone/name").
        device: where the head is to compute, as the key `runtime.device`.

    Raises:
        InputError: if it is neither, finetuning or the head is not complete, or the two do not
            belong together.
    """
    place = Path(path)
    if not place.exists() and _REPOSITORY.fullmatch(str(path)):
        place = fetch_hub_folder(str(path))
    if place.is_dir() and not is_hub_folder(place):
        return _open_folder(place, place.resolve().name, device)
    if not place.exists():
        raise InputError(
            f"{path}: no such run; expected a run folder (runs/<name>), a bundle (FILE.zip) or a model repository "
            f"(FOLDER or OWNER/NAME)"
        )
    unpack_any = unpack_hub_folder if place.is_dir() else unpack
    with TemporaryDirectory(prefix="tadaloc-bundle-") as folder:
        unpack_any(place, Path(folder))
        try:
            return _open_folder(Path(folder), Path(path).stem, device, limits=RuntimeConfig())
        except (ValueError, KeyError, TypeError, AttributeError, RuntimeError, OverflowError) as error:
            raise InputError(f"{path}: the bundle does not fit itself ({error}); pack it again") from error


def newest_run(runs: Path = Path("runs")) -> Path:
    """Return the folder of the run whose backbone was trained last, for whoever names none.

    Raises:
        InputError: if there is none.
    """
    trained = [path.parents[1] for path in runs.glob(f"*/{BACKBONE}") if (path.parents[1] / CONFIG).is_file()]
    if not trained:
        raise InputError(f"no trained run in {runs.absolute()}; name one with --run, or train one first")
    return max(trained, key=lambda folder: (folder / BACKBONE).stat().st_mtime)


def _open_folder(folder: Path, name: str, device: str, limits: RuntimeConfig | None = None) -> TrainedRun:
    """Open a folder of a run's files; a stranger's keeps this machine's `limits`."""
    _need(folder, CONFIG)
    config = load_config(folder / CONFIG)
    if limits:
        threads = min(config.runtime.threads, os.cpu_count() or 1)  # of its own, as they round
        config = config.changed(runtime=replace(limits, threads=threads))
    entry = head_of(config)
    _need(folder, BACKBONE)
    _need(folder, f"{entry.stage}/{entry.weights}")
    if not limits:  # a bundle has sums of its own
        _refuse_damaged(folder, BACKBONE)
        _refuse_damaged(folder, f"{entry.stage}/{entry.weights}")
    _refuse_other_training(folder, entry.stage)
    config = config.changed(runtime=replace(config.runtime, device=device, scheduler=""))
    torch_device = prepare_device(config.runtime)
    config = settled_config(config, folder / "classification")
    classifier = None
    if config.classification.source == TRAINED:
        _need(folder, CLASSIFIER)
        _refuse_damaged(folder, CLASSIFIER)
        classifier = load_classifier(folder / CLASSIFIER)
    backbone = load_backbone(folder / BACKBONE)
    head = entry.load(folder / entry.stage, config, torch_device)
    if not backbone.heads:
        raise InputError(f"{folder / BACKBONE}: knows no classes; expected the weights of a finetuning stage")
    channels = int(backbone.model.num_features) * (3 if config.features.crops == "three" else 1)
    grid = config.grid
    if (head.in_channels, head.grid) != (channels, grid):
        raise InputError(
            f"{folder}: {entry.title} was trained on {head.in_channels} channels on the grid {head.grid}, but this "
            f"run's network and settings make {channels} channels on {grid}; detection can only make the run's own "
            f"features"
        )
    return TrainedRun(name, config, backbone, head, classifier, torch_device)


def _need(folder: Path, file: str) -> None:
    if not (folder / file).is_file():
        raise InputError(
            f"{folder}: no {file}; detection needs a run whose finetuning and head are complete "
            f"(bash scripts/run_hacs.sh makes one)"
        )


def _refuse_damaged(folder: Path, file: str) -> None:
    stage, _, name = file.partition("/")
    refuse_changed_results(folder / stage, commands().get(stage, stage), only=name)


def _refuse_other_training(folder: Path, head_stage: str) -> None:
    """Refuse a run one of whose stages was redone after the stages that read it; a bundle has no
    records."""
    for stage, upstream in (("features", "finetune"), (head_stage, "features")):
        made_from = read_record(folder / stage).get("fingerprint_parts", {}).get(f"stage.{upstream}")
        found = read_record(folder / upstream).get("fingerprint")
        if made_from and found and not made_from.startswith(found):
            raise InputError(
                f"{folder}: stage '{stage}' was made from another '{upstream}' than the one there; run `{stage}` "
                f"and what follows again"
            )
