"""Extraction of sliding-window features: one streaming pass against clip by clip, overlap, and
memory.

1. Streaming (each source frame decoded once) against `get_batch` for every clip, the way most
   extraction scripts work, with the same decoder, scaling and assembling, and a network that costs
   nothing. Clip by clip is measured on every n-th clip and scaled up.
2. With a real network, decoding in its child process: the whole against the larger of decoding and
  network alone.
3. --long: peak memory, parent and decoder together, of an hour of video against a tenth of it.

    python -m benchmarks.extraction                  # 1 and 2, some minutes
    python -m benchmarks.extraction --long           # all three
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.extraction_videos import SIZE, render, repeat
from feature_extraction.backbone import load_network
from feature_extraction.extractor import Extractor, VideoExtraction, extract_video
from tadaconv import optimize_for_inference
from video_datasets.time_grid import TimeGrid
from video_datasets.video.decoder_process import DecodedVideo, DecodeJob
from video_datasets.video.reader import frame_times, read_clip, stream_grid_frames

STYLES = {
    "EK100-style": (TimeGrid(fps=60, stride_frames=8), 224),
    "HACS-style": (TimeGrid(fps=30, stride_frames=16), 128),
}
"""Grid and short side; the videos are rendered at the grid's rate."""
CPU = torch.device("cpu")


class FreeNetwork(nn.Module):
    """Costs nothing; or, given a network, runs it on the first batch only, for its memory."""

    def __init__(self, first: nn.Module | None = None) -> None:
        super().__init__()
        self.first = first

    def forward_features(self, clips_BCTHW: Tensor) -> Tensor:
        """Zeros (B, 2048)."""
        if self.first is not None:
            self.first.forward_features(clips_BCTHW)  # type: ignore[operator]
            self.first = None
        return torch.zeros(len(clips_BCTHW), 2048)


def clock(work: Callable[[], object]) -> tuple[float, float]:
    """Wall and CPU seconds of this process."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def job(path: Path, grid: TimeGrid) -> DecodeJob:
    return DecodeJob(video_id=path.stem, path=path, fps=grid.fps, wanted=grid.may_use)


# ---- 1. streaming against clip by clip


def compare(name: str, path: Path, every: int) -> None:
    """Print the rates of both ways on one video."""
    grid, short_side_px = STYLES[name]
    extractor = Extractor(FreeNetwork(), grid, short_side_px, CPU)
    times = frame_times(path)
    clips = grid.clip_frame_indices(times.n_frames(grid.fps))

    def streaming() -> None:
        extraction = VideoExtraction(extractor)
        stream = stream_grid_frames(path, grid.fps, grid.may_use)
        for index, frame in stream:
            extraction.add(np.array([index]), frame[None])
        assert stream.summary is not None
        assert len(extraction.finish(stream.summary.n_frames)) == len(clips)

    def clip_by_clip() -> None:
        for indices in clips[::every]:
            frames = read_clip(path, indices, grid.fps, times)
            extractor.forward([list(extractor.prepare(frames))])

    child_s, _ = clock(lambda: extract_video(extractor, path))
    stream_s, stream_cpu_s = clock(streaming)
    clips_s, clips_cpu_s = (seconds * len(clips) / len(clips[::every]) for seconds in clock(clip_by_clip))
    frames = len(times.times_s)
    print(
        f"{name}: {frames} frames of {SIZE[0]} x {SIZE[1]} px, stride {grid.stride_frames}, {len(clips)} clips"
    )
    print(f"  clip by clip           {clips_s:8.1f} s  {frames / clips_s:7.1f} frames/s")
    print(f"  streaming, one process {stream_s:8.1f} s  {frames / stream_s:7.1f} frames/s")
    print(f"  streaming, as shipped  {child_s:8.1f} s  {frames / child_s:7.1f} frames/s (decoder in a child)")
    print(
        f"  streaming is {clips_s / child_s:.1f} x as fast as shipped, {clips_s / stream_s:.1f} x in one process "
        f"(by CPU time {clips_cpu_s / stream_cpu_s:.1f} x)",
        flush=True,
    )


# ---- 2. decoding beside the network


def overlap(name: str, path: Path, model: str) -> None:
    """Print decoding alone, network alone, and both."""
    grid, short_side_px = STYLES[name]
    network = optimize_for_inference(load_network(model, None).model)
    extractor = Extractor(network, grid, short_side_px, CPU)
    blocks = list(DecodedVideo(job(path, grid)))
    n_clips = grid.num_features(frame_times(path).n_frames(grid.fps))
    frame = next(iter(extractor.prepare(blocks[0][1])))
    batch = [[frame] * grid.clip_frames]
    extractor.forward(batch)

    def network_alone() -> None:
        size = extractor.batch_clips(frame)
        for first in range(0, n_clips, size):
            extractor.forward(batch * min(size, n_clips - first))

    decode_s, _ = clock(lambda: list(DecodedVideo(job(path, grid))))
    network_s, _ = clock(network_alone)
    both_s, _ = clock(lambda: extract_video(extractor, path))
    print(f"{name} with {model}: {n_clips} clips")
    print(f"  decoding alone {decode_s:.2f} s, network alone {network_s:.2f} s, both {both_s:.2f} s")
    print(f"  that is {both_s / max(decode_s, network_s):.2f} x the larger of the two", flush=True)


# ---- 3. memory


def peak_memory_mb(path: Path, name: str, model: str) -> float:
    """Peak memory of this process and its decoder while the features of a video are made.

    The network runs on the first batch, which is when it needs most; after that it costs nothing.
    """
    grid, short_side_px = STYLES[name]
    network = FreeNetwork(optimize_for_inference(load_network(model, None).model))
    extraction = VideoExtraction(Extractor(network, grid, short_side_px, CPU))
    decoded = DecodedVideo(job(path, grid))
    decoder_mb = 0.0
    for indices, frames in decoded:
        extraction.add(indices, frames)
        with contextlib.suppress(FileNotFoundError, IndexError):  # it may have ended
            status = Path(f"/proc/{decoded.pid}/status").read_text()
            decoder_mb = float(status.split("VmHWM:")[1].split()[0]) / 1e3
    assert decoded.summary is not None
    features = extraction.finish(decoded.summary.n_frames)
    own_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    print(
        f"  {decoded.summary.duration_s / 60:.0f} min: {len(features)} features, "
        f"{own_mb:.0f} MB + decoder {decoder_mb:.0f} MB",
        flush=True,
    )
    return own_mb + decoder_mb


def main() -> None:
    """Run the measurements."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.extraction",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=120, help="length of the videos of part 1 (120)")
    parser.add_argument("--every", type=int, default=20, help="measure every n-th clip of clip by clip (20)")
    parser.add_argument(
        "--models", nargs="*", default=["tada2d_r50", "tada2d_mini"], help="networks of part 2"
    )
    parser.add_argument("--threads", type=int, default=0, help="of torch (all cores)")
    parser.add_argument("--long", action="store_true", help="also measure memory over an hour of video")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        for name, (grid, _) in STYLES.items():
            video = Path(folder) / f"{name}.mp4"
            print(f"rendering {name} video ...", file=sys.stderr, flush=True)
            compare(name, render(video, fps=int(grid.fps), duration_s=arguments.seconds), arguments.every)
        piece = render(Path(folder) / "piece.mp4", fps=30, duration_s=12)
        for model in arguments.models:
            overlap("HACS-style", piece, model)
        if arguments.long:
            print("peak memory, EK100-style features with tada2d_r50:")
            minute = render(Path(folder) / "minute.mp4", fps=30, duration_s=60)
            short, long = (
                peak_memory_mb(repeat(minute, Path(folder) / f"{n}.mp4", n), "EK100-style", "tada2d_r50")
                for n in (6, 60)
            )
            print(f"  ten times as long: {long - short:+.0f} MB")


if __name__ == "__main__":
    main()
