"""Detection with a trained run, from the folder and from Python: the same as the stages, for any
video."""

from __future__ import annotations

import csv
import json
import shutil
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pipeline
from classification.source_table import SOURCES, Parts
from classification.sources import FeatureSource, Sampling
from feature_extraction import FeatureStore
from feature_extraction.store import write_video_features
from pipeline import Detector
from pipeline.detect import main, named_videos
from pipeline.detect_many import own_device
from pipeline.trained_run import open_run
from runtime import item_map
from runtime.errors import InputError
from video_datasets.formats.ek100_submission import read_ek100_json
from video_datasets.formats.submission_json import read_detections_json
from video_datasets.formats.tools.labelling import LabelReading
from video_datasets.formats.tools.table import tool_of
from video_datasets.predictions import Predictions
from video_datasets.video.decoding import VideoError
from video_datasets.video.search import index_video_files

DOCS = Path(__file__).resolve().parents[2] / "docs/detect.md"
ALL = ("--top", "1000", "--min-score", "0")


@pytest.fixture(scope="module")
def detector(tiny_run: Path) -> Detector:
    return Detector(tiny_run, device="cpu")


@pytest.fixture(scope="module")
def a_video(tiny_run: Path, tiny_mini: Path) -> tuple[str, Path]:
    """Id and file of a video that the run's stages have detected in."""
    results = read_results(tiny_run / "classification/detections.json")
    video_id = next(iter(results))
    return video_id, index_video_files(tiny_mini / "videos")[video_id]


def read_results(path: Path) -> dict[str, Any]:
    results: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["results"]
    return results


def test_a_video_of_the_data_set_gets_the_detections_of_the_stages(
    detector: Detector, tiny_run: Path, a_video: tuple[str, Path]
) -> None:
    video_id, path = a_video
    expected = read_results(tiny_run / "classification/detections.json")[video_id]
    found = detector.detect(path)
    # Batches of other videos round differently; equal scores may then change places.
    np.testing.assert_allclose(found.scores, [entry["score"] for entry in expected], rtol=1e-4)
    wanted = {(e["label"], *np.round(e["segment"], 3)) for e in expected}
    got = {
        (label, *np.round(segment, 3)) for label, segment in zip(found.labels, found.segments_s, strict=True)
    }
    assert len(wanted & got) >= 0.98 * len(wanted)
    assert found.codes == found.labels


def test_the_example_of_the_documentation(
    tiny_run: Path, a_video: tuple[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert pipeline.__doc__
    code = textwrap.dedent(pipeline.__doc__.split("\n", 1)[1])
    for written, meant in (("runs/hacs_mini", tiny_run), ("my_video.mp4", a_video[1]), ("0.2)", "0.0)")):
        assert written in code
        code = code.replace(written, str(meant))
    exec(compile(code, "example", "exec"), {})
    assert len(capsys.readouterr().out.splitlines()) == 20
    assert textwrap.indent(textwrap.dedent(pipeline.__doc__.split("\n", 2)[2]), "    ") in DOCS.read_text()


def test_best_keeps_the_highest(detector: Detector, a_video: tuple[str, Path]) -> None:
    found = detector.detect(a_video[1])
    assert len(found) > 5
    least = float(found.scores[3])
    assert (np.diff(found.scores) <= 0).all()
    assert len(found.best(2)) == 2
    kept = found.best(1000, least)
    assert len(kept) == np.count_nonzero(found.scores >= least)
    assert len(kept.labels) == len(kept.segments_s) == len(kept.codes) == len(kept)
    assert len(found.best(10, 2.0)) == 0


def test_nothing_stays_in_the_scratch_folder(detector: Detector, a_video: tuple[str, Path]) -> None:
    detector.detect(a_video[1])
    assert list(Path(detector._scratch.name).iterdir()) == []


def test_progress_is_told(detector: Detector, a_video: tuple[str, Path]) -> None:
    told: list[float] = []
    found = detector.detect(a_video[1], progress=told.append)
    assert told == sorted(told)
    assert told[-1] == pytest.approx(found.duration_s, abs=0.1)


@pytest.mark.slow
def test_all_real_videos(tiny_run: Path, shared: Path, tmp_path: Path) -> None:
    assert main([str(shared / "videos"), "--run", str(tiny_run), "--out", str(tmp_path), *ALL]) == 0
    labels = set(open_run(tiny_run).backbone.labels)
    for name in ("demo", "test", "test_video_structuralize", "GGSY1Qvo990"):
        entries = read_results(tmp_path / f"{name}.json")[name]
        assert entries
        assert {entry["label"] for entry in entries} <= labels


def test_a_folder_with_damaged_videos(
    tiny_run: Path, shared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [str(shared / "videos_bad"), "--run", str(tiny_run), "--out", str(tmp_path), *ALL]
    assert main(words) == 1
    said = capsys.readouterr()
    for name, reason in (
        ("cut_40pct.mp4", "cut or damaged: 21 / 79 frames"),
        ("cut_no_index.mp4", "not a video"),
        ("empty.mp4", "the file is empty"),
        ("html_404.mp4", "not a video"),
        ("sound_only.mp4", "no video stream"),
    ):
        line = next(line for line in said.err.splitlines() if f"{name}: left out" in line)
        assert reason in line
        assert not (tmp_path / f"{Path(name).stem}.json").exists()
    assert "5 of 9 videos left out" in said.err
    for name in ("rotate90", "trim_copy", "two_frames", "vfr_slow"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
        assert read_results(tmp_path / f"{name}.json")[name]
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "empty.mp4" in page
    assert "21 / 79 frames" in page


def test_one_damaged_video_alone(tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.mp4").write_text("<html>404</html>")
    assert main([str(tmp_path / "bad.mp4"), "--run", str(tiny_run), "--out", str(tmp_path / "out")]) == 1
    assert "not a video" in capsys.readouterr().err
    with pytest.raises(VideoError, match="not a video"):
        Detector(tiny_run, device="cpu").detect(tmp_path / "bad.mp4")


def test_files_agree_and_thresholds_hold(
    tiny_run: Path, a_video: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video_id, path = a_video
    words = [str(path), "--run", str(tiny_run), "--out", str(tmp_path), "--min-score", "0", "--top", "3"]
    assert main(words) == 0
    said = capsys.readouterr().out
    entries = read_results(tmp_path / f"{video_id}.json")[video_id]
    read_detections_json(tmp_path / f"{video_id}.json")  # the official form
    rows = list(csv.DictReader((tmp_path / f"{video_id}.csv").open()))
    assert len(entries) == len(rows) == 3
    for entry, row in zip(entries, rows, strict=True):
        assert (row["video"], row["label"]) == (video_id, entry["label"])
        assert float(row["score"]) == pytest.approx(entry["score"], rel=1e-5)
        times_s = [float(row["start_s"]), float(row["end_s"])]
        assert times_s == pytest.approx(entry["segment"], abs=6e-4)
        assert f"{entry['score']:<8.3g} {entry['label']}" in said


def test_nothing_above_the_threshold_is_said(
    tiny_run: Path, a_video: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video_id, path = a_video
    assert main([str(path), "--run", str(tiny_run), "--out", str(tmp_path), "--min-score", "0.99"]) == 0
    said = capsys.readouterr().out
    assert "nothing found with score 0.99 or more; the best is" in said
    assert read_results(tmp_path / f"{video_id}.json") == {video_id: []}
    assert "Nothing was found." in (tmp_path / "index.html").read_text(encoding="utf-8")


def test_a_source_is_never_overwritten(tiny_run: Path, a_video: tuple[str, Path], tmp_path: Path) -> None:
    """Rendering beside the video, and what it left is no source of the next call."""
    source = Path(shutil.copy(a_video[1], tmp_path / "clip.mp4"))
    words = [str(tmp_path), "--run", str(tiny_run), "--out", str(tmp_path), "--render", *ALL]
    assert main(words) == 0
    assert source.read_bytes() == a_video[1].read_bytes()
    assert (tmp_path / "clip_labelled.mp4").stat().st_size > 1000
    assert list(named_videos([tmp_path])) == ["clip"]


@pytest.mark.parametrize("name", ["clip.csv", "clip.json"])
def test_what_a_person_has_beside_the_video_is_kept(
    name: str, tiny_run: Path, a_video: tuple[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copy(a_video[1], tmp_path / "clip.mp4")
    (tmp_path / name).write_text("video,start_s,end_s,label\nclip,0,1,mine\n")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert main([str(tmp_path), "--run", str(tiny_run), "--out", str(tmp_path)]) == 2
    assert capsys.readouterr().err == (
        f"error: {tmp_path / name} is there and was not written by `python -m pipeline.detect`; "
        f"name another folder with --out\n"
    )
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_own_detections_are_replaced_but_not_labels_that_came_since(
    tiny_run: Path, a_video: tuple[str, Path], tmp_path: Path
) -> None:
    words = [str(a_video[1]), "--run", str(tiny_run), "--out", str(tmp_path), *ALL]
    assert main(words) == 0
    assert main(words) == 0
    labels = tmp_path / f"{a_video[0]}.csv"
    labels.write_text("video,start_s,end_s,label,subset\nclip,0,1,mine,training\n")
    assert main(words) == 2
    assert "mine" in labels.read_text()


def test_verbs_and_nouns_in_windows(two_head_run: Path, tiny_mini: Path, tmp_path: Path) -> None:
    path = sorted((tiny_mini / "videos").rglob("*.mp4"))[0]
    words = [str(path), "--run", str(two_head_run), "--out", str(tmp_path), *ALL]
    assert main(words) == 0
    name = path.stem.removeprefix("v_")
    entries = read_results(tmp_path / f"{name}.json")[name]
    read_ek100_json(tmp_path / f"{name}.json")  # the official form
    assert len(entries) % 5 == 0  # five actions a proposal
    rows = list(csv.DictReader((tmp_path / f"{name}.csv").open()))
    for entry, row in zip(entries, rows, strict=True):
        assert (int(row["verb"]), int(row["noun"])) == (entry["verb"], entry["noun"])
        assert entry["action"] == f"{entry['verb']},{entry['noun']}"
        assert row["label"].endswith(f" noun{entry['noun']}")


def test_names_of_videos(tmp_path: Path) -> None:
    for name in ("a/v_x.mp4", "b/x.AVI", "b/deep/y.webm", "b/notes.txt", "a/x_labelled.mp4"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = named_videos([tmp_path, tmp_path / "b/notes.txt", tmp_path / "missing.mp4"])
    assert list(found) == ["x", "y", "x_2", "notes", "missing"]
    (tmp_path / "c").mkdir()
    with pytest.raises(InputError, match="no videos there"):
        named_videos([tmp_path / "c"])
    with pytest.raises(InputError, match=r"missing\.mp4: expected videos or folders, found no such file"):
        named_videos([tmp_path / "missing.mp4"])


def test_runs_that_cannot_be_used(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "x.mp4").touch()
    assert main([str(tmp_path / "x.mp4"), "--run", str(tmp_path / "none")]) == 2
    assert "no such run" in capsys.readouterr().err
    with pytest.raises(InputError, match=r"no config\.yaml; detection needs a run whose finetuning"):
        Detector(tmp_path)


def test_a_stage_redone_under_the_others_is_noticed(tiny_run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_run, copy)
    record = json.loads((copy / "features/stage.json").read_text())
    record["fingerprint"] = "0" * 16
    (copy / "features/stage.json").write_text(json.dumps(record))
    with pytest.raises(InputError, match="stage 'bmn' was made from another 'features'"):
        Detector(copy)


@pytest.mark.parametrize("name", ["finetune/weights.pt", "bmn/weights.pt"])
def test_a_flipped_bit_of_weights_is_noticed(tiny_run: Path, tmp_path: Path, name: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tiny_run, copy)
    content = bytearray((copy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (copy / name).write_bytes(bytes(content))
    with pytest.raises(InputError, match=rf"{name} is not what its stage left"):
        Detector(copy)


def test_verbs_and_nouns_are_those_of_the_stage(two_head_run: Path, tmp_path: Path) -> None:
    """Of every proposal the five best of all 97 x 300 pairs, by the probabilities that the stage
    takes, sorted."""
    run = open_run(two_head_run)
    grid, config = run.head.grid, run.config.classification
    features = np.random.default_rng(0).normal(0, 1, (40, 256)).astype(np.float32)
    times_s = grid.feature_to_seconds(np.arange(40))
    write_video_features(tmp_path, "v", features, times_s, grid, attributes={}, dtype="float32")
    store = FeatureStore(tmp_path)
    segments_s, scores = np.array([[1.0, 3.5], [0.0, 4.0], [2.0, 2.1]]), np.array([0.5, 0.4, 0.1])
    label_video = SOURCES["features"].open(Parts(run.config, run.device, None, store, run.backbone))
    found = label_video(Predictions.of_video("v", segments_s, scores))["action"]
    found = found.rows(np.argsort(-found.score, kind="stable"))
    source = FeatureSource(store, run.backbone.model.head, Sampling.from_config(grid, config))
    probabilities = source("v", segments_s)
    expected = []
    for row, score in enumerate(scores):
        verbs, nouns = (enumerate(probabilities[head][row]) for head in ("verb", "noun"))
        nouns_list = list(nouns)
        pairs = [(score * v * n, f"{i},{j}", row) for i, v in verbs for j, n in nouns_list]
        expected += sorted(pairs, reverse=True)[:5]
    expected.sort(reverse=True)
    assert found.label_names == tuple(code for _, code, _ in expected)
    np.testing.assert_allclose(found.score, [score for score, _, _ in expected], rtol=1e-12)
    np.testing.assert_array_equal(found.segments_s, segments_s[[row for _, _, row in expected]])


def test_detections_for_labelling_tools(tiny_run: Path, a_video: tuple[str, Path], tmp_path: Path) -> None:
    words = ["--run", str(tiny_run), "--out", str(tmp_path), "--min-score", "0", "--top", "7"]
    assert main([str(a_video[1]), *words, "--format", "boris,elan,csv,label-studio"]) == 0
    labels = {}
    for name in ("found_boris.boris", "found_elan", "found_csv.csv", "found_label-studio.json"):
        tool = tool_of(tmp_path / name)
        (video,) = tool.read(tmp_path / name, LabelReading()).videos
        assert video.video_id == a_video[0]
        assert {bout.source for bout in video.bouts} == {tiny_run.name}
        labels[tool.name] = sorted((bout.label, bout.score) for bout in video.bouts)
    assert len(labels["boris"]) == 7
    assert labels["boris"] == labels["elan"] == labels["csv"] == labels["label-studio"]
    project = json.loads((tmp_path / "found_boris.boris").read_text(encoding="utf-8"))
    (file,) = project["observations"][a_video[0]]["file"]["1"]
    assert (tmp_path / file).resolve() == a_video[1].resolve()


def test_an_unknown_tool_is_refused(tiny_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["x.mp4", "--run", str(tiny_run), "--format", "boris,borris"])
    assert "expected some of boris, elan, via" in capsys.readouterr().err


def test_processes_take_devices_in_turn(tmp_path: Path) -> None:
    taken = []
    for _ in range(3):
        own_device.cache_clear()  # as another process
        taken += [own_device(("cuda:0", "cuda:1"), tmp_path / "turns") for _ in range(2)]
    assert taken == ["cuda:0", "cuda:0", "cuda:1", "cuda:1", "cuda:0", "cuda:0"]
    own_device.cache_clear()
    assert own_device(("cpu",), tmp_path / "none") == "cpu"
    assert not (tmp_path / "none").exists()


def test_devices_are_not_shared_out_over_a_cluster(
    tiny_run: Path, tiny_mini: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--run", str(tiny_run), "--out", str(tmp_path), "--device", "cpu,cpu"]
    assert main([str(tiny_mini), *words, "--scheduler", "tcp://127.0.0.1:9"]) == 2
    assert "start a Dask worker for each device" in capsys.readouterr().err


@pytest.mark.slow
def test_two_processes_leave_the_files_of_one(
    tiny_run: Path, tiny_mini: Path, shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(item_map, "HERE_S", 0.0)
    videos = [*sorted((tiny_mini / "videos").rglob("*.mp4"))[:3], shared / "videos_bad" / "cut_40pct.mp4"]
    for name, words in (("one", ["--device", "cpu"]), ("two", ["--device", "cpu,cpu"])):
        options = ["--run", str(tiny_run), "--out", str(tmp_path / name), *ALL, *words]
        assert main([*map(str, videos), *options]) == 1
    one, two = ({path.name: path for path in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert one.keys() == two.keys()
    for name in one:
        if name.endswith((".json", ".csv")):
            assert one[name].read_bytes() == two[name].read_bytes()
