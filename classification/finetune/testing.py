"""The work of `classification.finetune.test`: ask the network about all views, save what it
said, count."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from classification.finetune.accuracy import accuracy_table, class_accuracy_csv, rank_all
from classification.finetune.clips import LabelledSegment, labelled_segments
from classification.finetune.test import LOGITS_NAME
from classification.finetune.train import classes_of, videos_on_disk
from classification.finetune.video_files import VideoFiles
from classification.finetune.views import Answers, TestClips, ViewsConfig, ask
from feature_extraction.backbone import load_backbone
from runtime.atomic import write_text
from runtime.errors import InputError
from runtime.hdf5 import writing_hdf5
from runtime.stage import StageRun
from training.device import prepare_device
from video_datasets.dataset import load_dataset


def run_test(run: StageRun) -> None:
    """Test the finetuned model of the run; leaves table.txt, per_class.csv and logits.h5 in the
    folder.

    Raises:
        InputError: if the model is for other classes, or no validation video can be decoded.
    """
    config, data = run.config.finetune, run.config.data
    device = prepare_device(run.config.runtime)
    dataset = load_dataset(data)
    weights = run.upstream("finetune") / "weights.pt"
    backbone = load_backbone(weights)
    if backbone.heads != dataset.heads:
        raise InputError(
            f"{weights}: trained on other classes than {data.root} has; is data.root another data set?"
        )
    run.skipped.update(dataset.problems)
    videos = videos_on_disk(run, dataset, data.validation_subset)
    segments = labelled_segments(videos, dataset.class_indices)
    grid, views = run.config.grid, ViewsConfig.of_test(config)
    clips = TestClips(segments, VideoFiles(grid, config.min_decoded_share), grid, views, backbone.model.input)
    counts = {head: len(labels) for head, labels in dataset.heads.items()}
    answers = ask(
        backbone.model.to(device), clips, counts, run.config.runtime.test_decoders, description="testing"
    )
    run.skipped.update(answers.damaged)
    if not len(answers.answered()):
        raise InputError(_nothing_tested(run))
    save_logits(run.folder / LOGITS_NAME, answers, segments, dataset.heads, views)
    _write_tables(run, answers, segments, dataset.heads, views)


def _nothing_tested(run: StageRun) -> str:
    data = run.config.data
    first = "".join(f", the first: {item}: {reason}" for item, reason in list(run.skipped.items())[:1])
    return (
        f"no labelled segment of the subset '{data.validation_subset}' could be tested: "
        f"{len(run.skipped)} problems{first}; check data.validation_subset={data.validation_subset}, "
        f"data.root={data.root} and data.videos={data.videos}"
    )


def _write_tables(
    run: StageRun,
    answers: Answers,
    segments: list[LabelledSegment],
    heads: Mapping[str, tuple[str, ...]],
    views: ViewsConfig,
) -> None:
    rows = answers.answered()
    logits = {head: values[rows] for head, values in answers.logits.items()}
    classes = {head: indices[rows] for head, indices in classes_of(segments, tuple(heads)).items()}
    rankings = rank_all(logits, classes, heads)
    title = f"{len(rows)} segments, {views.clips} clips x {max(views.crops, 1)} crops, accuracy in percent\n"
    write_text(run.folder / "table.txt", title + accuracy_table(rankings))
    write_text(run.folder / "per_class.csv", class_accuracy_csv(rankings))
    run.counts.update({"segments": len(rows), "views": views.num_views})
    action = next((ranking for ranking in rankings if ranking.task == "action"), rankings[0])
    run.summary = (
        f"top-1 {100 * action.top(1):.2f} %, top-5 {100 * action.top(5):.2f} % of {len(rows)} segments"
    )


def save_logits(
    path: Path,
    answers: Answers,
    segments: list[LabelledSegment],
    heads: Mapping[str, tuple[str, ...]],
    views: ViewsConfig,
) -> None:
    """Write one HDF5 file with everything that is needed to count again, or to average with another
    network.

    /logits/<head>   float32 (N, views, classes), the crops of a clip side by side; NaN where nothing was decoded
    /classes/<head>  int64 (N,), right classes           /labels/<head>   names of the classes
    /video_id, /start_s, /end_s   (N,), the segments; attributes: clips, crops, short_side_px, sampling
    """
    text = h5py.string_dtype()
    with writing_hdf5(path) as file:
        for head, classes in classes_of(segments, tuple(heads)).items():
            file[f"logits/{head}"], file[f"classes/{head}"] = answers.logits[head], classes
            file.create_dataset(f"labels/{head}", data=list(heads[head]), dtype=text)
        file.create_dataset("video_id", data=[item.video.video_id for item in segments], dtype=text)
        file["start_s"] = np.array([item.segment.start_s for item in segments])
        file["end_s"] = np.array([item.segment.end_s for item in segments])
        for name in ("clips", "crops", "short_side_px", "sampling"):
            file.attrs[name] = getattr(views, name)
