"""BMN's own form of ActivityNet's annotations: no `database`, a file a subset."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from runtime.errors import InputError
from video_datasets.dataset import load_dataset
from video_datasets.formats.activitynet import read_activitynet_json
from video_datasets.settings import DataConfig


def _entry(end_s: float = 2.0, label: str = "run") -> dict[str, Any]:
    annotations = [{"segment": [0.5, end_s], "label": label}]
    return {
        "duration_second": 10.5,
        "duration_frame": 315,
        "annotations": annotations,
        "feature_frame": 304,
        "fps": 30.0,
    }


@pytest.mark.parametrize(
    ("name", "subset"),
    [
        ("anet_anno_train", "training"),
        ("anet_anno_val", "validation"),
        ("anet_anno_test", "testing"),
        ("mine", ""),
    ],
)
def test_the_name_of_the_file_tells_the_subset(tmp_path: Path, name: str, subset: str) -> None:
    path = tmp_path / f"{name}.json"
    path.write_text(json.dumps({"v_a": _entry(), "v_b": _entry(3.0, "sit")}))
    table = read_activitynet_json(path)
    assert table.video_ids == ("v_a", "v_b")
    assert table.subsets == (subset,) * 2
    assert table.durations_s.tolist() == [10.5, 10.5]
    assert (table.start_s.tolist(), table.end_s.tolist(), table.labels) == (
        [0.5] * 2,
        [2.0, 3.0],
        ("run", "sit"),
    )


def test_a_folder_of_them_is_a_data_set(tmp_path: Path) -> None:
    (tmp_path / "anet").mkdir()
    for number, name in enumerate(("train", "val", "test")):
        (tmp_path / "anet" / f"anet_anno_{name}.json").write_text(json.dumps({f"v_{number}": _entry()}))
    (tmp_path / "anet" / "video_info_new.json").write_text("{}")
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "v_0.mp4").touch()
    dataset = load_dataset(DataConfig(root=str(tmp_path), format="activitynet", annotations="anet"))
    assert {video.video_id: video.subset for video in dataset.videos.values()} == {
        "v_0": "training", "v_1": "validation", "v_2": "testing"
    }  # fmt: skip
    assert dataset.videos["v_0"].path == tmp_path / "videos" / "v_0.mp4"


def test_a_video_in_two_files_is_refused(tmp_path: Path) -> None:
    for name in ("train", "val"):
        (tmp_path / f"anet_anno_{name}.json").write_text(json.dumps({"v_0": _entry()}))
    with pytest.raises(InputError, match=r"only; 'v_0' is in two"):
        read_activitynet_json(tmp_path)


def test_all_errors_come_at_once(tmp_path: Path) -> None:
    good = {"label": "run", "segment": [0, 1]}
    database = {
        "a": {"subset": "training", "annotations": [good, {"label": 3, "segment": [0, 1]}, {"label": "x"}]},
        "b": {"annotations": [good]},
        "c": {"subset": "training", "annotations": [good]},
    }
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"database": database}))
    with pytest.raises(InputError, match="3 errors:") as caught:
        read_activitynet_json(path)
    places = [line.split(": ")[0].strip() for line in str(caught.value).splitlines()[1:]]
    assert places == ["video 'a', annotation 1", "video 'a', annotation 2", "video 'b'"]
