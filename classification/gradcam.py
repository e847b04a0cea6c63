"""Grad-CAM of a finetuned model over the frames of a clip, as a strip of pictures (paper, Fig. 4,
A3).

python -m classification.gradcam --run runs/hacs_mini --video FILE.mp4 --at 12.5 --out cam.png
"""

from __future__ import annotations

import difflib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from classification.finetune.heads import by_head
from classification.finetune.sampling import spread_frames
from feature_extraction.backbone import Backbone, load_backbone
from runtime.atomic import atomic_path
from runtime.errors import InputError
from runtime.exit_codes import EXIT_CODES_HELP, EXIT_DONE, guarded
from runtime.help_text import CommandParser, program_name
from runtime.paths import user_path
from runtime.sections import RunConfig
from tadaconv import VideoNetwork
from video_datasets.dataset import Segment
from video_datasets.time_grid import TimeGrid, seconds_to_frames
from video_datasets.video.reader import frame_times, read_clip
from video_datasets.video.transforms import scaled_frames

MAX_COLUMNS = 8
"""Frames in the strip; of longer clips, some are left out."""
_HEAT_OPACITY = 0.45


def grad_cam(model: VideoNetwork, clip_CTHW: Tensor, class_index: int, head: str = "action") -> Tensor:
    """Return where the evidence for a class lies in the last feature map of a clip.

    Grad-CAM (Selvaraju et al., ICCV 2017), in space and time: the channels of the last feature map,
    weighted by the mean gradient of the class's logit, summed, negative sums set to 0.

    Args:
        model: in eval mode.
        clip_CTHW: normalised clip (3, T, H, W).
        class_index: position of the logit.
        head: "action", or "verb" or "noun".

    Returns:
        Tensor (T', h, w) of the map's size, between 0 and 1; the largest value is 1, or all are 0
        where nothing speaks for the class.

    Raises:
        InputError: if the network has no feature map (transformers).
    """
    kept: list[Tensor] = []
    feature_map = model.feature_map()
    if feature_map is None:
        raise InputError(f"Grad-CAM needs a feature map, which {type(model.backbone).__name__} does not have")
    hook = feature_map.register_forward_hook(lambda module, inputs, output: kept.append(output))
    try:
        logits = by_head(model(clip_CTHW[None].detach().requires_grad_()))[head]
    finally:
        hook.remove()
    maps_CTHW = kept[0][0]
    (gradients,) = torch.autograd.grad(logits[0, class_index], kept[0])
    weights_C = gradients[0].mean(dim=(1, 2, 3))
    cam_THW = F.relu(torch.einsum("c,cthw->thw", weights_C, maps_CTHW)).detach()
    return cam_THW / cam_THW.max().clamp_min(torch.finfo(cam_THW.dtype).tiny)


@dataclass(frozen=True)
class Shown:
    """What is drawn.

    Attributes:
        frames: uint8 (T, h, w, 3).
        times_s: of the frames (T,).
        heat: (T, h, w), between 0 and 1.
        title: above the strip.
    """

    frames: NDArray[np.uint8]
    times_s: NDArray[np.float64]
    heat: NDArray[np.float32]
    title: str


def explain(
    backbone: Backbone, config: RunConfig, video: Path, at_s: float | None, label: str | None
) -> Shown:
    """Compute the heat of one clip of a video.

    Args:
        backbone: finetuned.
        config: of its run.
        video: file.
        at_s: middle of the clip; not needed where the run samples by segments: then the clip covers
            the whole video.
        label: class whose evidence is shown; None: the network's best (of two heads, the verb).

    Raises:
        InputError: if the video cannot be read or is shorter than `at_s`, or there is no such
            class.
    """
    grid = config.grid
    times = frame_times(video, min_decoded_share=config.finetune.min_decoded_share)
    frames = _clip_at(grid, times.n_frames(grid.fps), at_s, config.finetune.sampling, video)
    scaled = scaled_frames(read_clip(video, frames, grid.fps, times), config.finetune.test_short_side_px)
    clip = backbone.model.input.normalise(scaled)
    head, index = _class_of(backbone, clip, label)
    cam = grad_cam(backbone.model, clip, index, head)
    heat = F.interpolate(cam[None, None], size=tuple(clip.shape[1:]), mode="trilinear", align_corners=False)
    with torch.inference_mode():
        probability = float(by_head(backbone.model(clip[None]))[head].softmax(dim=1)[0, index])
    images = (scaled * 255).round().clamp(0, 255).byte()
    return Shown(
        frames=images.permute(1, 2, 3, 0).numpy(),
        times_s=frames / grid.fps,
        heat=heat[0, 0].numpy(),
        title=f"{video.name}: evidence for {head} '{backbone.heads[head][index]}' ({100 * probability:.0f} %)",
    )


def _clip_at(
    grid: TimeGrid, num_frames: int, at_s: float | None, sampling: str, video: Path
) -> NDArray[np.int64]:
    if sampling == "segments":
        return spread_frames(grid, Segment(0.0, num_frames / grid.fps, ""), num_frames, 0.5)
    if at_s is None or not 0 <= at_s * grid.fps < num_frames:
        raise InputError(f"{video}: --at must lie within 0 and {num_frames / grid.fps:.2f} s, found {at_s}")
    return np.clip(int(seconds_to_frames(at_s, grid.fps)) + grid.clip_offsets, 0, num_frames - 1)


def _class_of(backbone: Backbone, clip: Tensor, label: str | None) -> tuple[str, int]:
    """Head and index of a label, or of the best class of the first head."""
    if label is None:
        head = next(iter(backbone.heads))
        with torch.inference_mode():
            return head, int(by_head(backbone.model(clip[None]))[head].argmax())
    for head, labels in backbone.heads.items():
        if label in labels:
            return head, labels.index(label)
    known = [name for labels in backbone.heads.values() for name in labels]
    close = difflib.get_close_matches(label, known, n=3) or known[:3]
    raise InputError(f"--label: the model has no class '{label}'; closest known: {', '.join(close)}")


def draw_strip(path: Path, shown: Shown) -> None:
    """Draw the frames above, and below them under their heat, to a PNG."""
    import matplotlib

    matplotlib.use("Agg")  # no screen is needed
    from matplotlib import pyplot as plt

    columns = np.unique(np.linspace(0, len(shown.frames) - 1, MAX_COLUMNS).round().astype(int))
    height, width = shown.frames.shape[1:3]
    size = (1.5 * len(columns), 3.0 * height / width + 0.7)
    figure, axes = plt.subplots(2, len(columns), figsize=size, layout="constrained", squeeze=False)
    for column, index in enumerate(columns):
        for row in (0, 1):
            axes[row, column].imshow(shown.frames[index])
            axes[row, column].axis("off")
        axes[1, column].imshow(shown.heat[index], cmap="jet", vmin=0, vmax=1, alpha=_HEAT_OPACITY)
        axes[0, column].set_title(f"{shown.times_s[index]:.2f} s", fontsize=8)
    figure.suptitle(shown.title, fontsize=10)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=120)
    plt.close(figure)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command and return its exit code."""
    parser = CommandParser(
        prog=program_name("classification.gradcam"),
        description=__doc__,
        epilog=EXIT_CODES_HELP,
    )
    parser.add_argument(
        "--run", type=user_path, required=True, metavar="FOLDER", help="run with a finetuned model"
    )
    parser.add_argument("--video", type=user_path, required=True, metavar="FILE")
    parser.add_argument(
        "--at",
        type=float,
        metavar="SECONDS",
        help="middle of the clip (not for runs that sample by segments: their clip covers the whole video)",
    )
    parser.add_argument("--label", metavar="NAME", help="class to explain; default: the one the model finds")
    parser.add_argument("--out", type=user_path, required=True, metavar="FILE.png")
    arguments = parser.parse_args(argv)

    def act() -> int:
        from pipeline.stages import load_config  # with the settings of all packages

        config = load_config(arguments.run / "config.yaml")
        backbone = load_backbone(arguments.run / "finetune" / "weights.pt")
        shown = explain(backbone, config, arguments.video, arguments.at, arguments.label)
        draw_strip(arguments.out, shown)
        print(f"{arguments.out}: {shown.title}")
        return EXIT_DONE

    return guarded(act)


if __name__ == "__main__":
    sys.exit(main())
