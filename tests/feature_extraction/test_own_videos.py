"""The command over a folder of videos: what it makes, says, goes on with, and refuses."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest

from feature_extraction import FeatureStore
from feature_extraction.__main__ import main
from feature_extraction.outcome import Outcome
from feature_extraction.own_videos import OwnVideos, find_videos
from runtime.errors import InputError


@pytest.fixture
def videos(tiny_mini: Path, tmp_path: Path) -> Path:
    """Two good videos (one in a sub-folder), a web page, and a second one of the same name."""
    folder = tmp_path / "videos"
    (folder / "sub").mkdir(parents=True)
    first, second = sorted((tiny_mini / "videos").rglob("*.mp4"))[:2]
    shutil.copy(first, folder / "one.mp4")
    shutil.copy(second, folder / "sub" / "two.mp4")
    shutil.copy(second, folder / "sub" / "one.mp4")
    (folder / "page.mp4").write_text("<html>404</html>")
    (folder / "notes.txt").write_text("no video")
    return folder


def call(videos: Path, out: Path, *words: str) -> int:
    common = ["--videos", str(videos), "--model", "tada2d_mini", "--out", str(out), "--short-side", "32"]
    return main([*common, "--threads", "1", "--device", "cpu", *words])


def test_a_folder_becomes_a_store(videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out.h5"
    assert call(videos, out) == 1
    said = capsys.readouterr().err
    assert "WARNING: no --weights: tada2d_mini has RANDOM weights" in said
    assert "left out: page: not a video, or damaged beyond reading" in said
    assert "left out: sub/one.mp4: has the id 'one' of one.mp4; rename one" in said
    store = FeatureStore(out)
    assert list(store) == ["one", "two"]
    info = store.info("one")
    content = (videos / "one.mp4").read_bytes()
    assert info.shape == (len(store["one"].times), 256)
    assert info.dtype == "float16"
    expected = {
        "weights": "random",
        "crops": "whole",
        "precision": "float32",
        "short_side_px": 32,
        "source": "one.mp4",
        "source_bytes": len(content),
        "source_ends_sha256": hashlib.sha256(content).hexdigest(),
        "frames_promised": info.attributes["frames_decoded"],
    }
    assert {name: info.attributes[name] for name in expected} == expected
    assert info.attributes["decoder"].startswith("PyAV ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.h5", "videos"]


def test_again_only_what_is_new_or_changed_is_extracted(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.h5"
    call(videos, out)
    (videos / "sub" / "one.mp4").rename(videos / "three.mp4")
    (videos / "page.mp4").unlink()
    shutil.copy(videos / "three.mp4", videos / "one.mp4")  # another size than before
    before = FeatureStore(out)["two"].features
    capsys.readouterr()
    assert call(videos, out) == 0
    assert "3 asked for, 1 finished, 2 to extract" in capsys.readouterr().err
    store = FeatureStore(out)
    assert list(store) == ["one", "three", "two"]
    np.testing.assert_array_equal(store["one"].features, store["three"].features)
    np.testing.assert_array_equal(store["two"].features, before)
    assert call(videos, out) == 0
    assert "complete, nothing to do (3 videos)" in capsys.readouterr().err


def test_cut_off_before_merging_it_is_merged_by_the_next_attempt(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out.h5"
    (videos / "page.mp4").unlink()
    (videos / "sub" / "one.mp4").unlink()
    with monkeypatch.context() as patch:
        patch.setattr("feature_extraction.own_videos.merge_parts", lambda *_, **__: 1 / 0)
        assert call(videos, out) == 3
    assert not out.exists()
    assert call(videos, out) == 0
    assert list(FeatureStore(out)) == ["one", "two"]
    assert not (tmp_path / "out.h5.parts").exists()


def test_other_settings_are_refused_unless_forced(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.h5"
    call(videos, out)
    assert call(videos, out, "--crops", "three", "--stride", "8") == 2
    said = capsys.readouterr().err
    assert (
        "extracted with other settings: crops was whole, is now three; stride_frames was 16, is now 8; give"
        in said
    )
    assert call(videos, out, "--crops", "three", "--stride", "8", "--force") == 1
    assert FeatureStore(out).info("one").shape[1] == 3 * 256


def test_a_dry_run_only_talks(videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call(videos, tmp_path / "out.h5", "--dry-run", "--protocol", "ek100") == 1
    printed = capsys.readouterr().out
    assert "videos      3 asked for, 0 finished, 2 to extract, 0 missing, 1 unreadable" in printed
    assert "unreadable: page (not a video, or damaged beyond reading; fetch it again)" in printed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.h5.parts", "videos"]
    assert [path.name for path in (tmp_path / "out.h5.parts").iterdir()] == ["headers.json"]


def test_the_protocols_are_the_papers(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[OwnVideos] = []
    monkeypatch.setattr(
        "feature_extraction.own_videos.extract_own_videos", lambda what, **_: asked.append(what) or 0
    )
    for words in ("", "--protocol ek100", "--protocol ek100 --short-side 256 --fps 50"):
        main(f"--videos v --model m --out o.h5 {words}".split())
    found = [(a.grid.fps, a.grid.stride_frames, a.grid.clip_frames, a.features.short_side_px) for a in asked]
    assert found == [(30, 16, 8, 128), (60, 8, 8, 224), (50, 8, 8, 256)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--model", "tada3d"], "no network named 'tada3d'"),
        (["--weights", "gone.pyth"], "gone.pyth: there is no such weights file"),
        (["--workers", "0"], "runtime.workers must be at least 1, found 0"),
        (["--clip-frames", "0"], "grid.clip_frames must be a whole number of frames, 1 to 4096, found 0"),
        (["--device", "tpu"], "runtime.device: expected auto, cpu or cuda"),
    ],
)
def test_bad_words_are_refused(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert call(videos, tmp_path / "out.h5", *words) == 2
    assert message in capsys.readouterr().err


def test_words_that_do_not_go_together(capsys: pytest.CaptureFixture[str]) -> None:
    for words, message in (
        ([], "expected either --config FILE or --videos DIR"),
        (["--videos", "v"], "--videos needs --model and --out, too"),
        (["--videos", "v", "--model", "m", "--out", "o", "grid.fps=3"], "key=value belongs to --config"),
    ):
        with pytest.raises(SystemExit, match="2"):
            main(words)
        assert message in capsys.readouterr().err


def test_without_any_feature_there_is_no_file(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (videos / "one.mp4", videos / "sub" / "one.mp4", videos / "sub" / "two.mp4"):
        path.unlink()
    assert call(videos, tmp_path / "out.h5") == 2
    assert "none of the 1 videos gave features: page: not a video" in capsys.readouterr().err
    assert not (tmp_path / "out.h5").exists()
    with pytest.raises(InputError, match="no such folder; expected a folder of videos"):
        find_videos(tmp_path / "nowhere")


def test_ids_must_be_usable(videos: Path) -> None:
    shutil.copy(videos / "one.mp4", videos / "features.mp4")
    shutil.copy(videos / "one.mp4", videos / "v_abc.mp4")
    found, problems = find_videos(videos)
    assert found.keys() == {"one", "two", "page", "abc"}
    assert problems["features.mp4"] == "video id 'features' is a name of the store's own; rename the video"


def test_features_of_a_file_that_has_gone_bad_are_kept(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.h5"
    call(videos, out)
    (videos / "one.mp4").write_text("<html>404</html>")
    before = FeatureStore(out)["one"].features
    for words in ([], ["--force"]):
        assert call(videos, out, *words) == 1
        said = capsys.readouterr().err
        assert (
            "left out: one: not a video, or damaged beyond reading; fetch it again; its earlier features"
            in said
        )
        assert list(FeatureStore(out)) == ["one", "two"]
        np.testing.assert_array_equal(FeatureStore(out)["one"].features, before)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["out.h5", "videos"]
    assert call(videos, out, "--force", "--stride", "8") == 1  # other settings do not mix
    assert list(FeatureStore(out)) == ["two"]


def test_force_keeps_the_old_file_until_the_new_one_is_whole(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out.h5"
    call(videos, out)
    before = out.read_bytes()
    for path in videos.rglob("*.mp4"):
        path.write_text("<html>404</html>")
    assert call(videos, out, "--force") == 2
    assert "none of the 3 videos gave features" in capsys.readouterr().err
    assert out.read_bytes() == before


def test_what_is_not_ours_stays_in_the_folder_of_parts(videos: Path, tmp_path: Path) -> None:
    parts = tmp_path / "out.h5.parts"
    parts.mkdir()
    (parts / "notes.txt").write_text("mine")
    with h5py.File(parts / "mine.h5", "w") as file:
        file["measured"] = [1, 2]
    assert call(videos, tmp_path / "out.h5", "--force") == 1
    assert sorted(path.name for path in parts.iterdir()) == ["mine.h5", "notes.txt"]


def test_parts_that_vanish_are_noticed(
    videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def vanishing(outcomes: Iterable[Outcome], **_: int) -> Iterator[Outcome]:
        for outcome in outcomes:
            (tmp_path / "out.h5.parts" / "one.h5").unlink(missing_ok=True)
            yield outcome

    monkeypatch.setattr("feature_extraction.own_videos.watched", vanishing)
    assert call(videos, tmp_path / "out.h5") == 2
    assert "features of 1 videos were written and are gone (one)" in capsys.readouterr().err


def test_a_long_name_does_no_harm(videos: Path, tmp_path: Path) -> None:
    for length in (245, 251):
        shutil.copy(videos / "one.mp4", videos / ("n" * length + ".mp4"))
    out = tmp_path / "out.h5"
    assert call(videos, out) == 1
    assert list(FeatureStore(out)) == ["n" * 245, "n" * 251, "one", "two"]


def test_a_file_instead_of_a_folder_is_told(videos: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"one\.mp4: is a file; expected a folder of videos"):
        find_videos(videos / "one.mp4")


def test_a_name_that_is_not_utf8_is_left_out_in_words(videos: Path) -> None:
    (videos / "one.mp4").rename(os.fsdecode(os.fsencode(videos) + b"/\xc4\xe3.mp4"))
    found, problems = find_videos(videos)
    assert found.keys() == {"one", "page", "two"}
    ((name, reason),) = problems.items()
    assert name == "\\udcc4\\udce3.mp4"
    assert "unsafe video id" in reason


def test_a_folder_as_output_is_refused_before_the_work(
    videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    assert call(videos, out) == 2
    assert "out: is a folder; expected the HDF5 file to be" in capsys.readouterr().err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "videos"]
