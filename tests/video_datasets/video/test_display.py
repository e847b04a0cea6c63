"""Display matrices against the definition, pixel by pixel, and files that carry all eight of
them."""

from __future__ import annotations

import itertools
import struct
from pathlib import Path

import av
import numpy as np
import pytest

from video_datasets.video.display import AS_STORED, from_matrix
from video_datasets.video.reader import VideoError, probe, read_clip, stream_frames

SIGNS = [(1, 1), (1, -1), (-1, 1), (-1, -1)]
EIGHT = [(a, 0, 0, d) for a, d in SIGNS] + [(0, b, c, 0) for b, c in SIGNS]


def shown_by_definition(image: np.ndarray, a: int, b: int, c: int, d: int) -> np.ndarray:
    """Put every stored pixel (column p, row q) at column a p + c q, row b p + d q, moved to
    begin at 0."""
    places = {
        (b * p + d * q, a * p + c * q): image[q, p]
        for q, p in itertools.product(range(image.shape[0]), range(image.shape[1]))
    }
    top, left = min(row for row, _ in places), min(column for _, column in places)
    size = (max(r for r, _ in places) - top + 1, max(c for _, c in places) - left + 1, 3)
    shown = np.zeros(size, np.uint8)
    for (row, column), pixel in places.items():
        shown[row - top, column - left] = pixel
    return shown


@pytest.mark.parametrize("abcd", EIGHT, ids=str)
@pytest.mark.parametrize("scale", [1 << 16, 3 << 15])
def test_the_eight_are_what_the_definition_says(abcd: tuple[int, int, int, int], scale: int) -> None:
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    a, b, c, d = (scale * element for element in abcd)
    orientation = from_matrix(np.array([a, b, 0, c, d, 0, 0, 0, 1 << 30]))
    np.testing.assert_array_equal(orientation.apply(image), shown_by_definition(image, *abcd))


@pytest.mark.parametrize("degrees", [45, 5, 91])
def test_others_are_refused(degrees: float) -> None:
    cos, sin = (round(65536 * f(np.radians(degrees))) for f in (np.cos, np.sin))
    with pytest.raises(ValueError, match=f"turns by {degrees} degrees; expected quarter turns and mirrors"):
        from_matrix(np.array([cos, sin, 0, -sin, cos, 0, 0, 0, 1 << 30]))
    assert from_matrix(np.zeros(9, np.int32)) == AS_STORED


def with_matrix(path: Path, stored: Path, a: int, b: int, c: int, d: int) -> Path:
    """Copy an MP4 file with another matrix in its track header."""
    content = bytearray(stored.read_bytes())
    first = content.index(b"tkhd") + 4 + 40
    one = 1 << 16
    content[first : first + 36] = struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """Three frames, 48 x 32 px, whose four quarters differ."""
    path = tmp_path / "stored.mp4"
    image = np.zeros((32, 48, 3), np.uint8)
    image[:16, :24], image[:16, 24:], image[16:, :24], image[16:, 24:] = 20, 90, 160, 230
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("abcd", EIGHT, ids=str)
def test_files_are_shown_as_players_do(tmp_path: Path, stored: Path, abcd: tuple[int, int, int, int]) -> None:
    base = [image for _, image in stream_frames(stored)]
    path = with_matrix(tmp_path / "turned.mp4", stored, *abcd)
    found = [image for _, image in stream_frames(path)]
    assert len(found) == len(base) == 3
    for image, before in zip(found, base, strict=True):
        np.testing.assert_array_equal(image, shown_by_definition(before, *abcd))
    assert (probe(path).height, probe(path).width) == found[0].shape[:2]
    np.testing.assert_array_equal(read_clip(path, [1], 25)[0], found[1])


def test_a_file_at_an_angle_is_refused(tmp_path: Path, stored: Path) -> None:
    with pytest.raises(VideoError, match=r"turns by 45 degrees"):
        list(stream_frames(with_matrix(tmp_path / "a.mp4", stored, 1, 1, -1, 1)))


def test_mirrored_files_of_a_phone(shared: Path) -> None:
    folder = shared / "cases/11_mirrored_matrix"
    base = [image for _, image in stream_frames(folder / "flip_base.mp4")]
    mirrored = [image for _, image in stream_frames(folder / "hflip.mp4")]
    np.testing.assert_array_equal(mirrored[3], base[3][:, ::-1])
