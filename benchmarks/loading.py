"""Time that a training waits for data: a few real steps of TAda2D-R50 at 224 x 224 on mini-HACS.

Prints the share of the time in which training waits for the loader; the bar is 10 % on two cores.
The first epoch holds the start of the loader processes, and the pass over each file's time stamps;
the second is the steady state.

    python -m benchmarks.loading --data data/hacs_mini-seed0 [--steps 6] [--workers 1]
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from classification.finetune.train import build_task
from classification.finetune.views import TestClips
from pipeline.stages import load_config
from runtime.paths import user_path
from runtime.stage import StageRun
from training.device import prepare_device
from training.loop import stage_trainer
from training.watching import TIMING_NAME
from video_datasets.dataset import load_dataset
from video_datasets.mini import ensure_mini

CONFIG = Path(__file__).resolve().parents[1] / "configs/hacs_mini.yaml"
EPOCHS = 2


def main() -> None:
    """Train two short epochs and print their timing."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.loading",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--data", type=user_path, required=True, help="mini-HACS, rendered when missing")
    parser.add_argument("--model", default="tada2d_r50")
    parser.add_argument("--steps", type=int, default=6, help="of an epoch")
    parser.add_argument("--batch-size", type=int, default=4)
    parser.add_argument("--workers", type=int, default=1, help="loader processes")
    arguments = parser.parse_args()
    if arguments.steps < 1 or arguments.batch_size < 1:
        parser.error("--steps and --batch-size must be at least 1")
    ensure_mini(arguments.data)
    with tempfile.TemporaryDirectory() as folder:
        for line in train(arguments, Path(folder)):
            print(
                f"epoch {line['epoch']}: {line['steps']} steps of {arguments.batch_size} clips, "
                f"{line['items_per_s']:.3f} clips/s, waiting for data {100 * line['data_wait_share']:.1f} % of the time"
            )


def train(arguments: argparse.Namespace, folder: Path) -> list[dict[str, float]]:
    """Train in a folder and return the lines of its timing file."""
    words = [
        f"run_dir={folder}",
        f"model={arguments.model}",
        f"data.root={arguments.data}",
        f"runtime.loader_workers={arguments.workers}",
        f"finetune.batch_size={arguments.batch_size}",
        f"finetune.epochs={EPOCHS}",
        *("finetune.short_side_px=[256,320]", "finetune.crop_px=224", "finetune.frame_cache_step=0"),
    ]
    config = load_config(CONFIG, words)
    run = StageRun(config, folder)
    device = prepare_device(config.runtime)
    task = build_task(run, load_dataset(config.data))
    task.num_items = min(task.num_items, arguments.steps * arguments.batch_size)
    validation = task.validation
    task.validation = TestClips(
        [], validation.source, validation.grid, validation.views, validation.network_input
    )
    stage_trainer(run, task, config.finetune, device).run("loading")
    return [json.loads(text) for text in (folder / TIMING_NAME).read_text().splitlines()]


if __name__ == "__main__":
    main()
