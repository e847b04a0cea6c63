"""The rendered mini data set: its pixels, files, and what happens when the command runs again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from runtime.errors import InputError
from video_datasets.mini import MiniSize, ensure_mini
from video_datasets.mini.__main__ import main
from video_datasets.mini.hacs_layout import ANNOTATION_NAME, plan_files, video_path
from video_datasets.mini.plan import TwinPlan, VideoPlan, draw_plan
from video_datasets.mini.render import RENDERER_VERSION, draw_pictures, write_twins
from video_datasets.mini.scene import NOISE_PEAK, SCENE_RANGE

TINY = MiniSize(training=4, validation=2, testing=2, duration_s=(2.0, 2.5))
SEED = 7


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("mini") / "hacs"
    assert ensure_mini(folder, layout="hacs", seed=SEED, size=TINY, workers=1)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes()
        for p in folder.rglob("*")
        if p.is_file() and p.name[0] != "."
    }


def decode(path: Path) -> tuple[NDArray[np.uint8], list[float]]:
    """Frames of a file, and the seconds at which they appear and the last one ends."""
    with av.open(str(path)) as container:
        frames = list(container.decode(video=0))
    times_s = [frame.time for frame in frames]
    end_s = times_s[-1] + float(frames[-1].duration * (frames[-1].time_base or 0))
    return np.stack([frame.to_ndarray(format="rgb24") for frame in frames]), [*times_s, end_s]


def pale_pixels(picture: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Where the actor's rim is: nothing else is so pale, whatever the noise."""
    return np.asarray((picture > SCENE_RANGE[1] + NOISE_PEAK).all(axis=-1))


def is_shown(video: VideoPlan) -> NDArray[np.bool_]:
    """For every frame, whether its middle lies within an instance."""
    instance = np.searchsorted(video.segments_s.ravel(), video.clock.middles_s, side="right")
    return np.asarray(instance % 2 == 1)


def test_files_lie_as_the_official_downloader_leaves_them(rendered: Path) -> None:
    database = json.loads((rendered / ANNOTATION_NAME).read_text())["database"]
    found = {p.stem: p.parent.name for p in (rendered / "videos").glob("*/*.mp4")}
    for video_id, entry in database.items():
        labels = {a["label"].replace(" ", "_") for a in entry["annotations"]}
        assert found.pop(f"v_{video_id}") == (labels.pop() if labels else "testing")
    assert not found
    assert not list(rendered.rglob("*.part"))


def test_other_processes_give_the_same_bytes(rendered: Path, tmp_path: Path) -> None:
    ensure_mini(tmp_path / "again", layout="hacs", seed=SEED, size=TINY, workers=2)
    assert contents(tmp_path / "again") == contents(rendered)


@pytest.mark.parametrize("place", [0, 1, 2, 3, 4, 8])  # one of each clock
def test_files_are_shown_at_the_planned_times_and_twins_are_reversed(place: int, tmp_path: Path) -> None:
    size = MiniSize(duration_s=(2.0, 2.0))
    twins, files = draw_plan(SEED, size)[place], plan_files(tmp_path, SEED, size)[place]
    write_twins(files)
    (forward, forward_s), (backward, backward_s) = map(decode, files.paths)
    for video, times_s in ((twins.forward, forward_s), (twins.backward, backward_s)):
        planned_s = np.append(video.clock.ticks, video.clock.n_ticks) / float(video.clock.ticks_per_s)
        np.testing.assert_allclose(times_s, planned_s, atol=1e-4)
    difference = np.abs(forward.astype(float) - backward[::-1]).mean(axis=(1, 2, 3))
    assert difference.max() < 4  # of 255: the encoder's doing
    assert np.abs(forward.astype(float) - backward).mean() > 2 * difference.mean()  # the test can tell


def test_actor_is_there_during_instances_only() -> None:
    for twins in draw_plan(SEED, MiniSize(training=16, validation=0, duration_s=(3.0, 4.0))):
        pale = np.array([pale_pixels(picture).sum() for picture in draw_pictures(twins)])
        np.testing.assert_array_equal(pale > 0, is_shown(twins.forward))


def measure(state: str, picture: NDArray[np.uint8]) -> float:
    """A plain measurement that grows with the actor's state, from the pixels alone."""
    rows, columns = np.nonzero(pale_pixels(picture))
    if state == "size":
        return float(np.ptp(rows) + np.ptp(columns))
    if state == "height":
        return -float(rows.mean())
    if state == "aperture":
        return float(len(rows))
    inside = picture[rows.min() : rows.max(), columns.min() : columns.max()].astype(float)
    return float((inside[..., 0] - inside[..., 2]).mean())


@pytest.mark.parametrize("place", range(8))
def test_the_state_moves_one_way_within_any_two_seconds(place: int) -> None:
    twins: TwinPlan = draw_plan(SEED, MiniSize(duration_s=(20.0, 20.0)))[place]
    pictures = list(draw_pictures(twins))
    for start_s, end_s in twins.forward.segments_s:
        moments_s = np.arange(start_s + 0.2, end_s - 0.1, 2.0)
        frames = np.searchsorted(twins.forward.clock.middles_s, moments_s)
        values = [measure(twins.motion.state, pictures[k]) for k in frames]
        assert (np.diff(values) > 0).all()


QUARTERS = {
    0: (106.29, 153.27, 113.19, 118.92),
    1: (100.29, 147.30, 107.26, 125.65),
    2: (109.51, 153.52, 115.62, 120.60),
    3: (105.02, 150.09, 110.76, 133.78),
}
"""Mean brightness of the quarters of a picture of each motion, taken when renderer version 1 was
new."""


@pytest.mark.parametrize("place", QUARTERS)
def test_pictures_are_those_of_renderer_version_1(place: int) -> None:
    pictures = list(draw_pictures(draw_plan(SEED, MiniSize(duration_s=(2.0, 2.0)))[place]))
    middle = pictures[len(pictures) // 2].astype(float)
    quarters = [q.mean() for half in np.array_split(middle, 2) for q in np.array_split(half, 2, axis=1)]
    assert RENDERER_VERSION == 1
    assert quarters == pytest.approx(QUARTERS[place], abs=0.05)


def test_cut_off_rendering_is_finished(rendered: Path, tmp_path: Path) -> None:
    folder = tmp_path / "cut"
    ensure_mini(folder, layout="hacs", seed=SEED, size=TINY, workers=1)
    (folder / ANNOTATION_NAME).unlink()
    kept, lost = sorted(folder.rglob("*.mp4"))[::7][:2]
    kept_at = kept.stat().st_mtime_ns
    lost.rename(lost.with_name(f"{lost.name}.123.part"))
    twin_of_lost = {
        video.video_id
        for twins in draw_plan(SEED, TINY)
        for video in (twins.forward, twins.backward)
        if f"v_{twins.forward.video_id}" == lost.stem or f"v_{twins.backward.video_id}" == lost.stem
    }
    assert ensure_mini(folder, layout="hacs", seed=SEED, size=TINY, workers=1)
    assert contents(folder) == contents(rendered)
    assert kept.stem[2:] in twin_of_lost or kept.stat().st_mtime_ns == kept_at


def test_finished_folder_is_left_alone(rendered: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = {p: p.stat().st_mtime_ns for p in rendered.rglob("*")}
    arguments = f"--layout hacs --out {rendered} --seed {SEED} --training 4 --validation 2 --duration-s 2 2.5"
    assert main(arguments.split()) == 0
    assert "already complete, nothing done" in capsys.readouterr().out
    assert {p: p.stat().st_mtime_ns for p in rendered.rglob("*")} == before


def test_other_parameters_are_refused(rendered: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = contents(rendered)
    with pytest.raises(
        InputError, match=r"seed is 7, asked for 8; training is 4, asked for 8.*another folder"
    ):
        ensure_mini(
            rendered, layout="hacs", seed=8, size=MiniSize(training=8, validation=2, duration_s=(2.0, 2.5))
        )
    assert main(["--layout", "hacs", "--out", str(rendered)]) == 2
    assert "seed is 7, asked for 0" in capsys.readouterr().err
    assert contents(rendered) == before


def test_folder_with_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / ANNOTATION_NAME).write_text("{}")
    with pytest.raises(InputError, match=r"expected a new or empty folder.*mini\.json.*give another folder"):
        ensure_mini(tmp_path, layout="hacs", seed=0, size=TINY)
    assert list(tmp_path.iterdir()) == [tmp_path / ANNOTATION_NAME]


def test_unknown_layout_and_negative_seed_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="unknown layout 'thumos', known: hacs, ek100"):
        ensure_mini(tmp_path, layout="thumos", seed=0)
    with pytest.raises(InputError, match="seed must be 0 or more, found -1"):
        ensure_mini(tmp_path, layout="hacs", seed=-1)


def test_testing_videos_are_rendered_outside_the_class_folders(rendered: Path) -> None:
    testing = [twins.forward for twins in draw_plan(SEED, TINY) if twins.forward.subset == "testing"]
    assert [video_path(rendered, video).parent.name for video in testing] == ["testing"]
    assert all(video_path(rendered, video).is_file() for video in testing)


def test_import_needs_no_torch() -> None:
    code = "import sys, video_datasets.mini.__main__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
