"""Point events of two labellings: pairs against every possible matching, figures by hand, and the
command on files of several tools."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation.__main__ import main
from evaluation.agreement import compare
from evaluation.metrics.observed import common, moments_on_observed_time
from evaluation.metrics.points import PointScore, point_rate
from runtime.errors import InputError
from video_datasets.formats.tools.labelling import AnnotatedVideo, Bout, Labelling


def labelling(*bouts: tuple[float, float, str], duration_s: float = 60.0) -> Labelling:
    return Labelling((AnnotatedVideo("a", tuple(Bout(*bout) for bout in bouts), duration_s=duration_s),))


def test_counts_rates_latencies_and_agreement_by_hand() -> None:
    reference = labelling((5, 5, "peck"), (10, 10, "peck"), (30, 30, "peck"), (20, 25, "run"))
    other = labelling((5.5, 5.5, "peck"), (12, 12, "peck"), (20, 25, "run"))
    found = compare(reference, other, cell_s=1.0, tolerance_s=1.0)
    assert found.labels == ("run",)
    (score,) = found.points.scores
    assert (score.reference_events, score.other_events, score.paired) == (3, 2, 1)
    assert (score.precision, score.recall, score.f1) == (1 / 2, 1 / 3, 2 / 5)
    # 60 s are 30 moments of 2 s: 1 with both, 2 and 1 with one, 26 with neither
    by_chance = (3 * 2 + 27 * 28) / 30**2
    assert score.kappa == pytest.approx((27 / 30 - by_chance) / (1 - by_chance))
    (rate,), (other_rate,) = found.points.reference, found.points.other
    assert (rate.events, rate.per_minute, rate.latency_s) == (3, 3.0, 5.0)
    assert (other_rate.events, other_rate.per_minute, other_rate.latency_s) == (2, 2.0, 5.5)
    assert found.points.mean_f1 == 2 / 5


def test_events_pair_within_their_video_and_label() -> None:
    one = Labelling(
        (
            AnnotatedVideo("a", (Bout(1, 1, "peck"), Bout(9, 9, "jump")), duration_s=10),
            AnnotatedVideo("b", (Bout(1, 1, "jump"),), duration_s=20),
        )
    )
    other = Labelling(
        (
            AnnotatedVideo("a", (Bout(1, 1, "jump"),), duration_s=10),
            AnnotatedVideo("b", (Bout(1, 1, "peck"), Bout(1.5, 1.5, "jump")), duration_s=20),
        )
    )
    found = compare(one, other, cell_s=1.0, tolerance_s=1.0)
    assert [(score.label, score.paired) for score in found.points.scores] == [("jump", 1), ("peck", 0)]
    jump = found.points.reference[0]
    assert (jump.events, jump.per_minute, jump.latency_s) == (2, 4.0, 5.0)


def test_a_model_finds_points_with_a_length_and_its_middles_count() -> None:
    reference = labelling((5, 5, "peck"), (10, 10, "peck"), (20, 25, "run"))
    model = labelling((4.5, 5.7, "peck"), (12, 13, "peck"), (20, 24, "run"))
    (score,) = compare(reference, model, cell_s=1.0, tolerance_s=0.2).points.scores
    assert (score.reference_events, score.other_events, score.paired) == (2, 2, 1)
    found = compare(model, model, cell_s=1.0, tolerance_s=0.2)
    assert (found.labels, found.points.scores) == (("peck", "run"), ())
    found = compare(model, model, cell_s=1.0, tolerance_s=0.2, points=["peck"])
    assert (found.labels, found.points.scores[0].f1) == (("run",), 1.0)


def test_points_count_where_both_have_watched() -> None:
    reference = labelling((0, 10, "(watched)"), (20, 40, "(watched)"), (5, 5, "peck"), (15, 15, "peck"))
    other = labelling((25, 25, "peck"), (30, 30, "peck"), (50, 50, "peck"))
    found = compare(reference, other, cell_s=1.0, tolerance_s=1.0).points
    assert (found.reference[0].events, found.other[0].events) == (1, 2)
    assert (found.other[0].per_minute, found.other[0].latency_s) == (2 / 0.5, 15.0)


@given(st.lists(st.integers(0, 30), max_size=6), st.integers(0, 2**32 - 1))
def test_moments_keep_their_place_among_watched_seconds(times: list[int], seed: int) -> None:
    watched = np.random.default_rng(seed).random((2, 31)) < 0.5
    one, other = ([(t, t + 1) for t in np.flatnonzero(row).tolist()] for row in watched)
    both = watched.all(axis=0)
    middles = [t + 0.5 for t in times]
    expected = [both[:t].sum() + 0.5 for t in times if both[t]]
    found = moments_on_observed_time(np.array(middles), common(one, other))
    assert sorted(found.tolist()) == sorted(expected)


def test_no_events_at_all() -> None:
    rate = point_rate("peck", [np.zeros(0)], [0.0])
    assert rate.events == 0
    assert math.isnan(rate.per_minute)
    assert math.isnan(rate.latency_s)
    score = PointScore("peck", 0, 3, 0, 1.0, 60.0)
    assert (score.precision, score.f1) == (0.0, 0.0)
    assert math.isnan(score.recall)
    assert score.kappa == 0.0


def test_everything_agreed_is_a_kappa_of_one() -> None:
    assert PointScore("peck", 4, 4, 4, 1.0, 60.0).kappa == 1.0
    assert PointScore("peck", 4, 4, 0, 1.0, 8.0).kappa < 0


def test_a_named_behaviour_must_be_in_one_of_the_files() -> None:
    with pytest.raises(InputError, match=r"--points: expected behaviours .*\(run\), found 'peck'"):
        compare(labelling((1, 2, "run")), labelling(), cell_s=1.0, tolerance_s=1.0, points=["peck"])


# ---- files


def boris(path: Path, *pecks_s: float) -> Path:
    """A project with a state and point events."""
    kinds = {"0": ("State event", "run"), "1": ("Point event", "peck")}
    events = [[2.0, "", "run", "", ""], [8.0, "", "run", "", ""]]
    observation = {
        "type": "MEDIA",
        "file": {"1": ["a.mp4"]},
        "media_info": {"length": {"a.mp4": 30.0}, "fps": {"a.mp4": 25.0}},
        "events": events + [[time_s, "", "peck", "", ""] for time_s in pecks_s],
    }
    project = {
        "behaviors_conf": {key: {"type": kind, "code": code} for key, (kind, code) in kinds.items()},
        "observations": {"o": observation},
    }
    path.write_text(json.dumps(project))
    return path


def numbers(folder: Path, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / f"{name}.csv").read_text().splitlines()))


def test_point_events_of_boris_against_a_model(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = boris(tmp_path / "a.boris", 3.0, 9.0)
    found = tmp_path / "found.csv"
    found.write_text("video,start_s,end_s,label,score\na,2.5,4,peck,0.9\na,2,8,run,0.9\na,20,21,peck,0.8\n")
    words = ["--protocol=behaviour", "--ground-truth", str(reference), "--predictions", str(found)]
    words += ["--csv", str(tmp_path / "out"), "--report", str(tmp_path / "page.html")]
    assert main(words) == 0
    shown = capsys.readouterr()
    assert "1 labels of point events, within 1 s: mean F1 0.5, 1 pairs" in shown.out
    assert shown.err == ""
    (row,) = numbers(tmp_path / "out", "points")
    assert (row["label"], row["precision"], row["recall"], row["F1"]) == ("peck", "0.5", "0.5", "0.5")
    assert (row["reference events"], row["other events"], row["pairs"]) == ("2", "2", "1")
    rates = numbers(tmp_path / "out", "rates")
    assert [(row["of"], row["per minute"], row["latency s"]) for row in rates] == [
        ("reference", "4", "3"),
        ("other", "4", "3.25"),
    ]
    assert [row["label"] for row in numbers(tmp_path / "out", "frames")] == ["run"]
    assert "Rates of point events" in (tmp_path / "page.html").read_text()


def test_points_without_any_bouts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "a.csv"
    table.write_text("video,start_s,end_s,label\na,3,3,peck\na,9,9,peck\n")
    words = ["--protocol=behaviour", "--ground-truth", str(table), "--predictions", str(table)]
    assert main([*words, "--csv", str(tmp_path / "out")]) == 0
    assert {path.stem for path in (tmp_path / "out").iterdir()} == {"points", "rates"}
    assert "mean F1 1, 2 pairs" in capsys.readouterr().out


def test_moments_among_bouts_of_one_behaviour_are_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "a.csv"
    table.write_text("video,start_s,end_s,label\na,3,3,peck\na,9,10,peck\n")
    words = ["--protocol=behaviour", "--ground-truth", str(table), "--predictions", str(table)]
    assert main(words) == 1
    assert "'peck': 1 events without length among bouts with one" in capsys.readouterr().err
    assert main([*words, "--points", "peck"]) == 0
    assert main([*words, "--points", "peek"]) == 2
    assert "found 'peek'" in capsys.readouterr().err


EAF = """<ANNOTATION_DOCUMENT><HEADER TIME_UNITS="milliseconds"><MEDIA_DESCRIPTOR MEDIA_URL="file:///a.mp4"
 MIME_TYPE="video/mp4"/></HEADER><TIME_ORDER><TIME_SLOT TIME_SLOT_ID="t" TIME_VALUE="3000"/></TIME_ORDER>
<TIER TIER_ID="peck"><ANNOTATION><ALIGNABLE_ANNOTATION ANNOTATION_ID="a" TIME_SLOT_REF1="t" TIME_SLOT_REF2="t">
<ANNOTATION_VALUE>peck</ANNOTATION_VALUE></ALIGNABLE_ANNOTATION></ANNOTATION></TIER></ANNOTATION_DOCUMENT>"""
VIA = {
    "attribute": {"1": {"aname": "action", "anchor_id": "FILE1_Z2_XY0", "type": 4, "options": {"0": "peck"}}},
    "file": {"1": {"fid": "1", "fname": "a.mp4", "type": 4, "loc": 1, "src": ""}},
    "view": {"1": {"fid_list": ["1"]}},
    "metadata": {"k": {"vid": "1", "z": [3], "xy": [], "av": {"1": "0"}}},
}
SAME_MOMENT = {
    "aggregated.csv": "Observation id,Media file name,Subject,Behavior,Behavior type,Start (s),Stop (s)\n"
    "o,a.mp4,,peck,POINT,3,3\n",
    "tabular.tsv": "Observation id\tMedia file name\tSubject\tBehavior\tTime\tBehavior type\n"
    "o\ta.mp4\t\tpeck\t3\tPOINT\n",
    "a.eaf": EAF,
    "via.json": json.dumps(VIA),
    "own.csv": "video,start_s,end_s,label\na,3,3,peck\n",
    "anet.json": json.dumps(
        {"database": {"a": {"subset": "training", "annotations": [{"label": "peck", "segment": [3, 3]}]}}}
    ),
}


@pytest.mark.parametrize("name", SAME_MOMENT)
def test_every_tool_brings_its_point_events(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / name
    path.write_text(SAME_MOMENT[name])
    reference = boris(tmp_path / "r.boris", 3.0, 20.0)
    words = ["--protocol=behaviour", "--ground-truth", str(reference), "--predictions", str(path)]
    assert main([*words, "--csv", str(tmp_path / "out")]) == 0, capsys.readouterr().err
    (row,) = numbers(tmp_path / "out", "points")
    assert (row["precision"], row["recall"], row["pairs"]) == ("1", "0.5", "1")
