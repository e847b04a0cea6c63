"""Videos with labels burnt in: times and sizes are kept, strips are where they should be."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest

from pipeline.detector import VideoDetections
from pipeline.render import MAX_STRIPS, active, draw_strips, render_video
from video_datasets.video.decoding import VideoError
from video_datasets.video.reader import stream_frames


def detections(*rows: tuple[float, float, str, float]) -> VideoDetections:
    segments = np.array([row[:2] for row in rows], dtype=np.float64).reshape(-1, 2)
    labels = tuple(row[2] for row in rows)
    scores = np.array([row[3] for row in rows])
    return VideoDetections(Path("x.mp4"), 5.0, segments, labels, scores, labels)


@pytest.mark.parametrize("name", ["vfr_slow.mp4", "rotate90.mp4", "trim_copy.mp4"])
def test_frames_keep_times_and_place(shared: Path, tmp_path: Path, name: str) -> None:
    source = shared / "videos_bad" / name
    render_video(source, tmp_path / "out.mp4", detections((0.5, 1.5, "a $label$ <b>", 0.5)))
    before, after = list(stream_frames(source)), list(stream_frames(tmp_path / "out.mp4"))
    assert len(before) == len(after)
    np.testing.assert_allclose([t for t, _ in before], [t for t, _ in after], atol=1e-4)
    for (time_s, old), (_, new) in zip(before, after, strict=True):
        assert new.shape[:2] == tuple(size - size % 2 for size in old.shape[:2])
        difference = np.abs(new.astype(int) - old[: new.shape[0], : new.shape[1]])
        strip = difference[:12, :40].mean()
        assert (strip > 25) == (0.5 <= time_s < 1.5), time_s
        assert difference[new.shape[0] // 2 :].mean() < 12  # below the strip only the encoder's loss


def test_a_class_is_named_once_and_the_best_first() -> None:
    found = detections(
        (0, 2, "a", 0.9), (1, 3, "a", 0.8), (1, 3, "b", 0.7), *((1, 3, f"c{n}", 0.1) for n in range(9))
    )
    assert active(found, 1.5) == [0, 2, 3, 4]
    assert len(active(found, 2.5)) == MAX_STRIPS
    assert active(found, 2.5)[0] == 1
    assert active(found, 3.0) == []


@pytest.mark.parametrize("width", [64, 400])
def test_strips_fit_the_picture(width: int) -> None:
    labels = ["short", "a very long label " * 20, "line\nbreak $x$", "\ud800 half"]
    strips = draw_strips(detections(*((0, 1, label, 0.5) for label in labels)), width, 300)
    for strip in strips:
        assert strip.through.shape[:2] == strip.rgb.shape[:2]
        assert strip.through.shape[1] <= width
        assert 15 <= strip.through.shape[0] <= 45
    assert all(strip.rgb.max() <= 255 for strip in strips)


def test_a_damaged_video_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "bad.mp4").write_text("no video")
    with pytest.raises(VideoError, match="not a video"):
        render_video(tmp_path / "bad.mp4", tmp_path / "out.mp4", detections())
    assert [path.name for path in tmp_path.iterdir()] == ["bad.mp4"]


def test_encodes_h264(shared: Path, tmp_path: Path) -> None:
    render_video(shared / "videos_bad/two_frames.mp4", tmp_path / "out.mp4", detections())
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert container.streams.video[0].codec_context.name == "h264"
