"""Features of whole videos, against a slow version that reads all frames at once and leaves the
network as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from feature_extraction.backbone import load_backbone, save_backbone
from feature_extraction.extract import extract
from feature_extraction.extractor import Extractor, VideoExtraction
from feature_extraction.store import FeatureStore, video_file_name
from pipeline.stages import load_config
from runtime.errors import InputError
from runtime.stage import StageRun
from tadaconv import VideoNetwork, create_model, optimize_for_inference
from training import checkpoint
from video_datasets.dataset import Video, load_dataset
from video_datasets.time_grid import TimeGrid
from video_datasets.video.reader import stream_grid_frames
from video_datasets.video.transforms import scaled_frames

HACS = TimeGrid(fps=30, stride_frames=16)
SHORT_SIDE_PX = 32
CONFIG = Path(__file__).resolve().parents[2] / "configs/hacs_mini.yaml"


@pytest.fixture(scope="module")
def model() -> VideoNetwork:
    """A network whose batch norms have statistics and whose calibration is not neutral, as after
    training."""
    torch.manual_seed(0)
    model = create_model("tada2d_mini", num_classes=8).eval()
    with torch.no_grad():
        for name, tensor in model.named_parameters():
            if "b_rf.b" in name or "_bn." in name:
                tensor.add_(0.1 * torch.randn_like(tensor))
        for name, tensor in model.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                tensor.add_(0.1 * torch.rand_like(tensor))
    return model


def _slow_features(model: VideoNetwork, path: Path, grid: TimeGrid) -> np.ndarray:
    frames = [frame for _, frame in stream_grid_frames(path, grid.fps)]
    features = []
    for indices in grid.clip_frame_indices(len(frames)):
        clip = model.input.normalise(scaled_frames(np.stack([frames[k] for k in indices]), SHORT_SIDE_PX))
        with torch.no_grad():
            features.append(model.forward_features(clip[None])[0].numpy())
    return np.stack(features)


def _assert_close(found: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    """The tolerance is relative to the largest feature: folded norms and other batches only
    round differently."""
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= tolerance * np.abs(expected).max()


@pytest.fixture
def run(tiny_mini: Path, tmp_path: Path, model: VideoNetwork) -> StageRun:
    """The stage of a run whose finetuning is done, over three videos: good, damaged, missing."""
    words = [f"run_dir={tmp_path}", "data.mini=false", f"data.root={tiny_mini}", "runtime.threads=1"]
    words += [f"features.short_side_px={SHORT_SIDE_PX}", "features.dtype=float32"]
    (tmp_path / "features").mkdir()
    save_backbone(tmp_path / "finetune/weights.pt", model, "tada2d_mini", {"action": tuple("abcdefgh")}, {})
    return StageRun(load_config(CONFIG, words), tmp_path / "features")


@pytest.fixture
def videos(run: StageRun, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Video]:
    """A part of the data set: two good videos, one damaged, one missing."""
    dataset = load_dataset(run.config.data)
    good = list(dataset.videos.values())[:2]
    (tmp_path / "bad.mp4").write_text("<html>404</html>")
    others = [Video("bad", "testing", tmp_path / "bad.mp4", 5.0, ()), Video("gone", "testing", None, 5.0, ())]
    videos = {video.video_id: video for video in [*others, *good]}
    part = type(dataset)(videos, dataset.labels)
    monkeypatch.setattr("feature_extraction.extract.load_dataset", lambda config, for_training: part)
    return videos


def test_features_are_those_of_the_slow_version(
    run: StageRun, videos: dict[str, Video], model: VideoNetwork
) -> None:
    extract(run)
    store = FeatureStore(run.folder / "features.h5")
    assert set(store) == videos.keys() - {"bad", "gone"}
    assert run.counts == {"videos": 2}
    for video_id, record in store.items():
        path = videos[video_id].path
        assert path is not None
        _assert_close(record.features, _slow_features(model, path, HACS), 1e-4)
        n_frames = record.attributes["num_grid_frames"]
        np.testing.assert_array_equal(record.times, HACS.times_s(n_frames))
        assert record.grid == HACS
        assert record.attributes["duration_s"] == pytest.approx(videos[video_id].duration_s, abs=0.05)
        assert record.attributes["source"] == path.name
        assert record.attributes["backbone"] == "tada2d_mini"
        assert (
            record.attributes["backbone_sha256"]
            == load_backbone(run.upstream("finetune") / "weights.pt").sha256
        )


def test_damaged_and_missing_videos_are_listed(run: StageRun, videos: dict[str, Video]) -> None:
    extract(run)
    assert run.skipped.keys() == {"bad", "gone"}
    assert "not a video" in run.skipped["bad"]
    assert run.skipped["gone"] == "video file not found"
    assert sorted(path.name for path in run.folder.iterdir()) == ["features.h5"]


def test_finished_videos_are_not_decoded_again(
    run: StageRun, videos: dict[str, Video], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    import feature_extraction.devices
    import feature_extraction.extract

    original = feature_extraction.devices.drive

    def recording(jobs: Any, consumer_of: Any, **options: Any) -> Any:
        listed = list(jobs)
        seen.extend(job.video_id for job in listed)
        return original(listed, consumer_of, **options)

    def cut_off(*_: object, **__: object) -> int:
        raise RuntimeError("killed")

    monkeypatch.setattr(feature_extraction.devices, "drive", recording)
    with monkeypatch.context() as patch:
        patch.setattr(feature_extraction.extract, "merge_features", cut_off)
        with pytest.raises(RuntimeError, match="killed"):
            extract(run)
    finished = [video_id for video_id in videos if (run.folder / video_file_name(video_id)).exists()]
    assert len(finished) == 2
    (run.folder / video_file_name(finished[0])).write_bytes(b"cut")  # a damaged file is made again
    seen.clear()
    extract(run)
    assert sorted(seen) == sorted([finished[0], "bad", "bad"])  # a bad one is tried once more
    assert set(FeatureStore(run.folder / "features.h5")) == set(finished)


def test_without_any_video_the_stage_stops(run: StageRun, videos: dict[str, Video]) -> None:
    for video_id in set(videos) - {"gone"}:
        del videos[video_id]
    with pytest.raises(InputError, match=r"none of the annotated videos is there; check data\.videos"):
        extract(run)


def test_one_frame_gives_one_feature_and_blocks_do_not_matter(model: VideoNetwork) -> None:
    extractor = Extractor(optimize_for_inference(model), HACS, SHORT_SIDE_PX, torch.device("cpu"))
    frames = np.random.default_rng(0).integers(0, 256, (200, 32, 40, 3), dtype=np.uint8)
    used = np.array([k for k in range(200) if HACS.may_use(k) or k == 199])
    results = []
    for block in (1, 7, 200):
        extraction = VideoExtraction(extractor)
        for first in range(0, len(used), block):
            part = used[first : first + block]
            extraction.add(part, frames[part])
        results.append(extraction.finish(200))
    assert results[0].shape == (13, 256)
    np.testing.assert_array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[0], results[2])
    single = VideoExtraction(extractor)
    single.add(np.array([0]), frames[:1])
    assert single.finish(1).shape == (1, 256)


def test_a_video_too_short_for_a_convention_says_so(model: VideoNetwork) -> None:
    grid = TimeGrid(fps=30, stride_frames=16, convention="no_padding")
    extraction = VideoExtraction(Extractor(model, grid, SHORT_SIDE_PX, torch.device("cpu")))
    with pytest.raises(
        ValueError, match="too short for a feature: 20 frames at 30 fps, convention 'no_padding'"
    ):
        extraction.finish(20)


def test_weights_of_another_kind_are_refused(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "w.pt", {"model": {}, "architecture": {}})
    with pytest.raises(InputError, match=r"not the weights of a finetuning stage \(no heads, name\)"):
        load_backbone(tmp_path / "w.pt")


def test_a_backbone_comes_back_as_it_was(tmp_path: Path, model: VideoNetwork) -> None:
    save_backbone(tmp_path / "w.pt", model, "tada2d_mini", {"action": tuple("abcdefgh")}, {"seed": 0})
    backbone = load_backbone(tmp_path / "w.pt")
    assert (backbone.name, backbone.labels) == ("tada2d_mini", tuple("abcdefgh"))
    assert not backbone.model.training
    clip = torch.randn(1, 3, 8, 32, 32)
    with torch.no_grad():
        assert torch.equal(backbone.model(clip), model(clip))


@pytest.mark.parametrize("step", ["add", "finish"])
@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_a_video_for_which_memory_runs_out_is_listed(
    run: StageRun,
    videos: dict[str, Video],
    step: str,
    error: RuntimeError,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    *_, large, small = videos
    path = videos[large].path
    assert path is not None
    own = dict(stream_grid_frames(path, HACS.fps))
    add, finish = VideoExtraction.add, VideoExtraction.finish
    attempts: list[VideoExtraction] = []

    def failing_add(self: VideoExtraction, indices: np.ndarray, frames: np.ndarray) -> None:
        add(self, indices, frames)
        if np.array_equal(own[int(indices[0])], frames[0]) and self not in attempts:
            attempts.append(self)
            if step == "add":
                raise error

    def failing_finish(self: VideoExtraction, n_frames: int) -> np.ndarray:
        if self in attempts:
            raise error
        return finish(self, n_frames)

    monkeypatch.setattr(VideoExtraction, "add", failing_add)
    monkeypatch.setattr(VideoExtraction, "finish", failing_finish)
    extract(run)
    assert set(FeatureStore(run.folder / "features.h5")) == {small}
    assert run.skipped[large] == f"not enough memory for its clips: {str(error).splitlines()[0]}"
    assert len(attempts) == 2


def test_other_errors_of_the_network_are_not_a_matter_of_one_video(
    run: StageRun, videos: dict[str, Video], monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(self: VideoExtraction, *given: Any) -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(VideoExtraction, "add", failing)
    with pytest.raises(RuntimeError, match="cannot be multiplied"):
        extract(run)
