"""The settings with which OpenTAD, ActionFormer and BMN give features the times that our grid gives
them.

Feature i of our grid stands at t_i = (i s + o) / F seconds: stride s and offset o of the first
feature in grid frames, F frames per second. The readers compute, from their settings,

    ActionFormer   (i * feat_stride + 0.5 * num_frames) / default_fps              libs/modeling/meta_archs.py
    OpenTAD        (i * feature_stride * sample_stride + offset_frames) / fps      opentad/datasets
    rescaled to n  (i + 0.5) / n * duration                                        BMN; ActionFormer's anet.py

so `num_frames` is 2 o, whatever the clips span, and `offset_frames` is o. OpenTAD cuts its offset
to whole frames; where o is a half (28.5 of clips that span 57 frames), frames are counted at twice
the rate instead.
"""

from __future__ import annotations

from typing import Any

from video_datasets.time_grid import TimeGrid

_WINDOW_MULTIPLE = 256
"""ActionFormer's sequences must be a multiple of 2^5 x 8, for its six levels and attention
windows of 9."""
_LARGEST_WINDOW = 2304
"""ActionFormer's and OpenTAD's for EPIC-KITCHENS-100; longer videos are cut in training."""

Values = dict[str, Any]


def offset_frames(grid: TimeGrid) -> float:
    """Time of feature 0 in grid frames, a multiple of 0.5.

    >>> offset_frames(TimeGrid(fps=30, stride_frames=16))
    8.0
    """
    return round(2 * float(grid.feature_to_seconds(0)) * grid.fps) / 2


def config_values(
    grid: TimeGrid, channels: int, longest: int, file_format: str, cells: int | None = None
) -> dict[str, Values]:
    """Return the settings of each reader of such files, under the names that they have there.

    Args:
        grid: of the features.
        channels: C.
        longest: features of the longest video.
        file_format: "npy", "npz", "pt" or "csv".
        cells: rows to which every video was rescaled; None: as extracted.
    """
    if cells is not None:
        return _rescaled_values(channels, file_format, cells)
    offset = offset_frames(grid)
    scale = 1 if offset.is_integer() else 2
    window = min(-(-longest // _WINDOW_MULTIPLE) * _WINDOW_MULTIPLE, _LARGEST_WINDOW)
    opentad = {
        "feat_format": file_format,
        "in_channels": channels,
        "feature_stride": scale * grid.stride_frames,
        "sample_stride": 1,
        "offset_frames": int(scale * offset),
        "fps": _whole(scale * grid.fps),
        "window_size": window,
        "pad_len": window,
    }
    if file_format not in ("npy", "npz"):
        return {"opentad": opentad}
    # Of ActionFormer's readers, anet.py and thumos14.py open .npy, and epic_kitchens.py .npz.
    reader = "actionformer" if file_format == "npy" else "actionformer_epic_kitchens"
    actionformer = {
        "file_prefix": None,
        "file_ext": f".{file_format}",
        "input_dim": channels,
        "feat_stride": grid.stride_frames,
        "num_frames": int(2 * offset),
        "default_fps": _whole(grid.fps),
        "downsample_rate": 1,
        "max_seq_len": window,
    }
    return {reader: actionformer, "opentad": opentad}


def _rescaled_values(channels: int, file_format: str, cells: int) -> dict[str, Values]:
    values: dict[str, Values] = {
        "opentad": {"feat_format": file_format, "in_channels": channels, "resize_length": cells}
    }
    if file_format == "csv":
        values["bmn"] = {"temporal_scale": cells, "feat_dim": channels}
    if file_format == "npy":
        values["actionformer"] = {
            "file_prefix": None,
            "file_ext": ".npy",
            "input_dim": channels,
            "feat_stride": -1,
            "num_frames": 1,
            "default_fps": 30,
            "force_upsampling": False,
            "max_seq_len": cells,
        }
    return values


def describe_config_values(values: dict[str, Values], grid: TimeGrid, cells: int | None = None) -> str:
    """Return the settings as text, with the arithmetic behind them."""
    lines = _arithmetic(grid) if cells is None else _rescaled_arithmetic(cells)
    for reader, settings in values.items():
        lines += ["", f"{reader}:"] + [f"  {name}: {_yaml(value)}" for name, value in settings.items()]
    return "\n".join(lines) + "\n"


def _arithmetic(grid: TimeGrid) -> list[str]:
    offset, stride, fps = offset_frames(grid), grid.stride_frames, grid.fps
    times = ", ".join(f"{t:.4f}" for t in grid.feature_to_seconds([0, 1, 2]))
    lines = [
        f"Feature i stands at (i * {stride} + {offset:g}) / {fps:g} s: {times}, ...",
        "ActionFormer: (i * feat_stride + 0.5 * num_frames) / default_fps"
        f" = (i * {stride} + 0.5 * {2 * offset:g}) / {fps:g}",
        "  (num_frames is twice the offset here, not the length of a clip)",
    ]
    scale = 1 if offset.is_integer() else 2
    lines.append(
        f"OpenTAD: (i * feature_stride + offset_frames) / fps = "
        f"(i * {scale * stride} + {scale * offset:g}) / {scale * fps:g}"
    )
    if scale == 2:
        lines.append("  (it wants whole offset_frames, so frames are counted at twice the rate)")
    return lines


def _rescaled_arithmetic(cells: int) -> list[str]:
    return [
        f"Row i of {cells} stands at (i + 0.5) / {cells} of its video's duration (durations.csv).",
        "ActionFormer's anet.py: feat_stride = duration * default_fps / rows and num_frames = feat_stride * 1, so",
        "  (i * feat_stride + 0.5 * num_frames) / default_fps"
        f" = (i + 0.5) * duration / {cells}, whatever default_fps is",
    ]


def _whole(value: float) -> float | int:
    return int(value) if float(value).is_integer() else value


def _yaml(value: Any) -> str:
    return "~" if value is None else str(value)
