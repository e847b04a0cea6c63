"""The stage `finetune` and its test, from the configs, on tiny data sets laid out as the real
ones."""

from __future__ import annotations

import csv
import json
from fractions import Fraction
from pathlib import Path

import av
import h5py
import numpy as np
import pytest

from classification.finetune.accuracy import rank_all
from feature_extraction.backbone import load_backbone
from pipeline.stages import load_config
from tests.stages import stage_of_run

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
TINY = (
    "model=tada2d_mini",
    "finetune.init_weights=null",
    "finetune.epochs=1",
    "finetune.learning_rate=0.01",
    "finetune.warmup_epochs=0",
    "finetune.batch_size=4",
    "finetune.short_side_px=[32,36]",
    "finetune.crop_px=32",
    "finetune.test_short_side_px=32",
    "runtime.threads=1",
    "runtime.loader_workers=0",
)


def _write_video(path: Path, shade: int, seconds: float = 2.0, fps: int = 12) -> None:
    """A grey video that gets brighter, 48 x 32 pixels."""
    codec = "libvpx" if path.suffix == ".webm" else "libx264"
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        stream.codec_context.time_base = Fraction(1, fps)
        for index in range(round(seconds * fps)):
            image = np.full((32, 48, 3), min(shade + 2 * index, 255), dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")))
        container.mux(stream.encode())


def _kinetics(root: Path) -> Path:
    header = "label,youtube_id,time_start,time_end,split\n"
    for part, count in (("train", 4), ("validate", 2)):
        rows = []
        for index in range(count):
            label = ("abseiling", "zumba")[index % 2]
            rows.append(f"{label},{part}{index},3,13,{part}\n")
            _write_video(root / "videos" / label / f"{part}{index}_000003_000013.mp4", 40 + 120 * (index % 2))
        (root / f"{part}.csv").write_text(header + "".join(rows))
    # One that is annotated but was taken down, and one whose download failed.
    (root / "train.csv").open("a").write("zumba,gone,0,10,train\nzumba,broken,0,10,train\n")
    (root / "videos/zumba/broken_000000_000010.mp4").write_text("<html>404</html>")
    return root


def _ssv2(root: Path) -> Path:
    templates = ("Pulling [something] from left to right", "Pulling [something] from right to left")
    classes = [template.replace("[", "").replace("]", "") for template in templates]
    (root / "labels").mkdir(parents=True)
    (root / "labels/labels.json").write_text(
        json.dumps({name: str(index) for index, name in enumerate(classes)})
    )
    for part, first, count in (("train", 100, 4), ("validation", 200, 2)):
        entries = [{"id": str(first + index), "template": templates[index % 2]} for index in range(count)]
        (root / f"labels/{part}.json").write_text(json.dumps(entries))
        for index in range(count):
            _write_video(root / "videos" / f"{first + index}.webm", 40 + 120 * (index % 2))
    return root


def _ek100(root: Path) -> Path:
    columns = "narration_id,video_id,start_timestamp,stop_timestamp,verb_class,noun_class\n"
    for part, video_id in (("train", "P01_01"), ("validation", "P02_101")):
        rows = [
            f"{video_id}_0,{video_id},00:00:00.00,00:00:01.00,3,12\n",
            f"{video_id}_1,{video_id},00:00:01.00,00:00:02.00,96,299\n",
        ]
        (root).mkdir(parents=True, exist_ok=True)
        (root / f"EPIC_100_{part}.csv").write_text(columns + "".join(rows))
        _write_video(root / video_id[:3] / "videos" / f"{video_id}.MP4", 40)
    infos = "".join(f"{video_id},2.0,12,48x32\n" for video_id in ("P01_01", "P02_101"))
    (root / "EPIC_100_video_info.csv").write_text("video_id,duration,fps,resolution\n" + infos)
    for head, count in (("verb", 97), ("noun", 300)):
        names = "".join(f"{index},{head}-{index}\n" for index in range(count))
        (root / f"EPIC_100_{head}_classes.csv").write_text("id,key\n" + names)
    return root


def _words(config: str, root: Path, *more: str) -> list[str]:
    run_dir = f"run_dir={root.parent / 'run'}"
    return ["--config", str(CONFIGS / config), *TINY, f"data.root={root}", run_dir, *more]


def test_kinetics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = _kinetics(tmp_path / "data")
    words = _words("kinetics400_8x8.yaml", root, "data.annotations=.")
    assert stage_of_run("classification.finetune", words) == 1
    record = json.loads((tmp_path / "run/finetune/stage.json").read_text())
    assert record["skipped"].keys() == {"gone_000000_000010", "broken_000000_000010"}
    backbone = load_backbone(tmp_path / "run/finetune/weights.pt")
    assert backbone.labels == ("abseiling", "zumba")
    assert not (tmp_path / "run/finetune/times").exists()

    capsys.readouterr()
    assert stage_of_run("classification.finetune.test", [*words, "finetune.test_clips=2"]) == 0
    title, header, row = capsys.readouterr().out.splitlines()
    assert title == "2 segments, 2 clips x 3 crops, accuracy in percent"
    assert header.split() == ["top-1", "top-5", "mean", "class"]
    folder = tmp_path / "run/finetune_test_2x3"
    with h5py.File(folder / "logits.h5") as file:
        logits, classes = file["logits/action"][()], file["classes/action"][()]
        labels = list(file["labels/action"].asstr()[()])
        assert list(file["video_id"].asstr()[()]) == ["validate0_000003_000013", "validate1_000003_000013"]
        assert (file.attrs["clips"], file.attrs["crops"]) == (2, 3)
    assert logits.shape == (2, 6, 2)
    assert np.isfinite(logits).all()
    (ranking,) = rank_all({"action": logits}, {"action": classes}, {"action": labels})
    assert row.split() == [
        "action",
        *(f"{100 * share:.2f}" for share in (ranking.top(1), 1.0, ranking.top(1))),
    ]
    # Other views stand beside it; the same again does nothing.
    assert (
        stage_of_run(
            "classification.finetune.test", [*words, "finetune.test_clips=1", "finetune.test_crops=0"]
        )
        == 0
    )
    assert stage_of_run("classification.finetune.test", [*words, "finetune.test_clips=2"]) == 0
    assert "complete, nothing to do (top-1" in capsys.readouterr().err


def test_something_something(tmp_path: Path) -> None:
    words = _words("ssv2_8f.yaml", _ssv2(tmp_path / "data"), "finetune.validate_every_epochs=1")
    assert stage_of_run("classification.finetune", words) == 0
    last = json.loads((tmp_path / "run/finetune/metrics.jsonl").read_text().splitlines()[-1])
    assert last["validation_top5"] == 1.0
    assert stage_of_run("classification.finetune.test", words) == 0
    with h5py.File(tmp_path / "run/finetune_test_2x3/logits.h5") as file:
        assert file["logits/action"].shape == (2, 6, 2)
        assert file.attrs["sampling"] == "segments"


def test_epic_kitchens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = _words("ek100.yaml", _ek100(tmp_path / "data"), "finetune.test_clips=2", "finetune.test_crops=3")
    assert stage_of_run("classification.finetune", words) == 0
    backbone = load_backbone(tmp_path / "run/finetune/weights.pt")
    assert {head: len(labels) for head, labels in backbone.heads.items()} == {"verb": 97, "noun": 300}
    last = json.loads((tmp_path / "run/finetune/metrics.jsonl").read_text().splitlines()[-1])
    assert last["loss"] == pytest.approx(last["verb_loss"] + last["noun_loss"], rel=1e-5)
    assert {"validation_accuracy", "validation_verb_accuracy", "validation_noun_top5"} <= last.keys()
    capsys.readouterr()
    assert stage_of_run("classification.finetune.test", words) == 0
    rows = capsys.readouterr().out.splitlines()[2:]
    assert [" ".join(row.split()[:-3]) for row in rows] == ["verb", "noun", "action", "action, by view"]
    table = list(csv.DictReader((tmp_path / "run/finetune_test_2x3/per_class.csv").read_text().splitlines()))
    actions = [(row["label"], row["count"]) for row in table if row["task"] == "action"]
    assert actions == [("verb-3 noun-12", "1"), ("verb-96 noun-299", "1")]


@pytest.mark.parametrize(
    ("name", "frames", "batch", "rate"),
    [
        ("kinetics400_8x8", range(0, 57, 8), 256, 0.24),
        ("kinetics400_16x5", range(0, 76, 5), 64, 0.12),
        ("ssv2_8f", range(0, 57, 8), 128, 0.48),
        ("ssv2_16f", range(0, 121, 8), 64, 0.24),
    ],
)
def test_the_configs_have_the_papers_values(name: str, frames: range, batch: int, rate: float) -> None:
    config = load_config(CONFIGS / f"{name}.yaml")
    assert config.grid.clip_steps.tolist() == list(frames)
    settings = config.finetune
    assert (settings.optimizer, settings.batch_size, settings.learning_rate) == ("sgd", batch, rate)
    assert (settings.test_clips, settings.test_crops) == ((10, 3) if "kinetics" in name else (2, 3))
    assert config.run_dir == f"runs/{name}"


def test_only_a_finetuned_run_of_the_same_classes_is_tested(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = _kinetics(tmp_path / "data")
    words = _words("kinetics400_8x8.yaml", root, "data.annotations=.", "finetune.test_clips=1")
    assert stage_of_run("classification.finetune.test", words) == 2
    assert "stage 'finetune' must be complete first" in capsys.readouterr().err
    assert stage_of_run("classification.finetune", words) == 1
    for path in root.glob("*.csv"):
        path.write_text(path.read_text().replace("abseiling", "archery"))
    assert stage_of_run("classification.finetune.test", words) == 2
    assert "trained on other classes" in capsys.readouterr().err
