"""Own classes of a head times the class scores of a source: against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from classification.labels import WeighedLabels
from classification.settings import ClassificationConfig
from classification.source_table import refuse_with_head
from classification.sources import Probabilities
from pipeline.stages import load_config
from runtime.errors import InputError
from video_datasets.predictions import Predictions

WORDS = ("jump", "put", "throw")
ROWS = st.lists(
    st.tuples(st.integers(0, 9), st.integers(1, 9), st.integers(1, 9), st.sampled_from(WORDS)), max_size=8
)
"""Start, length, score in tenths, class."""


def proposals(rows: list[tuple[int, int, int, str]]) -> Predictions:
    segments = [(start, start + length) for start, length, *_ in rows]
    scores = [tenths / 10 for *_, tenths, _ in rows]
    return Predictions.of_video("v", segments, scores, [WORDS.index(row[3]) for row in rows], WORDS)


@given(ROWS, st.sampled_from([0.5, 1.0, 2.0]), st.sampled_from([0.5, 1.0]))
def test_scores_are_products(rows: list[tuple[int, int, int, str]], power: float, root: float) -> None:
    """The source has the classes in another order, and says something else of every proposal."""
    classes = ("throw", "jump", "other", "put")
    told = np.random.default_rng(len(rows)).random((len(rows), 4))
    config = ClassificationConfig(
        with_head=True, action_score_power=power, score_power=root, max_detections=5
    )
    label = WeighedLabels(lambda video_id, segments_s: {"action": told}, {"action": classes}, config)
    found = label(proposals(rows))["action"]
    expected = []
    for row, (start, length, tenths, word) in enumerate(rows):
        score = (tenths / 10 * told[row][classes.index(word)] ** power) ** root
        expected.append((start, start + length, word, score))
    expected = sorted(expected, key=lambda line: -line[3])[:5]
    assert found.label_names == tuple(line[2] for line in expected)
    assert found.segments_s.tolist() == [list(line[:2]) for line in expected]
    assert found.score.tolist() == pytest.approx([line[3] for line in expected])


def test_verbs_and_nouns_are_multiplied() -> None:
    verb, noun = np.array([[0.1, 0.6], [0.5, 0.2]]), np.array([[0.3, 0.2, 0.5], [0.7, 0.1, 0.2]])

    def source(video_id: str, segments_s: np.ndarray) -> Probabilities:
        return {"verb": verb, "noun": noun}

    given_labels = Predictions.of_video("v", [(0, 1), (2, 3)], [0.8, 0.5], [0, 1], ["1,2", "0,0"])
    classes = {"verb": ("take", "put"), "noun": ("tap", "cup", "pan")}
    found = WeighedLabels(source, classes, ClassificationConfig(with_head=True))(given_labels)
    assert list(found) == ["action"]
    assert found["action"].label_names == ("1,2", "0,0")
    assert found["action"].score.tolist() == pytest.approx([0.8 * 0.6 * 0.5, 0.5 * 0.5 * 0.7])


def test_a_class_that_the_source_does_not_know_is_refused() -> None:
    label = WeighedLabels(
        lambda *_: {"action": np.ones((1, 1))}, {"action": ("jump",)}, ClassificationConfig()
    )
    with pytest.raises(InputError, match="the head tells the class 'put', which the source"):
        label(proposals([(0, 1, 5, "put")]))
    with pytest.raises(InputError, match="proposals without a label"):
        label(Predictions.of_video("v", [(0, 1)], [0.5]))


@pytest.mark.parametrize(
    ("head", "classes", "message"),
    [
        ("bmn", "own", "but BMN tells no classes"),
        ("tridet", "none", "but TriDet tells no classes"),
        ("tridet", "verb", "but TriDet tells verbs or nouns alone"),
        ("tridet", "own", ""),
    ],
)
def test_it_takes_a_head_that_tells_classes(head: str, classes: str, message: str) -> None:
    words = [f"head={head}", f"one_stage.classes={classes}", "classification.with_head=true"]
    config = load_config("configs/ek100_mini.yaml", words)
    if message:
        with pytest.raises(InputError, match=message):
            refuse_with_head(config)
    else:
        refuse_with_head(config)
