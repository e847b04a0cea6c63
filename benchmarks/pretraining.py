"""What pre-training without labels (MoSI) is worth: a finetuning from nothing against one from
pre-trained weights, with 1/8, 1/4 and all of the labelled training videos, several seeds.

Pre-training sees all training videos, never their labels, and no validation video. A share of the
labels is drawn evenly over the classes; with few labels the finetuning gets more epochs (up to four
times), as somebody with few labels would give it.

    python -m benchmarks.pretraining configs/hacs_mini.yaml [key=value ...] [--seeds 0 1 2]
    python -m benchmarks.pretraining configs/grid_words.yaml data.root=FOLDER pretrain.epochs=10 --only-finetune
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from pathlib import Path

import numpy as np
import yaml

from pipeline.stages import load_config
from runtime.config import RunConfig

ROOT = Path(__file__).resolve().parents[1]
SHARES = (8, 4, 1)
"""One of so many training videos is labelled."""
MOST_EPOCHS = 4
PRETRAINING = ROOT / "configs" / "own_pretrain.yaml"
"""Whose section `pretrain` is taken, unless the words say otherwise."""


def labelled_videos(entries: dict[str, dict], subset: str, one_of: int, seed: int) -> list[str]:
    """Draw the ids of the labelled training videos, evenly over the class of their first segment.

    `entries` is the "database" of a HACS annotation file.
    """
    by_class: dict[str, list[str]] = {}
    for video_id, entry in entries.items():
        if entry["subset"] == subset and entry["annotations"]:
            by_class.setdefault(entry["annotations"][0]["label"], []).append(video_id)
    drawn = []
    for _, videos in sorted(by_class.items()):
        random.Random(seed).shuffle(videos)
        drawn += videos[: max(1, round(len(videos) / one_of))]
    return drawn


def write_share(config: RunConfig, one_of: int, folder: Path) -> Path:
    """Write the annotation file in which one of so many training videos stands; the file."""
    source = json.loads((Path(config.data.root) / config.data.annotations).read_text())
    training = config.data.training_subset
    kept = set(labelled_videos(source["database"], training, one_of, config.seed))
    source["database"] = {
        video_id: entry
        for video_id, entry in source["database"].items()
        if entry["subset"] != training or video_id in kept
    }
    path = folder / f"labels_1_of_{one_of}.json"
    path.write_text(json.dumps(source))
    return path.resolve()


def link_training_videos(config: RunConfig, folder: Path) -> Path:
    """Make a folder of links to the training videos alone."""
    root = Path(config.data.root).resolve()
    database = json.loads((root / config.data.annotations).read_text())["database"]
    folder.mkdir(parents=True, exist_ok=True)
    for path in sorted((root / config.data.videos).rglob("*.*")):
        entry = database.get(path.stem.removeprefix("v_"))
        link = folder / path.name
        if entry and entry["subset"] == config.data.training_subset and not os.path.lexists(link):
            link.symlink_to(path)
    return folder


def run(config_file: str, words: list[str], only: str = "") -> None:
    """Run the pipeline, or one stage of it with the words of a whole run."""
    line = [sys.executable, "-m", "pipeline.run", config_file, *words, *(["--only", only] if only else [])]
    code = subprocess.run(line, cwd=ROOT, stdout=subprocess.DEVNULL).returncode
    if code > 1:
        raise SystemExit(f"{' '.join(line[1:])} ended with code {code}")


def figures(folder: Path) -> tuple[float, float]:
    """Clip accuracy and average mAP of a run, in percent; nan where it was not evaluated."""
    lines = (folder / "finetune" / "metrics.jsonl").read_text().splitlines()
    accuracy = [json.loads(line).get("validation_accuracy") for line in lines][-1]
    metrics = folder / "metrics.json"
    average = json.loads(metrics.read_text())["average_mAP"]["action"] if metrics.is_file() else np.nan
    return 100 * accuracy, 100 * average


def compare(config_file: str, words: list[str], seed: int, only: str) -> list[tuple[str, int, Path]]:
    """Run every arm of one seed, or find it done: rows of start, share of labels, run folder."""
    words = [*words, f"seed={seed}"]
    folder = ROOT / "runs" / "pretraining" / f"{Path(config_file).stem}-seed{seed}"
    first = folder / "nothing_1_of_1"
    run(config_file, [*words, f"run_dir={first}"], only)  # renders data that are to be rendered
    config = load_config(config_file, words)
    words += ["data.mini=false", f"data.root={config.data.root}"]
    pictures = link_training_videos(config, folder / "training_videos")
    pretrained = folder / "pretrained"
    section = yaml.safe_load(PRETRAINING.read_text())["pretrain"]
    own = [f"pretrain.{key}={json.dumps(value)}" for key, value in section.items()]
    places = [f"run_dir={pretrained}", f"pretrain.pictures={pictures}"]
    run(config_file, [*own, *words, *places], "pretrain")
    rows = []
    for one_of in SHARES:
        share = [f"data.annotations={write_share(config, one_of, folder)}"] if one_of > 1 else []
        epochs = config.finetune.epochs * min(one_of, MOST_EPOCHS)
        for start, weights in (("nothing", "null"), ("MoSI", pretrained / "pretrain" / "weights.pt")):
            run_dir = folder / f"{start}_1_of_{one_of}"
            arm = [f"run_dir={run_dir}", f"finetune.epochs={epochs}", f"finetune.init_weights={weights}"]
            if run_dir != first:
                run(config_file, [*words, *share, *arm], only)
            rows.append((start, one_of, run_dir))
    return rows


def main() -> None:
    """Print a row for every run and the mean over the seeds."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("config")
    parser.add_argument("words", nargs="*", metavar="key=value")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--only-finetune", action="store_true", help="clip accuracy alone, no mAP")
    arguments = parser.parse_intermixed_args()
    only = "finetune" if arguments.only_finetune else ""
    found: dict[tuple[int, str], list[tuple[float, float]]] = {}
    print("labels  start    seed  clip accuracy  average mAP")
    for seed in arguments.seeds:
        for start, one_of, folder in compare(arguments.config, arguments.words, seed, only):
            row = figures(folder)
            found.setdefault((one_of, start), []).append(row)
            print(f"1/{one_of}     {start:8} {seed:4}  {row[0]:13.1f}  {row[1]:11.1f}", flush=True)
    for (one_of, start), rows in found.items():
        accuracy, average = np.mean(rows, axis=0)
        print(f"1/{one_of}     {start:8} mean  {accuracy:13.1f}  {average:11.1f}")


if __name__ == "__main__":
    main()
