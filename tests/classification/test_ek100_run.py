"""The stages on a tiny mini-EK100, and on released files: verbs, nouns and actions from end to
end."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
import torch

from classification.sources import FeatureSource, Sampling
from evaluation.check import main as check
from evaluation.command import main as evaluate_files
from evaluation.pack import main as pack_submission
from feature_extraction import FeatureStore
from feature_extraction.backbone import load_backbone
from feature_extraction.zoo.__main__ import main as zoo
from feature_extraction.zoo.released import num_piece_rows
from runtime.items import Arrays, FinishedItems
from tests.stages import stage_of_run
from video_datasets.formats.ek100 import read_video_info
from video_datasets.formats.ek100_submission import read_ek100_json
from video_datasets.predictions import read_predictions
from video_datasets.time_grid import TimeGrid

CONFIG = str(Path(__file__).resolve().parents[2] / "configs/ek100_mini.yaml")
STAGES = ("classification.finetune", "feature_extraction", "bmn", "proposals", "classification", "evaluation")
SETTINGS = (
    "data.mini=false",
    "model=r2d_mini",
    "finetune.epochs=1",
    "finetune.batch_size=8",
    "finetune.clips_per_segment=1",
    "features.short_side_px=32",
    "bmn.epochs=1",
    "bmn.tscale=16",
    "bmn.dscale=8",
    "classification.source=features",
    "evaluation.timelines=1",
    "runtime.threads=1",
)
SUPERVISION = ("classification.sls_pt", "classification.sls_tl", "classification.sls_td")
RELEASED_GRID = TimeGrid(fps=60, stride_frames=8, convention="centred_on_last", spacing="linspace")
THRESHOLDS = [0.1, 0.2, 0.3, 0.4, 0.5]


@dataclass
class Run:
    """A run folder and its data."""

    folder: Path
    data: Path

    def stage(self, command: str, *more: str) -> int:
        words = ["--config", CONFIG, *SETTINGS, f"data.root={self.data}", f"run_dir={self.folder}", *more]
        return stage_of_run(command, words)

    def skipped(self, stage: str) -> dict[str, str]:
        content: dict[str, str] = json.loads((self.folder / stage / "stage.json").read_text())["skipped"]
        return content

    def metrics(self) -> dict[str, dict[str, dict[str, float]]]:
        content: dict[str, dict[str, dict[str, float]]] = json.loads(
            (self.folder / "metrics.json").read_text()
        )
        return content

    def like(self, folder: Path, *stages: str) -> Run:
        """A run that shares some finished stages."""
        folder.mkdir()
        for stage in stages:
            (folder / stage).symlink_to(self.folder / stage)
        return Run(folder, self.data)


@pytest.fixture(scope="module")
def run(tiny_ek100: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    run = Run(tmp_path_factory.mktemp("ek100_run") / "tiny", tiny_ek100)
    assert [run.stage(command) for command in STAGES] == [0] * len(STAGES)
    return run


def test_submissions_pass_the_official_rules(run: Run, tmp_path: Path) -> None:
    folder = run.folder / "classification"
    for name, subset in (("detections.json", "P02"), ("detections_testing.json", "P03")):
        assert check([str(folder / name), "--protocol", "ek100"]) == 0
        content = json.loads((folder / name).read_text())
        assert {key: content[key] for key in ("version", "challenge")} == {
            "version": "0.2",
            "challenge": "action_detection",
        }
        assert (content["sls_pt"], content["sls_tl"], content["sls_td"]) == (0, 3, 3)
        assert {video_id[:3] for video_id in content["results"]} == {subset}
        assert all(entries for entries in content["results"].values())
    assert pack_submission([str(folder / "detections_testing.json"), "--out", str(tmp_path / "a.zip")]) == 0
    assert ZipFile(tmp_path / "a.zip").namelist() == ["test.json"]


def test_detections_are_those_of_a_plain_recomputation(run: Run) -> None:
    proposals = read_predictions(run.folder / "proposals/proposals.h5")
    detections = read_ek100_json(run.folder / "classification/detections.json")
    head = load_backbone(run.folder / "finetune/weights.pt").model.head
    store = FeatureStore(run.folder / "features")
    source = FeatureSource(store, head, Sampling(TimeGrid(fps=60, stride_frames=8), 6, 1.0))
    for index, video_id in enumerate(detections.videos):
        rows = np.flatnonzero(proposals.video_index == proposals.videos.index(video_id))
        segments_s = np.stack([proposals.start_s[rows], proposals.end_s[rows]], axis=1)
        likely = source(video_id, segments_s)
        expected = []
        for n, row in enumerate(rows):
            verbs = sorted(range(97), key=lambda v: -likely["verb"][n, v])[:10]
            nouns = sorted(range(300), key=lambda m: -likely["noun"][n, m])[:30]
            pairs = [(likely["verb"][n, v] * likely["noun"][n, m], v, m) for v in verbs for m in nouns]
            best = sorted(pairs, key=lambda pair: -pair[0])[:5]
            expected += [(f"{v},{m}", proposals.score[row] * product, row) for product, v, m in best]
        found = np.flatnonzero(detections.video_index == index)
        assert [detections.labels[k] for k in detections.label[found]] == [label for label, _, _ in expected]
        np.testing.assert_allclose(detections.score[found], [score for _, score, _ in expected], rtol=1e-9)
        np.testing.assert_array_equal(
            detections.start_s[found], proposals.start_s[[row for *_, row in expected]]
        )
        np.testing.assert_array_equal(detections.end_s[found], proposals.end_s[[row for *_, row in expected]])


def test_metrics_are_those_of_the_command_on_files(run: Run, tmp_path: Path) -> None:
    truth = ["--ground-truth", str(run.data / "EPIC_100_validation.csv"), "--json", str(tmp_path / "m.json")]
    folder, metrics = run.folder / "classification", run.metrics()
    keys = ("protocol", "tiou_thresholds", "mAP", "average_mAP", "per_class")
    words = ["--protocol", "ek100", "--predictions", str(folder / "detections.json")]
    assert evaluate_files([*truth, *words]) == 0
    expected = json.loads((tmp_path / "m.json").read_text())
    assert metrics["tiou_thresholds"] == pytest.approx(THRESHOLDS)
    assert set(metrics["average_mAP"]) == {"verb", "noun", "action"}
    assert {key: metrics[key] for key in keys} == {key: expected[key] for key in keys}
    words = ["--verb-predictions", str(folder / "verbs.h5"), "--noun-predictions", str(folder / "nouns.h5")]
    assert evaluate_files([*truth, "--protocol", "ek100-separate", *words]) == 0
    expected = json.loads((tmp_path / "m.json").read_text())
    assert set(metrics["separate"]["average_mAP"]) == {"verb", "noun"}
    assert {key: metrics["separate"][key] for key in keys} == {key: expected[key] for key in keys}
    assert 0 < max(metrics["AR"]["average"]) <= 1  # type: ignore[type-var]


def test_separate_files_hold_each_class_of_a_proposal_once(run: Run) -> None:
    proposals = read_predictions(run.folder / "proposals/proposals.h5")
    for name in ("verbs.h5", "nouns.h5"):
        found = read_predictions(run.folder / "classification" / name)
        assert {video_id[:3] for video_id in found.videos} == {"P02"}
        rows = [np.flatnonzero(proposals.video_index == proposals.videos.index(v)) for v in found.videos]
        assert len(found) == 5 * sum(map(len, rows))
        assert all(len(set(five)) == 5 for five in found.label.reshape(-1, 5).tolist())


def test_the_screen_keeps_the_protocols_apart(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.stage("evaluation") == 0
    screen = capsys.readouterr()
    assert "ek100: mAP (%) at tIoU  0.10  0.20  0.30  0.40  0.50  average" in screen.out
    assert "ek100-separate: verb and noun, each by itself; not to be compared" in screen.out
    tables = (run.folder / "evaluation/tables.txt").read_text()
    assert "are in videos of other subsets and left out" in tables
    assert '<section id="timeline">' in (run.folder / "evaluation/report.html").read_text()


def test_a_cut_off_classification_goes_on(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other = run.like(tmp_path / "cut", "finetune", "features", "proposals")
    saved: list[str] = []

    def save_two(self: FinishedItems, item: str, arrays: Arrays) -> None:
        if len(saved) == 2:
            raise KeyboardInterrupt
        saved.append(item)
        save(self, item, arrays)

    save = FinishedItems.save
    monkeypatch.setattr(FinishedItems, "save", save_two)
    assert other.stage("classification") == 130
    assert not (other.folder / "classification/detections.json").exists()
    monkeypatch.setattr(
        FinishedItems, "save", lambda self, item, arrays: (saved.append(item), save(self, item, arrays))
    )
    assert other.stage("classification") == 0
    assert len(saved) == len(set(saved))  # none twice
    for name in ("detections.json", "detections_testing.json"):
        assert (other.folder / "classification" / name).read_bytes() == (
            run.folder / "classification" / name
        ).read_bytes()
    assert not (other.folder / "classification/videos").exists()


def test_clips_of_the_videos_with_a_bad_one(run: Run, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(run.data, data)
    bad, gone, good, _ = sorted(data.rglob("P0[23]_*.MP4"))
    bad.write_text("<html>404</html>")
    gone.unlink()
    other = Run(run.like(tmp_path / "clips", "finetune", "proposals").folder, data)
    words = ("classification.source=clips", "classification.short_side_px=32")
    assert other.stage("classification", *words) == 1
    skipped = other.skipped("classification")
    assert set(skipped) == {bad.stem, gone.stem}
    assert "not a video" in skipped[bad.stem]
    assert skipped[gone.stem] == "video file not found"
    found = read_ek100_json(other.folder / "classification/detections_testing.json")
    assert good.stem in found.videos
    assert read_ek100_json(other.folder / "classification/detections.json").videos == ()
    # The same network, samples and frames: close to what the stored features say.
    stored = read_ek100_json(run.folder / "classification/detections_testing.json")
    assert np.corrcoef(found.score, stored.score)[0, 1] > 0.9
    assert other.stage("classification", *words) == 1  # listed again


def write_pieces(folder: Path, video_id: str, duration_s: float, arrays: dict[str, int] | int) -> None:
    """Write files of random rows as the TAdaConv repository releases them, of 2.5 s instead of 5
    s."""
    folder.mkdir(exist_ok=True)
    generator = torch.Generator().manual_seed(0)
    for start in range(0, int(1000 * duration_s - 200), 2500):  # none of less than 0.2 s
        end = min(start + 2500, int(1000 * duration_s))
        rows = num_piece_rows(RELEASED_GRID, start / 1000, end / 1000)

        def draw(columns: int, rows: int = rows) -> np.ndarray:
            return torch.randn(rows, columns, generator=generator).numpy()

        content = draw(arrays) if isinstance(arrays, int) else {key: draw(n) for key, n in arrays.items()}
        torch.save(content, folder / f"{video_id}_{start:07d}_{end:07d}.pkl")


def write_one_crop(path: Path) -> None:
    start_ms, end_ms = map(int, path.stem.split("_")[-2:])
    rows = num_piece_rows(RELEASED_GRID, start_ms / 1000, end_ms / 1000)
    torch.save({"verb_class": np.zeros((rows, 97)), "noun_class": np.zeros((rows, 300))}, path)


def test_released_features_and_class_scores_without_finetuning(run: Run, tmp_path: Path) -> None:
    infos = read_video_info(run.data / "EPIC_100_video_info.csv")
    for video_id, info in infos.items():
        write_pieces(tmp_path / "features", video_id, info.duration_s, 12)
        if video_id != "P02_02":
            scores = {"verb_class": 3 * 97, "noun_class": 3 * 300}
            write_pieces(tmp_path / "scores", video_id, info.duration_s, scores)
    last = max((tmp_path / "scores").glob("P03_01_*"))
    last.unlink()
    odd = max((tmp_path / "scores").glob("P03_02_*"))
    write_one_crop(odd)
    (tmp_path / "data").mkdir()
    for path in run.data.glob("*.csv"):  # and no videos
        shutil.copy(path, tmp_path / "data")
    store, durations = tmp_path / "ek100.h5", tmp_path / "data/EPIC_100_video_info.csv"
    words = ["--preset", "tadaconv-ek100", "--channels", "12", "--durations", str(durations)]
    assert zoo(["import", str(tmp_path / "features"), "--out", str(store), *words]) == 0
    released = Run(tmp_path / "run", tmp_path / "data")
    words = [
        f"features.store={store}",
        "grid.interval_frames=8",
        "grid.convention=centred_on_last",
        "grid.spacing=linspace",
        "classification.source=scores",
        f"classification.class_scores={tmp_path / 'scores'}",
    ]
    codes = [released.stage(command, *words) for command in STAGES[1:]]
    assert codes == [0, 0, 0, 1, 0]
    skipped = released.skipped("classification")
    assert set(skipped) == {"P02_02", "P03_01", "P03_02"}
    assert skipped["P02_02"] == "no classification results"
    assert "there is no file for 2.5-5.005 s" in skipped["P03_01"]
    assert f"{odd.name}: rows of shape (397,), but (1191,) in" in skipped["P03_02"]
    assert set(released.metrics()["average_mAP"]) == {"verb", "noun", "action"}
    detections = read_ek100_json(released.folder / "classification/detections.json")
    assert detections.videos == ("P02_01",)
    assert {int(label.split(",")[1]) >= 250 for label in detections.labels} == {True, False}


def test_what_cannot_be_done_is_refused(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    other = run.like(tmp_path / "other", "finetune", "features", "proposals")

    def refusal(*words: str) -> str:
        capsys.readouterr()
        assert other.stage("classification", *words) == 2
        return capsys.readouterr().err

    unset = refusal(*(f"{key}=null" for key in SUPERVISION[1:]))
    assert (
        "classification.sls_tl, classification.sls_td not set: a submission to the EPIC-KITCHENS-100" in unset
    )
    assert "classification.sls_pt must be 0 to 5, found 6" in refusal("classification.sls_pt=6")
    assert "found 'feature'; closest: features" in refusal("classification.source=feature")
    assert "source=scores and classification.class_scores belong together" in refusal(
        "classification.source=scores"
    )
    nowhere = (f"classification.class_scores={tmp_path}", "classification.source=scores")
    assert "expected a folder with files <video>_<start ms>" in refusal(*nowhere)


def test_levels_that_are_not_set_stop_it_before_force_removes_anything(run: Run, tmp_path: Path) -> None:
    other = run.like(tmp_path / "other", "finetune", "features", "proposals")
    shutil.copytree(run.folder / "classification", other.folder / "classification")
    assert other.stage("classification", "classification.sls_pt=null", "--force") == 2
    assert (other.folder / "classification/detections.json").is_file()


def test_the_stage_depends_on_what_its_source_reads(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = run.like(tmp_path / "other", "proposals")
    assert other.stage("classification") == 2
    assert "stage 'finetune' must be complete first" in capsys.readouterr().err
    (other.folder / "finetune").symlink_to(run.folder / "finetune")
    assert other.stage("classification") == 2
    assert "stage 'features' must be complete first" in capsys.readouterr().err
    words = ("classification.source=clips", "classification.short_side_px=32")
    assert other.stage("classification", *words) == 0
    assert other.stage("classification", *words[:1], "classification.short_side_px=48") == 2
    assert "config.classification.short_side_px was 32, is now 48" in capsys.readouterr().err
    assert other.stage("classification", *words, "features.min_decoded_share=0.5") == 2
    assert "features.min_decoded_share was 0.9, is now 0.5" in capsys.readouterr().err
