"""Logits of views from several networks: against plain loops, and files that do not fit."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from classification.ensemble.views import logits_file, rank_members, read_view_logits
from classification.ensemble.weights import shares
from runtime.errors import InputError

SEGMENTS = [("a", 0.0, 1.0), ("a", 2.0, 3.0), ("b", 0.0, 4.0), ("c", 1.0, 2.0)]


def write_logits(
    path: Path,
    heads: dict[str, int],
    views: int,
    *,
    seed: int,
    segments: list[tuple[str, float, float]] = SEGMENTS,
) -> Path:
    """Write random logits as `classification.finetune.test` does."""
    rng = np.random.default_rng(seed)
    with h5py.File(path, "w") as file:
        for head, count in heads.items():
            file[f"logits/{head}"] = rng.normal(size=(len(segments), views, count)).astype(np.float32)
            file[f"classes/{head}"] = np.array([SEGMENTS.index(each) % count for each in segments])
            file[f"labels/{head}"] = [f"{head}{number}" for number in range(count)]
        file["video_id"] = [name for name, _, _ in segments]
        file["start_s"], file["end_s"] = (np.array([each[i] for each in segments]) for i in (1, 2))
    return path


def softmax(values: np.ndarray) -> np.ndarray:
    """In float64, one row at a time."""
    powers = np.exp(values.astype(np.float64) - values.max())
    return powers / powers.sum()


def test_networks_are_averaged_over_their_own_views_first(tmp_path: Path) -> None:
    heads = {"action": 5}
    one = read_view_logits(write_logits(tmp_path / "1.h5", heads, 1, seed=1))
    six = read_view_logits(write_logits(tmp_path / "6.h5", heads, 6, seed=2, segments=SEGMENTS[::-1]))
    (ranking,) = rank_members([one, six], shares([1, 3], 2))[-1]
    for place, segment in enumerate(SEGMENTS):
        other = six.logits["action"][six.segments.index(segment)]
        mean = np.mean([softmax(view) for view in other], axis=0)
        scores = 0.25 * softmax(one.logits["action"][place][0]) + 0.75 * mean
        right = scores[one.classes["action"][place]]
        assert ranking.ranks[place] == (scores > right).sum()


def test_actions_by_view_are_weighted_products(tmp_path: Path) -> None:
    heads = {"verb": 3, "noun": 4}
    members = [read_view_logits(write_logits(tmp_path / f"{n}.h5", heads, n, seed=n)) for n in (2, 3)]
    found = {ranking.task: ranking for ranking in rank_members(members, shares([1, 1], 2))[-1]}
    for place in range(len(SEGMENTS)):
        products = [
            np.mean(
                [
                    np.outer(softmax(verb), softmax(noun))
                    for verb, noun in zip(each.logits["verb"][place], each.logits["noun"][place], strict=True)
                ],
                axis=0,
            )
            for each in members
        ]
        scores = (products[0] + products[1]) / 2
        right = scores[members[0].classes["verb"][place], members[0].classes["noun"][place]]
        assert found["action, by view"].ranks[place] == (scores > right).sum()


def test_members_stand_beside_the_ensemble_over_the_same_segments(tmp_path: Path) -> None:
    whole = write_logits(tmp_path / "a.h5", {"action": 3}, 2, seed=1)
    part = write_logits(tmp_path / "b.h5", {"action": 3}, 2, seed=2, segments=SEGMENTS[1:])
    with h5py.File(part, "r+") as file:
        file["logits/action"][-1] = np.nan  # nothing was decoded
    rankings = rank_members([read_view_logits(whole), read_view_logits(part)], shares(None, 2))
    assert [len(found[0].ranks) for found in rankings] == [2, 2, 2]


def test_other_classes_are_refused(tmp_path: Path) -> None:
    members = [
        read_view_logits(write_logits(tmp_path / f"{count}.h5", {"action": count}, 1, seed=1))
        for count in (3, 4)
    ]
    with pytest.raises(InputError, match="other classes, or in another order, than"):
        rank_members(members, shares(None, 2))


def test_the_file_of_a_run_is_found(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"expected logits\.h5 of `python -m classification\.finetune\.test"):
        logits_file(tmp_path)
    for views in ("1x1", "10x3"):
        (tmp_path / f"finetune_test_{views}").mkdir()
        path = write_logits(tmp_path / f"finetune_test_{views}" / "logits.h5", {"action": 2}, 1, seed=0)
        if views == "1x1":
            assert logits_file(tmp_path) == path
    with pytest.raises(InputError, match="name one of them"):
        logits_file(tmp_path)


def test_another_file_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["videos"] = [1]
    with pytest.raises(InputError, match=r"not a file of logits\.h5"):
        read_view_logits(tmp_path / "x.h5")
