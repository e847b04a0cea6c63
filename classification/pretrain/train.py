"""Pre-training by MoSI (stage `pretrain`)."""

from __future__ import annotations

import torch

from classification.pretrain.pictures import find_pictures, held_out
from classification.pretrain.stage import pictures_folder
from classification.pretrain.task import MotionTask, moving_clips
from runtime.errors import InputError
from runtime.stage_spec import StageRun
from tadaconv import create_model
from training import checkpoint
from training.batches import derived_seed
from training.device import prepare_device
from training.loop import stage_trainer


def pretrain(run: StageRun) -> None:
    """Train the network to name motions; leaves weights.pt without the head, checkpoint.pt and
    metrics.jsonl.

    Raises:
        InputError: if there is no picture, or the network does not take the clips.
    """
    config = run.config.pretrain
    device = prepare_device(run.config.runtime)
    folder = pictures_folder(run.config)
    files = find_pictures(folder)
    if not files:
        raise InputError(f"{folder}: no image or video below it; name a folder with pretrain.pictures=DIR")
    torch.manual_seed(derived_seed(run.config.seed, 0))
    try:
        model = create_model(run.config.model, num_classes=len(moving_clips(config).classes))
    except ValueError as error:
        raise InputError(f"model: {error}") from error
    task = MotionTask(model, held_out(files), config, run.config.seed)
    last = stage_trainer(run, task, config, device, remembered=task.damaged).run("pretrain")
    state = {key: value for key, value in model.state_dict().items() if not key.startswith("head.")}
    checkpoint.save(run.folder / "weights.pt", {"model": state, "name": run.config.model})
    run.skipped.update(task.damaged)
    run.counts.update({"pictures": len(files)})
    right = f"{100 * last['accuracy']:.1f} % of the motions named right"
    run.summary = f"{config.epochs} epochs of {task.num_items} pictures, {right}"
    if "validation_accuracy" in last:
        run.summary += f", of held-out pictures {100 * last['validation_accuracy']:.1f} %"
