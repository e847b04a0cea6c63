"""Labels of the points, against the original code and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from one_stage.labels import one_hot, point_labels, pyramid_points
from tests.golden_heads import Golden


def test_labels_equal_those_of_the_original(golden: Golden) -> None:
    ranges = [tuple(bounds) for bounds in golden.settings["regression_range"]]
    points = pyramid_points(golden.arrays["x"].shape[2], ranges)
    np.testing.assert_array_equal(points, np.concatenate(golden.levels("points")))
    for video, name in enumerate("ab"):
        marked = one_hot(golden.arrays[f"lab_{name}"][:, None], (golden.settings["num_classes"],))
        classes, offsets = point_labels(points, golden.arrays[f"seg_{name}"], marked)
        np.testing.assert_array_equal(classes, golden.arrays["gt_cls"][video] > 0)
        learns = classes.any(axis=1)
        np.testing.assert_array_equal(offsets[learns], golden.arrays["gt_off"][video][learns])


@pytest.mark.parametrize(
    ("segments", "rows", "why"),
    [
        ([(0.0, 8.0)], [3, 4, 5], "centre region 2.5 to 5.5"),
        ([(2.0, 4.0)], [3], "cut to the segment, whose borders are outside"),
        (
            [(0.0, 12.0)],
            [],
            "the farther boundary is more than 5 rows away from any point of the centre region",
        ),
        ([(-2.0, 10.0), (3.0, 5.0)], [4], "of the second; the first is too long"),
        ([], [], "background"),
    ],
)
def test_points_of_one_level(segments: list[tuple[float, float]], rows: list[int], why: str) -> None:
    points = pyramid_points(10, [(0, 5)])
    marked = np.ones((len(segments), 1), dtype=bool)
    classes, _ = point_labels(points, np.array(segments, dtype=np.float32).reshape(-1, 2), marked)
    assert np.flatnonzero(classes[:, 0]).tolist() == rows, why


def test_segments_of_equal_length_share_their_classes() -> None:
    points = pyramid_points(8, [(0, 10000)])
    segments = np.array([(2.0, 6.0), (2.0, 6.0), (0.0, 8.0)], dtype=np.float32)
    classes, offsets = point_labels(points, segments, np.eye(3, dtype=bool))
    assert classes[4].tolist() == [True, True, False]
    assert offsets[4].tolist() == [2.0, 2.0]
