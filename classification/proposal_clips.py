"""Features of the clips around chosen frames of a video, from one pass over it, in bounded
memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from feature_extraction.clips import ClipAssembler
from feature_extraction.extractor import Extraction, Extractor, VideoExtraction
from video_datasets.video.decoder_process import DecodeJob
from video_datasets.video.drive import drive_one


def clip_features(
    extractor: Extractor,
    path: Path,
    centres: NDArray[np.int64],
    *,
    min_decoded_share: float,
    time_limit_s: float,
) -> NDArray[np.float32]:
    """Return the features (U, C) of the clips around grid frames (U,) of a video, increasing.

    The video is decoded in a child process while the network works.

    Raises:
        VideoError: if it cannot be decoded.
    """
    offsets = extractor.grid.clip_offsets
    job = DecodeJob(
        video_id=path.stem,
        path=path,
        fps=extractor.grid.fps,
        wanted=np.unique(np.maximum(centres[:, None] + offsets, 0)).tolist(),
        min_decoded_share=min_decoded_share,
    )
    extraction = Extraction(VideoExtraction(extractor, ClipAssembler.around(centres, offsets)))
    return drive_one(job, extraction, time_limit_s=time_limit_s)[0]
