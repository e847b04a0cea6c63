"""The time grids of features that others have released, as far as they are known."""

from __future__ import annotations

from dataclasses import dataclass

from video_datasets.time_grid import TimeGrid


@dataclass(frozen=True, kw_only=True)
class Preset:
    """How to read somebody's features."""

    grid: TimeGrid
    files: str
    """Kind of files: "npy", "npz", "pt", "csv", "pkl" or "h5"."""
    channels: int
    backbone: str
    source: str
    """Where the values come from."""
    in_pieces: bool = False
    """Files hold a few seconds each, their names say which."""
    prefix: str = ""
    """Before the video id in file names."""
    suffix: str = ""
    """Behind it."""
    note: str = ""


def _no_padding(fps: float, stride_frames: int, span_frames: int) -> TimeGrid:
    """Clips of consecutive frames within the video: the time of feature i is (i s + span / 2) /
    fps."""
    return TimeGrid(
        fps=fps,
        stride_frames=stride_frames,
        clip_frames=span_frames,
        interval_frames=1,
        convention="no_padding",
    )


_MAMBA = (
    "OpenGVLab/video-mamba-suite: temporal-action-localization/configs/mamba_{}_new.yaml; the same in OpenTAD's "
    "configs/videomambasuite"
)

PRESETS = {
    "tadaconv-ek100": Preset(
        grid=TimeGrid(fps=60, stride_frames=8, convention="centred_on_last", spacing="linspace"),
        files="pkl",
        in_pieces=True,
        channels=6144,
        backbone="TAda2D R50, EPIC-KITCHENS-100, released",
        source="alibaba-mmai-research/TAdaConv: epickitchen100_feature.py; crops: its GitHub thread 6",
        note="three crops (left, middle, right) of 2048 channels side by side",
    ),
    "tadaconv-hacs": Preset(
        grid=TimeGrid(fps=30, stride_frames=16, convention="centred_on_last", spacing="linspace"),
        files="pkl",
        channels=2048,
        backbone="TAda2D R50, HACS, released",
        source="rate and stride: paper, App. A.2; convention: that of the EPIC-KITCHENS-100 loader",
        note="the anchor of these features is not documented; check the expected lengths",
    ),
    "actionformer-ek100-slowfast": Preset(
        grid=_no_padding(fps=30, stride_frames=16, span_frames=32),
        files="npz",
        channels=2304,
        backbone="SlowFast R101, EPIC-KITCHENS-100, released by ActionFormer",
        source="happyharrycn/actionformer_release: configs/epic_slowfast_verb.yaml",
    ),
    "actionformer-anet-tsp": Preset(
        grid=_no_padding(fps=15, stride_frames=16, span_frames=16),
        files="npy",
        prefix="v_",
        channels=512,
        backbone="TSP R(2+1)D-34, ActivityNet, released by ActionFormer",
        source="happyharrycn/actionformer_release: configs/anet_tsp.yaml",
    ),
    "opentad-hacs-slowfast": Preset(
        grid=_no_padding(fps=15, stride_frames=8, span_frames=32),
        files="npy",
        channels=2304,
        backbone="SlowFast R101, HACS, released by TCANet and OpenTAD",
        source="sming256/OpenTAD: configs/_base_/datasets/hacs-1.1.1/features_slowfast_pad.py",
    ),
    "internvideo2-hacs": Preset(
        grid=_no_padding(fps=30, stride_frames=8, span_frames=16),
        files="pt",
        prefix="v_",
        suffix="_spatial_pool_feature_6",
        channels=3200,
        backbone="InternVideo2-6B, HACS, released by Video Mamba Suite",
        source=_MAMBA.format("hacs"),
        note="the first InternVideo's configuration has stride 16: see which one import says that lengths fit",
    ),
    "internvideo2-anet": Preset(
        grid=_no_padding(fps=30, stride_frames=8, span_frames=16),
        files="pt",
        prefix="v_",
        suffix="_spatial_pool_feature_6",
        channels=3200,
        backbone="InternVideo2-6B, ActivityNet, released by Video Mamba Suite",
        source=_MAMBA.format("anet"),
        note="the first InternVideo's configuration has stride 16: see which one import says that lengths fit",
    ),
    "internvideo2-thumos": Preset(
        grid=_no_padding(fps=30, stride_frames=4, span_frames=16),
        files="pt",
        suffix="_spatial_feature",
        channels=3200,
        backbone="InternVideo2-6B, THUMOS14, released by Video Mamba Suite",
        source=_MAMBA.format("thumos"),
        note="rate of the videos' own, mostly 30 fps",
    ),
    "videomaev2-hacs": Preset(
        grid=_no_padding(fps=30, stride_frames=8, span_frames=16),
        files="npy",
        channels=1408,
        backbone="VideoMAE V2-g, HACS, released by TriDet",
        source="yangle15/DyFADet-pytorch: configs/hacs_mae.yaml (no rate stated: assumed)",
        note="the rate is an assumption: see what import says about lengths",
    ),
    "omnivore-ego4d": Preset(
        grid=_no_padding(fps=30, stride_frames=16, span_frames=32),
        files="npy",
        channels=1536,
        backbone="Omnivore, Ego4D, as ActionFormer takes them",
        source="happyharrycn/actionformer_release: configs/ego4d_omnivore.yaml",
    ),
    "egovlp-ego4d": Preset(
        grid=_no_padding(fps=30, stride_frames=16, span_frames=16),
        files="npy",
        channels=256,
        backbone="EgoVLP, Ego4D, as ActionFormer takes them",
        source="happyharrycn/actionformer_release: configs/ego4d_egovlp.yaml",
        note="beside Omnivore's in ActionFormer: features.joined",
    ),
}


def describe_presets() -> str:
    """Return a line for each preset, for `--help`."""
    return "\n".join(
        f"  {name:28} {preset.files:4} C={preset.channels}  {preset.grid.fps:g} fps, stride"
        f" {preset.grid.stride_frames}, {preset.grid.convention}{'; ' + preset.note if preset.note else ''}"
        for name, preset in PRESETS.items()
    )
