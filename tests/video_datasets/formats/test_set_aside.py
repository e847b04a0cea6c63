"""Videos set aside for validation."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InputError
from video_datasets.formats.tools.labelling import AnnotatedVideo, Bout, Labelling, Notes
from video_datasets.formats.tools.set_aside import set_aside


def labelling(labels: list[str], subset: str = "training") -> Labelling:
    """A video for each word, with a bout of each of its letters."""
    return Labelling(
        tuple(
            AnnotatedVideo(f"video {number}", tuple(Bout(0, 1, label) for label in word), subset=subset)
            for number, word in enumerate(labels)
        )
    )


def chosen(found: Labelling) -> set[str]:
    return {video.video_id for video in found.videos if video.subset == "validation"}


@given(st.lists(st.text("abc", max_size=3), min_size=4, max_size=30), st.floats(0.01, 0.5))
def test_a_share_is_set_aside_and_no_label_leaves_training(words: list[str], share: float) -> None:
    words = ["abc", "abc", *words]  # so that one can be spared
    before = labelling(words)
    after = set_aside(before, share, Notes())
    wanted = max(round(share * len(words)), 1)
    assert 1 <= len(chosen(after)) <= wanted
    assert {video.video_id for video in after.videos} == {video.video_id for video in before.videos}
    left = {bout.label for video in after.videos if video.subset == "training" for bout in video.bouts}
    assert left == {"a", "b", "c"}
    turned = Labelling(before.videos[::-1])
    assert chosen(set_aside(turned, share, Notes())) == chosen(after)


def test_of_many_videos_as_many_as_asked_for() -> None:
    notes = Notes()
    found = set_aside(labelling(["ab"] * 50), 0.2, notes)
    assert len(chosen(found)) == 10
    assert list(notes.remarks) == ["10 of 50 videos are for validation (asked for: 10)"]


@pytest.mark.parametrize(
    ("before", "share", "message"),
    [
        (labelling(["a", "a"]), 0.0, "--validation: expected a share between 0 and 1, found 0"),
        (labelling(["a", "a"]), 1.5, "found 1.5"),
        (labelling(["a", "a"]), float("nan"), "found nan"),
        (labelling(["a", "a"], "testing"), 0.5, "expected videos of no subset, found 'testing'"),
        (labelling([]), 0.5, "found 0 videos"),
        (labelling(["a", "b"]), 0.5, "expected a video to spare"),
        (labelling(["", ""]), 0.9, "expected a video to spare"),  # none would be left
    ],
)
def test_refusals(before: Labelling, share: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        set_aside(before, share, Notes())
