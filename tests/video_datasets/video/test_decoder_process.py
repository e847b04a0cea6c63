"""Decoder children: the same frames as in-process decoding; what happens when they or their
parent die."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest

from video_datasets.time_grid import TimeGrid
from video_datasets.video.decoder_process import (
    DecodedVideo,
    DecodeJob,
    DecoderFaultError,
    decode_interleaved,
)
from video_datasets.video.reader import StreamSummary, VideoError, stream_grid_frames

ROOT = Path(__file__).resolve().parents[3]
GRID = TimeGrid(fps=30, stride_frames=8)


def render(path: Path, n_frames: int = 60, size: tuple[int, int] = (320, 240)) -> Path:
    rng = np.random.default_rng(n_frames)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=30)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for _ in range(n_frames):
            image = np.full((size[1], size[0], 3), rng.integers(0, 256, 3), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return render(tmp_path_factory.mktemp("videos") / "video.mp4")


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """More frames than all slots hold, so that the child waits for its parent."""
    return render(tmp_path_factory.mktemp("videos") / "long.mp4", 400)


def job(path: Path, wanted: Callable[[int], object] | None = None) -> DecodeJob:
    return DecodeJob(video_id=path.stem, path=path, fps=30, wanted=wanted)  # type: ignore[arg-type]


def gone_within(pid: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("wanted", [None, GRID.may_use, [3, 40]])
def test_blocks_hold_the_frames_of_the_stream(video: Path, wanted) -> None:
    decoded = DecodedVideo(job(video, wanted))
    blocks = list(decoded)
    expected = stream_grid_frames(video, 30, wanted)
    indices, frames = zip(*expected, strict=True)
    assert np.concatenate([i for i, _ in blocks]).tolist() == list(indices)
    np.testing.assert_array_equal(np.concatenate([f for _, f in blocks]), np.stack(frames))
    assert decoded.summary is not None
    assert decoded.summary.n_frames == 60
    assert decoded.summary.frames_decoded == 60
    assert decoded.pid is not None
    assert gone_within(decoded.pid, 5)


def test_a_block_stays_small(video: Path) -> None:
    sizes = [frames.nbytes for _, frames in DecodedVideo(job(video))]
    assert sum(sizes) == 60 * 320 * 240 * 3
    assert max(sizes) < 5e6


def test_slots_are_not_written_over_before_they_are_given_back(long_video: Path) -> None:
    expected = stream_grid_frames(long_video, 30)
    sums = []
    for _, message in decode_interleaved([job(long_video)], workers=1):
        if isinstance(message, tuple):
            time.sleep(0.02)  # in which the child would write on
            sums += message[1].sum(axis=(1, 2, 3), dtype=int).tolist()
    assert sums == [int(frame.sum(dtype=int)) for _, frame in expected]


def mapped_frames() -> set[str]:
    """The frames that this process sees, which may be some of earlier tests."""
    lines = Path("/proc/self/maps").read_text().splitlines()
    return {line for line in lines if line.endswith("frames (deleted)")}


@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="where there is memory without a name")
def test_frames_lie_in_memory_without_a_name_of_which_nothing_stays(long_video: Path) -> None:
    before = mapped_frames()
    with DecodedVideo(job(long_video)) as decoded:
        blocks = iter(decoded)
        next(blocks)
        new = mapped_frames() - before
        assert len(new) == 1
        assert new.pop().endswith("/memfd:frames (deleted)")  # not in /dev/shm, which may be small
        blocks.close()  # type: ignore[attr-defined]
    assert not mapped_frames() - before


def test_a_bad_file_brings_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "page.mp4"
    path.write_text("<html>404</html>")
    with pytest.raises(VideoError, match=r"page\.mp4: not a video") as caught:
        list(DecodedVideo(job(path)))
    assert caught.value.path == path


def test_a_crash_costs_one_video(video: Path) -> None:
    # Asked whether it wants frame k, raise_signal sends signal k; 1 (SIGHUP) is the first that
    # kills.
    with pytest.raises(VideoError, match="the decoder was killed by SIGHUP"):
        list(DecodedVideo(job(video, signal.raise_signal)))


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
def test_a_child_killed_while_it_waits_for_its_parent_costs_one_video(long_video: Path) -> None:
    decoded = DecodedVideo(job(long_video))
    assert decoded.connection.poll(30)
    assert decoded.pid is not None
    os.kill(decoded.pid, signal.SIGKILL)
    with pytest.raises(VideoError, match="the decoder was killed by SIGKILL"):
        list(decoded)


def test_a_mistake_of_the_program_is_not_the_videos_fault(video: Path) -> None:
    with pytest.raises(DecoderFaultError, match=r"the decoder failed:\n(.*\n)*TypeError"):
        list(DecodedVideo(job(video, "x".join)))


def test_a_hanging_decoder_is_ended(video: Path) -> None:
    decoded = DecodedVideo(job(video, time.sleep), time_limit_s=0.7)  # sleeps 0, 1, 2, ... s
    began = time.monotonic()
    with pytest.raises(VideoError, match=r"no frame within 0\.7 s, the decoder hangs"):
        list(decoded)
    assert time.monotonic() - began < 3
    assert decoded.pid is not None
    assert gone_within(decoded.pid, 1)


def test_a_slow_consumer_is_no_hang(video: Path) -> None:
    decoded = DecodedVideo(job(video), time_limit_s=1.0)
    for i, _ in enumerate(decoded):
        time.sleep(1.2 if i == 0 else 0)
    assert decoded.summary is not None


def test_breaking_off_ends_the_child(video: Path) -> None:
    with DecodedVideo(job(video)) as decoded:
        next(iter(decoded))
    assert decoded.pid is not None
    assert gone_within(decoded.pid, 1)


def test_interleaved_videos_are_whole_each(video: Path, tmp_path: Path) -> None:
    other = render(tmp_path / "other.mp4", 45)
    jobs = [job(video), job(other), job(tmp_path / "missing.mp4"), job(video, signal.raise_signal)]
    got: dict[int, list[object]] = {id(j): [] for j in jobs}
    for of, message in decode_interleaved(jobs, workers=3):
        got[id(of)].append(message)
    for which, n_frames in ((jobs[0], 60), (jobs[1], 45)):
        *blocks, summary = got[id(which)]
        assert isinstance(summary, StreamSummary)
        assert np.concatenate([block[0] for block in blocks]).tolist() == list(range(n_frames))  # type: ignore[index]
    reasons = [got[id(which)][-1].reason for which in jobs[2:]]  # type: ignore[attr-defined]
    assert reasons == ["no such file", "the decoder was killed by SIGHUP"]


def test_a_hang_among_interleaved_videos(video: Path) -> None:
    jobs = [job(video, time.sleep), job(video)]
    last = {id(of): message for of, message in decode_interleaved(jobs, workers=2, time_limit_s=0.7)}
    assert isinstance(last[id(jobs[0])], VideoError)
    assert isinstance(last[id(jobs[1])], StreamSummary)


def start_script(tmp_path: Path, video: Path, body: str) -> subprocess.Popen[str]:
    """Run a script without `__main__` guard that starts decoding a video."""
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
            import time
            from pathlib import Path
            from video_datasets.video.decoder_process import DecodedVideo, DecodeJob
            print("started", flush=True)
            def decoded(wanted=None, time_limit_s=60):
                job = DecodeJob(video_id="v", path=Path({str(video)!r}), fps=30, wanted=wanted)
                return DecodedVideo(job, time_limit_s=time_limit_s)
        """)
        + textwrap.dedent(body)
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, str(script)], env=environment, cwd=tmp_path, stdout=subprocess.PIPE, text=True
    )


def test_a_script_without_guard_is_not_run_again(tmp_path: Path, video: Path) -> None:
    script = start_script(tmp_path, video, "print(sum(len(i) for i, _ in decoded()))")
    assert script.communicate(timeout=60)[0].split() == ["started", "60"]


@pytest.mark.parametrize(
    "waiting",
    [
        "child = decoded()",  # for the parent to read
        "child = decoded(time.sleep, 1)",  # for a decoder that hangs
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
def test_children_of_a_killed_parent_end(tmp_path: Path, long_video: Path, waiting: str) -> None:
    script = start_script(
        tmp_path,
        long_video,
        f"{waiting}\nchild.connection.poll(1)\nprint(child.pid, flush=True)\ntime.sleep(60)",
    )
    assert script.stdout is not None
    assert script.stdout.readline() == "started\n"
    pid = int(script.stdout.readline())
    os.kill(pid, 0)  # alive
    script.kill()
    script.wait()
    script.stdout.close()
    assert gone_within(pid, 5)


@pytest.mark.skipif(not Path("/proc").exists(), reason="finds the server through /proc")
def test_decoding_goes_on_when_decoders_and_their_server_are_killed(long_video: Path) -> None:
    decoded = DecodedVideo(job(long_video))
    parent = int(Path(f"/proc/{decoded.pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    assert parent != os.getpid()
    for pid in (parent, decoded.pid):
        os.kill(pid or 0, signal.SIGKILL)
    with pytest.raises(VideoError, match=r"the decoder (was killed|ended without a result)"):
        list(decoded)
    assert sum(len(frames) for _, frames in DecodedVideo(job(long_video))) > 0
