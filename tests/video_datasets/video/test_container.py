"""Opening: with either form of PyAV's function, as a file only, the stream that players show,
within limits."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from video_datasets.video.container import VideoLimits, open_as_file, opened
from video_datasets.video.decoding import probe, read_header
from video_datasets.video.reader import VideoError, stream_frames, stream_grid_frames
from video_datasets.video.search import video_files


def write(path: Path, *codecs: str, format: str | None = None, sound_s: float = 0.0) -> Path:
    """Write streams of 5 * (i + 1) frames each, 32 x 24 px; with sound, the pictures begin
    `sound_s` later."""
    rng = np.random.default_rng(0)  # noise, so that the file is large enough to be recognised
    with av.open(str(path), "w", format=format) as container:
        streams = [container.add_stream(codec, rate=25) for codec in codecs]
        for stream in streams:
            stream.width, stream.height = 32, 24
            stream.pix_fmt = {"mjpeg": "yuvj420p", "gif": "rgb8"}.get(stream.codec_context.name, "yuv420p")
        if sound_s:
            sound = container.add_stream("aac", rate=44100)
            for i in range(100):
                tone = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
                tone.sample_rate, tone.pts = 44100, 1024 * i
                container.mux(sound.encode(tone))
            container.mux(sound.encode())
        for number, stream in enumerate(streams, start=1):
            for i in range(5 * number):
                image = rng.integers(0, 256, (24, 32, 3), np.uint8)
                frame = av.VideoFrame.from_ndarray(image, format="rgb24").reformat(format=stream.pix_fmt)
                frame.pts, frame.time_base = i + round(sound_s * 25), Fraction(1, 25)
                container.mux(stream.encode(frame))
            container.mux(stream.encode())
    return path


def as_in_pyav_18(file: str, *, container_options: dict[str, str], metadata_errors: str) -> Any:
    return av.open(file, container_options=container_options)


def as_in_pyav_19(file: str, *, container_options: dict[str, str]) -> Any:
    return av.open(file, container_options=container_options)


def broken(file: str, **_: object) -> Any:
    raise TypeError("expected bytes")


@pytest.mark.parametrize("opener", [av.open, as_in_pyav_18, as_in_pyav_19])
def test_both_forms_of_open_serve(tmp_path: Path, opener: Callable[..., Any]) -> None:
    with open_as_file(write(tmp_path / "a.mp4", "mpeg4"), opener) as container:
        assert container.streams.video[0].frames == 5
    with pytest.raises(TypeError, match="expected bytes"):
        open_as_file(tmp_path / "a.mp4", broken)


def test_a_mistake_of_the_program_is_no_damage(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", "mpeg4")
    with pytest.raises(AttributeError), opened(path) as (container, _):
        container.no_such_thing  # type: ignore[attr-defined]  # noqa: B018


def test_a_title_that_is_not_utf8_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.mkv"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "caf-e"
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        container.mux(stream.encode(av.VideoFrame(32, 24, "yuv420p")))
        container.mux(stream.encode())
    path.write_bytes(path.read_bytes().replace(b"caf-e", b"caf\xe9e"))
    assert len(list(stream_frames(path))) == 1


@pytest.mark.parametrize("name", ["lecture:1.mp4", "http:x.mp4", "concat:a|b.mp4", "100%d.mp4", "-i.mp4"])
def test_a_name_is_a_name_of_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    shutil.copy(write(tmp_path / "plain.mp4", "mpeg4"), tmp_path / name)
    monkeypatch.chdir(tmp_path)  # FFmpeg would see a protocol only at the beginning
    assert len(list(stream_frames(name))) == 5


@pytest.mark.parametrize(
    "text",
    ["ffconcat version 1.0\nfile one.mp4\n", "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\none.mp4\n"],
    ids=["concat", "playlist"],
)
def test_a_list_of_other_files_is_no_video(tmp_path: Path, text: str) -> None:
    write(tmp_path / "one.mp4", "mpeg4")
    (tmp_path / "list.mp4").write_text(text)
    with pytest.raises(VideoError, match=r"list\.mp4: not a video"):
        list(stream_frames(tmp_path / "list.mp4"))


def test_the_stream_that_players_show_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "two.mkv", "mjpeg", "mpeg4")
    with av.open(str(path)) as container:
        assert [s.codec_context.name for s in container.streams.video] == ["mjpeg", "mpeg4"]
        best = container.streams.best("video")
        assert best is not None
        expected = best.codec_context.name
    info = probe(path)
    assert info.codec == expected
    assert f"of 2 is read ({expected}, 32 x 24), as players do" in info.notes
    assert probe(write(tmp_path / "one.mkv", "mpeg4")).notes == ""


def test_a_thumbnail_in_front_is_passed_over(shared: Path) -> None:
    path = shared / "cases/12_first_stream/thumb2.mp4"
    assert (probe(path).codec, len(list(stream_frames(path)))) == ("h264", 90)


def test_a_picture_that_begins_after_the_sound_is_noted(tmp_path: Path) -> None:
    info = read_header(write(tmp_path / "late.mp4", "mpeg4", sound_s=1.2))
    assert info.start_offset_s == pytest.approx(1.2, abs=0.05)  # the sound begins with its encoder's lead
    assert "its picture begins 1.2" in info.notes
    stream = stream_grid_frames(tmp_path / "late.mp4", 25)
    assert next(iter(stream))[0] == 0  # the rule stays: time 0 is the first picture
    assert read_header(write(tmp_path / "plain.mp4", "mpeg4")).start_offset_s == 0


def test_limits_are_told_and_can_be_raised(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp4", "mpeg4")
    small, short = VideoLimits(max_megapixels=0.0007), VideoLimits(max_hours=0.19 / 3600)
    with pytest.raises(
        VideoError, match=r"frames of 32 x 24 px, more than runtime.video_max_megapixels=0.0007"
    ):
        list(stream_grid_frames(path, 25, limits=small))
    for read in (lambda: read_header(path, short), lambda: list(stream_grid_frames(path, 25, limits=short))):
        with pytest.raises(
            VideoError, match=r"lasts 0.0 hours, more than runtime.video_max_hours=.*; raise it"
        ):
            read()
    assert len(list(stream_grid_frames(path, 25, limits=VideoLimits(max_megapixels=0.001)))) == 5


def test_a_name_that_is_not_utf8_is_told(tmp_path: Path) -> None:
    path = Path(f"{tmp_path}/\udcff.mp4")
    with pytest.raises(
        VideoError, match=r"\\udcff\.mp4: the file's name is not UTF-8; rename the file"
    ) as told:
        probe(path)
    str(told.value).encode()


WRITTEN = {
    "mp4": "mpeg4", "m4v": "mpeg4", "mov": "mpeg4", "3gp": "mpeg4", "mkv": "mpeg4", "webm": "libvpx",
    "avi": "mpeg4", "ts": "mpeg2video", "m2ts": "mpeg2video", "mts": "mpeg2video", "mpg": "mpeg1video",
    "mpeg": "mpeg2video", "vob": "mpeg2video", "flv": "flv1", "wmv": "wmv2", "asf": "wmv1", "ogv": "libtheora",
    "gif": "gif", "nut": "mpeg4",
}  # fmt: skip
FORMAT_OF = {"mts": "mpegts", "m2ts": "mpegts", "mpeg": "mpeg"}


@pytest.mark.parametrize("suffix", WRITTEN)
def test_every_container_is_found_in_folders_and_decodes(tmp_path: Path, suffix: str) -> None:
    if WRITTEN[suffix] not in av.codecs_available:
        pytest.skip(f"PyAV was built without {WRITTEN[suffix]}")
    path = write(tmp_path / f"a.{suffix.upper()}", WRITTEN[suffix], format=FORMAT_OF.get(suffix))
    assert list(video_files(tmp_path)) == [path]
    assert len(list(stream_frames(path))) == 5


def test_what_macos_leaves_beside_files_is_no_video(tmp_path: Path) -> None:
    for name in ("._clip.mp4", "clip.mp4", "._folder/a.mp4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert [path.name for path in video_files(tmp_path)] == ["clip.mp4"]
