"""Test views: which clips and squares the network sees, and that its answers end up in their
places."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from classification.finetune.clips import LabelledSegment
from classification.finetune.sampling import clip_frames, spread_frames
from classification.finetune.settings import FinetuneConfig
from classification.finetune.video_files import VideoFiles
from classification.finetune.views import TestClips, ViewsConfig, ask
from runtime.errors import InputError
from tadaconv.inputs import NetworkInput
from video_datasets.dataset import Segment, Video
from video_datasets.time_grid import TimeGrid
from video_datasets.video.decoding import VideoError
from video_datasets.video.reader import read_clip
from video_datasets.video.transforms import scaled_frames

HACS = TimeGrid(fps=30, stride_frames=16)


def _segment(video_id: str, path: Path | None = None) -> LabelledSegment:
    segment = Segment(1.0, 5.0, "x")
    return LabelledSegment(
        Video(video_id, "validation", path, 10.0, (segment,)), segment, {"action": 0}, {"action": 0}
    )


class Places:
    """Frames of 8 x 16 (of video "tall": 16 x 8) whose brightness is the column (row); video "-"
    is damaged."""

    start_step = 1

    def num_frames(self, video: Video) -> int:
        return 300

    def read(self, video: Video, frames: np.ndarray) -> np.ndarray:
        if video.video_id == "-":
            raise VideoError("x.mp4", "cut: short")
        shades = np.broadcast_to(np.arange(16, dtype=np.uint8)[None, :] * 10, (8, 16))
        image = shades.T if video.video_id == "tall" else shades
        return np.broadcast_to(image[None, :, :, None], (len(frames), *image.shape, 3)).copy()


class Mean(nn.Module):
    """Logits: the mean shade in 0 ... 255, and the number of pixels of a frame."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, clips: Tensor) -> Tensor:
        shade = (clips.mean(dim=(1, 2, 3, 4)) * 0.225 + 0.45) * 255 * self.scale
        return torch.stack([shade, torch.full_like(shade, clips.shape[3] * clips.shape[4])], dim=1)


def _ask(
    segments: list[LabelledSegment], crops: int, decoders: int = 1, clips: int = 2
) -> tuple[np.ndarray, dict[str, str]]:
    views = ViewsConfig(clips, crops, short_side_px=8, sampling="interval")
    answers = ask(
        Mean().eval(), TestClips(segments, Places(), HACS, views, NetworkInput()), {"action": 2}, decoders
    )
    return answers.logits["action"], answers.damaged


@pytest.mark.parametrize("video_id", ["wide", "tall"])
def test_three_squares_lie_at_the_ends_and_in_the_middle_of_the_longer_side(video_id: str) -> None:
    logits, _ = _ask([_segment(video_id)], crops=3)
    means = [35.0, 75.0, 115.0]  # of columns 0-7, 4-11, 8-15
    np.testing.assert_allclose(logits[0, :, 0], means * 2, rtol=1e-4)
    assert (logits[0, :, 1] == 64).all()


def test_the_whole_region_or_its_middle() -> None:
    whole, _ = _ask([_segment("wide")], crops=0)
    middle, _ = _ask([_segment("wide")], crops=1)
    assert (whole[0, :, 1] == 128).all()
    assert (middle[0, :, 1] == 64).all()
    np.testing.assert_allclose([whole[0, :, 0], middle[0, :, 0]], 75.0, rtol=1e-4)


@pytest.mark.parametrize("decoders", [1, 3])
def test_clips_of_several_shapes_and_damaged_videos_keep_their_places(decoders: int) -> None:
    names = ["wide", "-", "tall", "wide", "tall", "-", "wide"]
    segments = [_segment(name) for name in names]
    logits, damaged = _ask(segments, crops=0, decoders=decoders, clips=3)
    assert damaged == {"-": "cut: short"}
    for row, name in zip(logits, names, strict=True):
        assert np.isnan(row).all() if name == "-" else (row[:, 1] == 128).all()


def test_many_decoders_of_the_same_videos_change_no_bit(tiny_mini: Path, tmp_path: Path) -> None:
    paths = sorted((tiny_mini / "videos").rglob("*.mp4"))[:2]
    segments = [_segment(path.stem, path) for path in paths for _ in range(6)]
    views, counts = ViewsConfig(2, 1, 32, "interval"), {"action": 2}
    logits = []
    for decoders in (1, 4):
        files = VideoFiles(HACS, 0.9, tmp_path / str(decoders))  # whose times all of them find at once
        clips = TestClips(segments, files, HACS, views, NetworkInput())
        logits.append(ask(Mean().eval(), clips, counts, decoders).logits["action"])
    assert np.isfinite(logits[0]).all()
    assert np.array_equal(*logits)


def test_answers_of_segments_with_a_missing_view_do_not_count() -> None:
    views = ViewsConfig(1, 0, 8, "interval")
    answers = ask(
        Mean().eval(),
        TestClips([_segment("-"), _segment("wide")], Places(), HACS, views, NetworkInput()),
        {"action": 2},
        1,
    )
    assert answers.answered().tolist() == [1]


def test_a_network_that_has_diverged_is_not_scored() -> None:
    model, views = Mean().eval(), ViewsConfig(1, 0, 8, "interval")
    model.scale.data.fill_(float("nan"))
    with pytest.raises(InputError, match="its training has diverged"):
        ask(model, TestClips([_segment("wide")], Places(), HACS, views, NetworkInput()), {"action": 2}, 1)


@pytest.mark.parametrize("sampling", ["interval", "segments"])
def test_the_view_of_validation_is_the_middle_of_the_segment(tiny_mini: Path, sampling: str) -> None:
    path = next((tiny_mini / "videos").rglob("*.mp4"))
    chosen, files = _segment("a", path), VideoFiles(HACS, 0.9)
    config = FinetuneConfig(test_short_side_px=32, test_clips=10, sampling=sampling)  # type: ignore[arg-type]
    clips = TestClips([chosen], files, HACS, ViewsConfig.of_validation(config), NetworkInput())
    assert len(clips) == 1
    sample = spread_frames if sampling == "segments" else clip_frames
    frames = sample(HACS, chosen.segment, files.num_frames(chosen.video), 0.5)
    expected = NetworkInput().normalise(scaled_frames(read_clip(path, frames, 30), 32))
    torch.testing.assert_close(clips[0]["clip"], expected)


def test_validation_cuts_squares_only_if_the_test_does() -> None:
    for test_crops, crops in ((0, 0), (1, 1), (3, 1)):
        config = FinetuneConfig(test_crops=test_crops, test_clips=10)  # type: ignore[arg-type]
        assert ViewsConfig.of_validation(config) == ViewsConfig(1, crops, 256, "interval")
        assert ViewsConfig.of_test(config).num_views == 10 * max(test_crops, 1)
