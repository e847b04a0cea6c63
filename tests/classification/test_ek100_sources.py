"""Where verbs and nouns come from: stored features, clips of the video, released results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from classification.class_scores import class_score_files, read_class_scores
from classification.score_sources import ReleasedSource
from classification.sources import FeatureSource, ProposalClipSource, Sampling, head_logits
from feature_extraction import FeatureStore
from feature_extraction.clips import ClipAssembler
from feature_extraction.extractor import Extractor, extract_video
from feature_extraction.store import write_video_features
from feature_extraction.zoo.released import find_pieces, num_piece_rows
from runtime.errors import InputError
from tadaconv import VideoNetwork, create_model
from tadaconv.heads import ClassificationHead
from video_datasets.dataset import Video
from video_datasets.time_grid import TimeGrid
from video_datasets.video.decoding import VideoError

GRID = TimeGrid(fps=60, stride_frames=8)
RELEASED_GRID = TimeGrid(fps=60, stride_frames=8, convention="centred_on_last", spacing="linspace")
COUNTS = {"verb": 5, "noun": 7}
SEGMENTS = np.array([[0.4, 2.9], [1.0, 1.1], [0.0, 6.0], [5.5, 6.0]])


def make_head(channels: int = 8) -> ClassificationHead:
    torch.manual_seed(3)
    return ClassificationHead(channels, COUNTS).eval()


def plain_probabilities(
    head: ClassificationHead, features: NDArray[np.float32], times_s: NDArray[np.float64]
) -> dict[str, list[NDArray[np.float64]]]:
    """Proposal by proposal, sample by sample."""
    found: dict[str, list[NDArray[np.float64]]] = {"verb": [], "noun": []}
    for start_s, end_s in SEGMENTS:
        inset_s = min(8 / 60, (end_s - start_s) / 2)
        sums = {"verb": np.zeros(5), "noun": np.zeros(7)}
        points_s = np.linspace(start_s + inset_s, end_s - inset_s, 18)
        for sample in range(6):
            three = points_s[3 * sample : 3 * sample + 3]  # the head is linear
            feature = [np.interp(three, times_s, column).mean() for column in features.T]
            with torch.no_grad():
                for name, logits in head(torch.tensor([feature], dtype=torch.float32)).items():
                    sums[name] += torch.softmax(logits[0].double(), dim=0).numpy()
        for name, total in sums.items():
            found[name].append(total / 6)
    return found


@pytest.mark.parametrize("crops", [1, 3])
def test_features_equal_a_plain_loop(tmp_path: Path, crops: int) -> None:
    times_s = GRID.times_s(360)
    features = np.random.default_rng(0).normal(size=(len(times_s), crops * 8)).astype(np.float32)
    write_video_features(tmp_path, "P01_01", features, times_s, GRID, attributes={}, dtype="float32")
    source = FeatureSource(FeatureStore(tmp_path), make_head(), Sampling(GRID, 6, 1.0))
    found = source("P01_01", SEGMENTS)
    parts = [plain_probabilities(make_head(), features[:, 8 * c : 8 * c + 8], times_s) for c in range(crops)]
    for name in ("verb", "noun"):
        expected = np.mean([part[name] for part in parts], axis=0)
        np.testing.assert_allclose(found[name], expected, atol=1e-6)


def test_a_long_video_is_read_in_parts(tmp_path: Path) -> None:
    """More rows than are read at once give what all rows together give."""
    times_s = GRID.times_s(8 * 5000)
    features = np.random.default_rng(0).normal(size=(5000, 8)).astype(np.float32)
    write_video_features(tmp_path, "P01_01", features, times_s, GRID, attributes={}, dtype="float32")
    segments = np.array([[100.0, 640.0], [270.0, 280.0]])
    sampling = Sampling(GRID, 6, 1.0)
    found = FeatureSource(FeatureStore(tmp_path), make_head(), sampling)("P01_01", segments)
    expected = sampling.of_rows(head_logits(make_head(), features), times_s, segments)
    np.testing.assert_allclose(found["noun"], expected["noun"], atol=1e-6)


def test_channels_that_the_head_does_not_take_are_refused() -> None:
    with pytest.raises(InputError, match="features have 12 channels, but the finetuned head takes 8"):
        head_logits(make_head(), np.zeros((3, 12), np.float32))


# ---- clips


@pytest.fixture(scope="module")
def model() -> VideoNetwork:
    torch.manual_seed(0)
    return create_model("r2d_mini", num_classes=COUNTS).eval()


def kitchen_video(root: Path) -> tuple[str, Path]:
    path = min(root.rglob("*.MP4"), key=lambda path: path.stat().st_size)
    return path.stem, path


def clip_source(model: VideoNetwork, video_id: str, path: Path | None) -> ProposalClipSource:
    extractor = Extractor(model, GRID, 32, torch.device("cpu"))
    video = Video(video_id, "validation", path, 6.0, ())
    return ProposalClipSource({video_id: video}, extractor, model.head, Sampling(GRID, 6, 1.0), 0.9, 60.0)


def test_clips_are_those_of_the_extraction(tiny_ek100: Path, model: VideoNetwork, tmp_path: Path) -> None:
    """Samples on the centres of features see the very clips that the extraction saw."""
    video_id, path = kitchen_video(tiny_ek100)
    source = clip_source(model, video_id, path)
    whole = extract_video(source.extractor, path)
    write_video_features(
        tmp_path, video_id, whole.features, whole.times_s, GRID, attributes={}, dtype="float32"
    )
    # Samples five features apart, the outer ones a stride inside; the last clips reach over the end
    # of the video.
    last = len(whole.times_s) - 1
    first = np.array([0, 3, last - 25])
    stride_s = GRID.stride_s
    segments = np.stack([whole.times_s[first] - stride_s, whole.times_s[first + 25] + stride_s], axis=1)
    found = source(video_id, segments)
    logits = head_logits(model.head, whole.features)
    for name, values in logits.items():
        powers = np.exp(values[first[:, None] + 5 * np.arange(6), 0])
        expected = (powers / powers.sum(axis=-1, keepdims=True)).mean(axis=1)
        np.testing.assert_allclose(found[name], expected, atol=1e-5)


def test_a_bad_video_says_why(model: VideoNetwork, tmp_path: Path) -> None:
    (tmp_path / "P01_01.MP4").write_text("<html>404</html>")
    with pytest.raises(VideoError, match="not a video"):
        clip_source(model, "P01_01", tmp_path / "P01_01.MP4")("P01_01", SEGMENTS)
    with pytest.raises(VideoError, match="video file not found"):
        clip_source(model, "P01_01", None)("P01_01", SEGMENTS)


@pytest.mark.parametrize("num_frames", [1, 5, 60, 200])
def test_clips_around_hold_the_frames_of_the_time_grid(num_frames: int) -> None:
    """Frames are numbers here; more centres than frames, neighbours, and one behind the end
    among them."""
    centres = np.array([0, 3, 4, 59, 120, 121, 190])
    around = ClipAssembler.around(centres, GRID.clip_offsets)
    wanted = set(np.maximum(centres[:, None] + GRID.clip_offsets, 0).ravel().tolist()) | {num_frames - 1}
    clips, held = [], 0
    for index in range(num_frames):
        if index in wanted:
            clips += list(around.push(index, torch.tensor(index)))
            held = max(held, len(around.frames))
    clips += list(around.finish(num_frames))
    expected = np.clip(np.maximum(centres[:, None] + GRID.clip_offsets, 0), 0, num_frames - 1)
    assert [[int(frame) for frame in clip] for clip in clips] == expected.tolist()
    assert held <= 40


# ---- released results


def write_released(
    folder: Path, video_id: str, seconds: int, crops: int = 3
) -> dict[str, NDArray[np.float32]]:
    """Write files of 5 s as released; return all rows of the video, head -> (T, crops, classes)."""
    rng = np.random.default_rng(1)
    rows = num_piece_rows(RELEASED_GRID, 0, seconds)
    logits = {
        head: rng.normal(size=(rows, crops, count)).astype(np.float32) for head, count in COUNTS.items()
    }
    folder.mkdir(parents=True, exist_ok=True)
    for start in range(0, seconds, 5):
        first, stop = (num_piece_rows(RELEASED_GRID, 0, time) for time in (start, min(start + 5, seconds)))
        content = {
            f"{head}_class": values[first:stop].reshape(stop - first, -1) for head, values in logits.items()
        }
        torch.save(
            content, folder / f"{video_id}_{1000 * start:07d}_{1000 * min(start + 5, seconds):07d}.pkl"
        )
    return logits


def test_released_results_are_sampled_on_their_grid(tmp_path: Path) -> None:
    logits = write_released(tmp_path, "P01_13", 12)
    sampling = Sampling(RELEASED_GRID, 6, 1.0)
    pieces = find_pieces(class_score_files(tmp_path))
    source = ReleasedSource(pieces, {"P01_13": 12.0}, COUNTS, sampling)
    found = source("P01_13", SEGMENTS)
    times_s = (7 + 8 * np.arange(len(logits["verb"]))) / 60
    expected = sampling.of_rows(logits, times_s, SEGMENTS)
    for head in COUNTS:
        np.testing.assert_allclose(found[head], expected[head], atol=1e-6)
    with pytest.raises(InputError, match="no classification results"):
        source("P01_14", SEGMENTS)


@pytest.mark.parametrize(
    ("duration_s", "gap"),
    [
        (10.15, None),
        (11.0, None),
        (9.9, None),
        (float("nan"), None),
        (11.1, "10-11.1 s"),
        (210.0, "10-210 s"),
    ],
)
def test_a_missing_last_file_is_noticed(tmp_path: Path, duration_s: float, gap: str | None) -> None:
    """Up to a second is nothing: files of less than 0.2 s are not released, and lengths of
    videos differ."""
    write_released(tmp_path, "P01_13", 10)
    pieces = find_pieces(class_score_files(tmp_path))
    source = ReleasedSource(pieces, {"P01_13": duration_s}, COUNTS, Sampling(RELEASED_GRID, 6, 1.0))
    if gap is None:
        assert source("P01_13", SEGMENTS)["verb"].shape == (4, 5)
    else:
        with pytest.raises(
            InputError, match=rf"P01_13_0005000_0010000\.pkl is the last file.*no file for {gap}"
        ):
            source("P01_13", SEGMENTS)


def test_a_file_of_another_number_of_crops_is_refused(tmp_path: Path) -> None:
    write_released(tmp_path / "three", "P01_13", 10)
    write_released(tmp_path / "one", "P01_13", 10, crops=1)
    (tmp_path / "one/P01_13_0005000_0010000.pkl").replace(tmp_path / "three/P01_13_0005000_0010000.pkl")
    pieces = find_pieces(class_score_files(tmp_path / "three"))["P01_13"]
    with pytest.raises(InputError, match=r"P01_13_0005000_0010000\.pkl: rows of shape \(12,\), but \(36,\)"):
        read_class_scores(pieces, RELEASED_GRID, COUNTS)


def test_released_results_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="expected a folder with files <video>_"):
        class_score_files(tmp_path)
    write_released(tmp_path, "P01_13", 12)
    pieces = find_pieces(class_score_files(tmp_path))["P01_13"]
    with pytest.raises(
        InputError, match=r"P01_13_0000000_0005000.pkl: .*'noun_class' whose rows hold 8 classes"
    ):
        read_class_scores(pieces, RELEASED_GRID, {"verb": 5, "noun": 8})
    with pytest.raises(InputError, match="there is no file for 0-5 s"):
        read_class_scores(pieces[1:], RELEASED_GRID, COUNTS)
    rows = {"verb_class": np.zeros((37, 5), np.float32), "noun_class": np.zeros((36, 7), np.float32)}
    torch.save(rows, pieces[0].path)
    with pytest.raises(InputError, match="rows or crops differ between verb and noun"):
        read_class_scores(pieces, RELEASED_GRID, COUNTS)
    torch.save({"verb_class": np.full((37, 5), np.nan), "noun_class": np.zeros((37, 7))}, pieces[0].path)
    with pytest.raises(InputError, match="'verb_class' holds values that are not finite"):
        read_class_scores(pieces, RELEASED_GRID, COUNTS)
