"""The command that converts labels and detections between tools: told by content, listed,
merged, exit codes."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest

from video_datasets.convert import main
from video_datasets.dataset import load_dataset
from video_datasets.formats.tools.table import WRITERS
from video_datasets.settings import DataConfig

LABELS = (
    "video,start_s,end_s,label,subset\na,0.4,1.2,run,training\na,0.8,1.6,sit,training\nb,0,1,run,validation\n"
)
DETECTIONS = {
    "results": {
        "a": [
            {"label": "run", "score": 0.9, "segment": [0.4, 1.2]},
            {"label": "sit", "score": 0.4, "segment": [0.8, 1.6]},
            {"label": "sit", "score": 0.1, "segment": [0.0, 0.4]},
        ]
    },
    "external_data": {"run": "own"},
}


def video(path: Path, *, frames: int = 50, gap_at: int | None = None) -> None:
    """A grey video at 25 frames a second; a second is missing at `gap_at`."""
    path.parent.mkdir(exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), number, np.uint8), format="rgb24")
            frame.pts = number + (25 if gap_at is not None and number >= gap_at else 0)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "labels.csv").write_text(LABELS)
    (tmp_path / "found.json").write_text(json.dumps(DETECTIONS))
    for name in "ab":
        video(tmp_path / "videos" / f"{name}.mp4")
    return tmp_path


@pytest.mark.parametrize("to", WRITERS)
def test_there_and_back(to: str, folder: Path) -> None:
    out, again = folder / "out", folder / "again.csv"
    videos = ["--videos", str(folder / "videos")]
    assert main([str(folder / "labels.csv"), "--to", to, "--out", str(out), *videos]) == 0
    assert main([str(out), "--to", "csv", "--out", str(again), *videos]) == 0
    rows = [line.split(",")[:4] for line in again.read_text().splitlines()[1:]]
    expected = [line.split(",")[:4] for line in LABELS.splitlines()[1:]]
    assert [(v, float(s), float(e), name) for v, s, e, name in sorted(rows)] == [
        (v, float(s), float(e), name) for v, s, e, name in expected
    ]


def test_detections_by_score_and_number(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = folder / "out.csv"
    assert (
        main(
            [str(folder / "found.json"), "--to", "csv", "--out", str(out), "--min-score", "0.2", "--top", "9"]
        )
        == 0
    )
    assert out.read_text().splitlines()[1:] == [
        "a,0.4,1.2,run,training,own,0.9",
        "a,0.8,1.6,sit,training,own,0.4",
    ]
    assert main([str(folder / "found.json"), "--to", "csv", "--out", str(out), "--top", "1"]) == 0
    assert len(out.read_text().splitlines()) == 2


@pytest.mark.parametrize("tool", ["boris", "elan", "via", "label-studio", "fiftyone", "csv"])
def test_correct_and_merge(tool: str, folder: Path) -> None:
    exported, out = folder / "exported", folder / "corrected.csv"
    common = ["--videos", str(folder / "videos")]
    assert main([str(folder / "found.json"), "--to", tool, "--out", str(exported), *common]) == 0
    # a person deletes the second and adds one: by way of CSV, as no tool runs here
    assert main([str(exported), "--to", "csv", "--out", str(folder / "e.csv"), *common]) == 0
    lines = [line for line in (folder / "e.csv").read_text().splitlines() if "0.1" not in line.split(",")[-1]]
    columns = dict(
        zip(lines[0].split(","), ["a", "1.7", "1.9", "jump", "training", "", "", ""], strict=False)
    )
    (folder / "e.csv").write_text(
        "\n".join([*lines, ",".join(columns[name] for name in lines[0].split(","))]) + "\n"
    )
    assert main([str(folder / "e.csv"), "--to", tool, "--out", str(folder / "edited"), *common]) == 0
    command = [
        str(folder / "edited"),
        "--merge",
        str(folder / "found.json"),
        "--to",
        "csv",
        "--out",
        str(out),
    ]
    assert main([*command, *common]) == 0
    assert [line.split(",")[3:] for line in out.read_text().splitlines()] == [
        ["label", "subset", "source", "score"],
        ["run", "training", "own", "0.9"],
        ["sit", "training", "own", "0.4"],
        ["jump", "training", "person", ""],
    ]


def test_what_is_left_out_is_listed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "bad.csv").write_text("video,start_s,end_s,label\na,2,1,run\na,0,1,run\n")
    assert main([str(folder / "bad.csv"), "--to", "elan", "--out", str(folder / "a.eaf")]) == 1
    assert "'run' at 2-1 s left out: expected a label and 0 <= start < end" in capsys.readouterr().err


def test_a_variable_frame_rate_is_warned_of(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    video(folder / "odd" / "a.mkv", gap_at=20)
    command = [str(folder / "found.json"), "--to", "feral", "--out", str(folder / "f.json")]
    assert main([*command, "--videos", str(folder / "odd")]) == 0
    assert "video 'a': variable frame rate" in capsys.readouterr().err
    assert len(json.loads((folder / "f.json").read_text())["labels"]["a.mkv"]) == 50


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing.csv", "--to", "csv", "--out", "o.csv"], "nothing.csv: no such file"),
        (
            ["labels.csv", "--to", "label-studio", "--out", "o.json"],
            "frames are counted, and nothing tells their rate",
        ),
        (["labels.csv", "--to", "elan", "--out", "o.eaf"], "an .eaf file holds one video, found 2"),
        (
            ["labels.csv", "--to", "csv", "--out", "o.csv", "--videos", "labels.csv"],
            "--videos: expected a folder",
        ),
        (["labels.csv", "--to", "csv", "--out", "o.csv", "--fps", "-1"], "--fps: expected a rate above 0"),
        (["labels.csv", "--to", "csv", "--out", "./labels.csv"], "labels.csv: is an input of this command"),
        (["labels.csv", "--from", "boris", "--to", "csv", "--out", "o.csv"], "labels.csv: expected JSON"),
    ],
)
def test_refusals(
    arguments: list[str],
    message: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(folder)
    assert main(arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("tool", [name for name in WRITERS if name not in ("activitynet", "csv")])
def test_a_data_set_in_a_tools_format(tool: str, folder: Path) -> None:
    out = folder / "labels.tool"
    videos = ["--videos", str(folder / "videos")]
    assert main([str(folder / "labels.csv"), "--to", tool, "--out", str(out), *videos]) == 0
    config = DataConfig(root=str(folder), videos="videos", format=tool, annotations=out.name, mini=False)
    dataset = load_dataset(config)
    assert dataset.labels == ("run", "sit")
    assert dataset.videos["a"].path == folder / "videos" / "a.mp4"
    assert [(s.start_s, s.end_s, s.label) for s in dataset.videos["a"].segments] == [
        (pytest.approx(0.4), pytest.approx(1.2), "run"),
        (pytest.approx(0.8), pytest.approx(1.6), "sit"),
    ]


def test_videos_that_a_person_took_out_are_listed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    header = "video,start_s,end_s,label,score\n"
    (tmp_path / "found.csv").write_text(f"{header}a,1,2,run,0.5\nb,1,2,run,0.5\nb,3,4,run,0.5\n")
    (tmp_path / "corrected.csv").write_text(f"{header}a,1,2,run,0.5\n")
    words = [str(tmp_path / "corrected.csv"), "--merge", str(tmp_path / "found.csv"), "--to", "csv"]
    assert main([*words, "--out", str(tmp_path / "o.csv")]) == 0
    assert "video 'b': not in the corrected file, all 2 of the model's gone" in capsys.readouterr().err


@pytest.mark.parametrize("tool", ["via", "fiftyone"])
def test_subsets_without_a_place_are_listed(
    tool: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "l.csv").write_text(
        "video,start_s,end_s,label,subset\na,1,2,run,training\nb,1,2,run,validation\n"
    )
    assert main([str(tmp_path / "l.csv"), "--to", tool, "--out", str(tmp_path / "out")]) == 0
    assert (
        "no place for subsets (validation): read again, all videos are for training"
        in capsys.readouterr().err
    )


def test_videos_of_a_tool_without_subsets_are_set_aside(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = "".join(f"{name},0,1,run\n" for name in "abcd")
    (folder / "all.csv").write_text("video,start_s,end_s,label\n" + rows)
    via, out = folder / "via.json", folder / "split.csv"
    assert main([str(folder / "all.csv"), "--to", "via", "--out", str(via)]) == 0
    assert main([str(via), "--validation", "0.25", "--to", "csv", "--out", str(out)]) == 0
    assert "1 of 4 videos are for validation" in capsys.readouterr().err
    config = DataConfig(root=str(folder), format="csv", annotations="split.csv")
    assert [len(list(load_dataset(config).subset(name))) for name in ("training", "validation")] == [3, 1]
    assert main([str(out), "--validation", "0.25", "--to", "csv", "--out", str(via)]) == 2
    assert "expected videos of no subset, found 'validation'" in capsys.readouterr().err
