"""SlowFast features through the stages of configs/hacs_slowfast.yaml, at the size of a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from feature_extraction import FeatureStore
from tests.stages import stage_of_run
from video_datasets.mini import MiniSize, ensure_mini

STAGES = ("classification.finetune", "feature_extraction", "bmn")
TINY = (
    "model=slowfast_4x16",
    "finetune.init_weights=null",
    "finetune.epochs=1",
    "finetune.warmup_epochs=0",
    "finetune.batch_size=8",
    "finetune.short_side_px=[32,32]",
    "finetune.crop_px=32",
    "finetune.test_short_side_px=32",
    "features.short_side_px=32",
    "bmn.epochs=1",
    "bmn.warmup_epochs=0",
    "bmn.tscale=16",
    "bmn.dscale=16",
    "runtime.loader_workers=0",
)


def test_slowfast_features_reach_bmn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data, run_dir = tmp_path / "data", tmp_path / "run"
    ensure_mini(data, size=MiniSize(training=2, validation=2, testing=0, duration_s=(2.0, 3.0)))
    monkeypatch.chdir(Path(__file__).resolve().parents[1])
    words = ["--config", "configs/hacs_slowfast.yaml", f"data.root={data}", f"run_dir={run_dir}", *TINY]
    assert [stage_of_run(stage, words) for stage in STAGES] == [0, 0, 0]
    store = FeatureStore(run_dir / "features")
    record = store[next(iter(store))]
    assert record.features.shape[1] == 2304  # 2048 of the slow pathway, 256 of the fast one (paper, Table A3)
    assert (record.grid.clip_frames, record.grid.interval_frames) == (32, 2)
    assert (run_dir / "bmn" / "weights.pt").is_file()
