"""Crops, precision, and one video by itself, each against the network called by hand."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from feature_extraction.backbone import load_network
from feature_extraction.extractor import Extractor, VideoExtraction, extract_video
from tadaconv import VideoNetwork, create_model, optimize_for_inference
from tadaconv.inputs import NetworkInput
from video_datasets.time_grid import TimeGrid
from video_datasets.video.decoding import VideoError
from video_datasets.video.reader import stream_grid_frames
from video_datasets.video.transforms import scaled_frames

HACS = TimeGrid(fps=30, stride_frames=16)
CPU = torch.device("cpu")
INPUT = NetworkInput()
FRAMES = np.random.default_rng(0).integers(0, 256, (60, 40, 72, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def model() -> VideoNetwork:
    return optimize_for_inference(load_network("tada2d_mini", None).model)


def features(extractor: Extractor, frames: np.ndarray = FRAMES) -> np.ndarray:
    extraction = VideoExtraction(extractor)
    used = np.array([k for k in range(len(frames)) if extractor.grid.may_use(k) or k == len(frames) - 1])
    extraction.add(used, frames[used])
    return extraction.finish(len(frames))


def by_hand(model: VideoNetwork, columns: slice) -> np.ndarray:
    """Features of a part of the prepared frames, all clips at once."""
    prepared = INPUT.normalise(scaled_frames(FRAMES, 32))[..., columns]  # C x T x 32 x 57
    clips = torch.stack([prepared[:, indices] for indices in HACS.clip_frame_indices(len(FRAMES))])
    with torch.no_grad():
        return model.forward_features(clips).numpy()


def test_three_crops_stand_side_by_side_left_middle_right(model: VideoNetwork) -> None:
    found = features(Extractor(model, HACS, 32, CPU, "three"))
    left, middle, right = (
        by_hand(model, columns) for columns in (slice(0, 32), slice(12, 44), slice(25, 57))
    )
    np.testing.assert_allclose(found, np.concatenate([left, middle, right], axis=1), rtol=1e-4, atol=1e-6)
    centre = features(Extractor(model, HACS, 32, CPU, "centre"))
    np.testing.assert_allclose(centre, middle, rtol=1e-4, atol=1e-6)
    assert np.abs(left - right).max() > 0.01 * np.abs(left).max()


def test_small_frames_are_prepared_in_bounded_memory(model: VideoNetwork) -> None:
    frames = FRAMES[:40]
    prepared = list(Extractor(model, HACS, 32, CPU).prepare(frames))
    assert torch.equal(torch.stack(prepared, dim=1), INPUT.normalise(scaled_frames(frames, 32)))
    # Frames that wait for their clips hold the memory of those that were prepared with them.
    assert max(frame.untyped_storage().nbytes() for frame in prepared) <= 16 * prepared[0].nbytes


def test_the_whole_region(model: VideoNetwork) -> None:
    found = features(Extractor(model, HACS, 32, CPU))
    np.testing.assert_allclose(found, by_hand(model, slice(None)), rtol=1e-4, atol=1e-6)


def test_short_types_round_only(model: VideoNetwork) -> None:
    exact = features(Extractor(model, HACS, 32, CPU))
    short = optimize_for_inference(load_network("tada2d_mini", None).model, torch.bfloat16)
    rounded = features(Extractor(short, HACS, 32, CPU))
    assert rounded.dtype == np.float32
    assert 0 < np.abs(rounded - exact).max() < 0.05 * np.abs(exact).max()


@pytest.mark.parametrize("name", ["two_frames.mp4", "vfr_slow.mp4", "trim_copy.mp4", "rotate90.mp4"])
def test_unusual_videos_by_themselves(model: VideoNetwork, shared: Path, name: str) -> None:
    path = shared / "videos_bad" / name
    heard: list[float] = []
    video = extract_video(Extractor(model, HACS, 32, CPU), path, progress=heard.append)
    stream = stream_grid_frames(path, 30)
    frames = np.stack([frame for _, frame in stream])
    np.testing.assert_array_equal(video.features, features(Extractor(model, HACS, 32, CPU), frames))
    np.testing.assert_array_equal(video.times_s, HACS.times_s(len(frames)))
    assert stream.summary is not None
    assert video.duration_s == stream.summary.duration_s
    assert heard == sorted(heard)
    assert heard[-1] == pytest.approx((len(frames) - 1) / 30)


def test_one_video_that_cannot_be_read(model: VideoNetwork, shared: Path) -> None:
    with pytest.raises(VideoError, match="21 / 79 frames decoded"):
        extract_video(Extractor(model, HACS, 32, CPU), shared / "videos_bad" / "cut_40pct.mp4")


class _FreeNetwork(torch.nn.Module):
    input = INPUT

    def forward_features(self, clips_BCTHW: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(clips_BCTHW), 2048)


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads its memory as Linux tells it")
def test_memory_does_not_grow_with_the_video() -> None:
    """Features of a batch that stay where they were made once kept all the memory around them
    from being used again."""

    def resident_mb() -> float:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6

    grid = TimeGrid(fps=60, stride_frames=8)
    extraction = VideoExtraction(Extractor(_FreeNetwork(), grid, 224, CPU))
    block = np.zeros((3, 480, 854, 3), dtype=np.uint8)
    for k in range(90):
        extraction.add(np.arange(3) * 8 + 24 * k, block.copy())
        if k == 30:
            before_mb = resident_mb()
    assert resident_mb() - before_mb < 60  # it was 300 MB


def test_batches_of_large_frames_are_smaller_on_a_cpu(model: VideoNetwork) -> None:
    extractor = Extractor(model, HACS, 32, CPU)
    sizes = [(32, 57), (128, 228), (224, 398), (720, 1280)]
    assert [extractor.batch_clips(torch.empty(3, *size)) for size in sizes] == [8, 8, 4, 1]


def test_an_optimised_extractor_travels_to_other_processes() -> None:
    here = Extractor.optimised(create_model("tada2d_mini").eval(), TimeGrid(), 32, torch.device("cpu"))
    there = pickle.loads(pickle.dumps(here))
    frames = list(here.prepare(np.random.default_rng(0).integers(0, 256, (8, 32, 40, 3), dtype=np.uint8)))
    np.testing.assert_array_equal(here.forward([frames]), there.forward([frames]))
    with pytest.raises(TypeError, match="does not pickle"):
        pickle.dumps(Extractor(here.model, TimeGrid(), 32, torch.device("cpu")))
