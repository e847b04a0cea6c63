"""The page of an evaluation as a file: what is in it, that it is whole by itself, and that
nothing gets out."""

from __future__ import annotations

import base64
import doctest
import hashlib
import importlib
import json
import pkgutil
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import evaluation.diagnosis.characteristics
import evaluation.metrics.interpolation
import evaluation.report
from evaluation.__main__ import main
from evaluation.metrics.average_precision import find_hits
from evaluation.metrics.columns import Segments, TaskColumns
from evaluation.metrics.interpolation import interpolated_precision
from evaluation.metrics.matches import match_columns
from evaluation.report import video_choice
from evaluation.report.charts import Series, bar_chart, line_chart, stacked_chart
from evaluation.report.page import Section, embed_json, render_fragment, render_page
from evaluation.report.svg import element
from evaluation.report.timeline import TimelineDetection, TimelineVideo, timeline_section
from evaluation.report.video_choice import choose_videos, precision_at_annotations, rows_by_video

ROOT = Path(__file__).resolve().parents[2]
VOID = {"meta", "link", "input", "br", "img"}


class Elements(HTMLParser):
    """Every element with its attributes, the texts of some, and whether all are closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self.stack: list[str] = []
        self.feed(page)
        assert self.stack == []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.stack.pop() == tag

    def handle_data(self, text: str) -> None:
        if self.stack:
            self.texts.setdefault(self.stack[-1], []).append(text)


def page_data(page: str) -> Any:
    found = re.search(r'<script type="application/json" id="page-data">(.*?)</script>', page, re.DOTALL)
    assert found
    return json.loads(found[1])


@pytest.fixture(scope="module", params=["hacs_report", "proposals_report", "ek100_report"])
def page(request: pytest.FixtureRequest) -> str:
    """Each of the three pages in turn."""
    path: Path = request.getfixturevalue(request.param)
    return path.read_text(encoding="utf-8")


def test_page_is_whole_and_loads_nothing(page: str) -> None:
    elements = Elements(page)
    for tag, attributes in elements.found:
        assert tag not in {"iframe", "object", "embed", "img", "audio", "video"}
        assert "src" not in attributes
        assert attributes.get("href", "#").startswith(("#", "data:,")), attributes
        assert not [name for name in attributes if name.startswith("on")]
    assert "url(" not in page
    assert "@import" not in page
    assert page.count("http") == page.count("http://www.w3.org/2000/svg") + page.count("http-equiv")


def test_policy_lets_only_our_own_scripts_run(page: str) -> None:
    found = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert found
    policy = found[1].replace("&#39;", "'")
    assert policy.startswith("default-src 'none'")
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 4
    for script in scripts:
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy


def test_labels_ids_and_file_names_are_escaped(hacs_report: Path) -> None:
    text = hacs_report.read_text(encoding="utf-8")
    elements = Elements(text)
    names = [tag for tag, _ in elements.found]
    assert names.count("script") == 5  # data and four scripts: no label has become one
    assert "u" not in names
    assert "b" not in names
    assert "&lt;script&gt;window.broken = 1&lt;/script&gt;" in text
    assert "found &amp; &lt;u&gt;.json" in text
    data = page_data(text)
    assert "<script>window.broken = 1</script>" in data["timeline"]["action"]["labels"]
    assert "\\ud800 half" in data["timeline"]["action"]["labels"]
    assert "<b onclick='window.broken = 3'>" in [v["id"] for v in data["timeline"]["action"]["videos"]]


def test_content_of_detections(hacs_report: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = hacs_report.read_text(encoding="utf-8")
    elements = Elements(text)
    sections = [attributes["id"] for tag, attributes in elements.found if tag == "section"]
    assert sections == ["summary", "curves", "diagnosis", "classes", "timeline", "data"]
    for name in ("truth <i>.json", "found & <u>.json"):
        content = (hacs_report.parent / name).read_bytes()
        assert hashlib.sha256(content).hexdigest() in text
    assert "ActivityNet eval_detection.py 82304fa" in text
    figures = ("Precision against recall", "Best k G detections", "Gain from removing errors")
    titles = elements.texts["strong"]
    assert [title for title in figures if title not in titles] == []
    assert [f"Sensitivity to {name}" in titles for name in ("coverage", "length", "instances")] == [True] * 3
    assert [f"False negatives by {name}" in titles for name in ("coverage", "length")] == [True] * 2
    video = page_data(text)["timeline"]["action"]["videos"][0]
    assert set(video) == {"id", "duration", "figure", "group", "more", "truth", "found"}
    assert len(video["found"][0]) == 6


def run(files: dict[str, Path], page: Path, *options: str) -> str:
    paths = ["--ground-truth", str(files["truth"]), "--predictions", str(files["found"])]
    assert main(["--protocol", "hacs", *paths, "--report", str(page), *options]) == 0
    return page.read_text(encoding="utf-8")


def test_same_input_same_page_and_notes_stand_in_it(
    tmp_path: Path, write_hacs: Callable[..., dict[str, Path]], capsys: pytest.CaptureFixture[str]
) -> None:
    files = write_hacs(tmp_path)
    results = json.loads(files["found"].read_text())["results"]
    results["elsewhere"] = results.pop("video 02")
    files["found"].write_text(json.dumps({"results": results}))
    first, second = (run(files, tmp_path / name) for name in ("a.html", "b.html"))
    assert first == second
    warnings = capsys.readouterr().err
    assert "1 of 12 annotated videos have no predictions: video 02" in warnings
    assert "1 of 12 annotated videos have no predictions: video 02" in first
    assert "1 predicted videos are not in the ground truth" in first


def test_proposals_have_their_own_sections(proposals_report: Path) -> None:
    text = proposals_report.read_text(encoding="utf-8")
    sections = [attributes["id"] for tag, attributes in Elements(text).found if tag == "section"]
    assert sections == ["summary", "proposals", "timeline", "data"]
    assert "Official AR@AN (%)" in text
    assert page_data(text)["timeline"][""]["labels"] == [""]


def test_three_tasks_in_one_page(ek100_report: Path) -> None:
    elements = Elements(ek100_report.read_text(encoding="utf-8"))
    shown = [attributes["data-task"] for _, attributes in elements.found if "data-task" in attributes]
    assert shown == ["verb", "noun", "action"] * 5  # curves, advice, diagnosis, classes, time-lines
    assert "their last annotated end stands in for it" in ek100_report.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("protocol", "predictions"),
    [("ek100", ["--predictions"]), ("ek100-separate", ["--verb-predictions", "--noun-predictions"])],
)
def test_verbs_and_nouns_have_names_where_their_lists_lie_beside_the_annotations(
    tmp_path: Path, ek100_report: Path, protocol: str, predictions: list[str]
) -> None:
    for name, count in (("verb", 97), ("noun", 300)):
        lines = "".join(f"{number},{name}-{number}\n" for number in range(count))
        (tmp_path / f"EPIC_100_{name}_classes.csv").write_text(f"id,key\n{lines}")
    for name in ("truth.csv", "submission.json"):
        shutil.copy(ek100_report.parent / name, tmp_path)
    given = [word for option in predictions for word in (option, str(tmp_path / "submission.json"))]
    page, truth = tmp_path / "r.html", str(tmp_path / "truth.csv")
    assert main(["--protocol", protocol, "--ground-truth", truth, *given, "--report", str(page)]) == 0
    labels = {task: data["labels"] for task, data in page_data(page.read_text())["timeline"].items()}
    for task in ("verb", "noun"):
        assert {label.partition("-")[0] for label in labels[task]} == {task}


def test_splits_are_in_the_page(tmp_path: Path, ek100_report: Path) -> None:
    (tmp_path / "unseen.csv").write_text("participant_id\nP02\n")
    folder = ek100_report.parent
    paths = ["--ground-truth", str(folder / "truth.csv"), "--predictions", str(folder / "submission.json")]
    options = ["--unseen-participants", str(tmp_path / "unseen.csv"), "--report", str(tmp_path / "r.html")]
    assert main(["--protocol", "ek100", *paths, *options]) == 0
    text = (tmp_path / "r.html").read_text(encoding="utf-8")
    assert "mAP (%) at tIoU, unseen participants" in text
    assert "list of unseen participants" in text


# --- Parts
# -----------------------------------------------------------------------------------------------------


def test_embedded_json_cannot_end_its_block() -> None:
    content = {"</script>": "<!-- & \u2028 \u2029 -->"}
    text = str(embed_json(content))
    assert not set("<>&\u2028\u2029") & set(text)
    assert json.loads(text) == content
    with pytest.raises(ValueError, match="not JSON compliant"):
        embed_json([float("nan")])


def test_page_shell_escapes_and_takes_media() -> None:
    body = render_fragment("table.html.jinja", rows=[["<a>", "b"], ["&", "1"]], caption="")
    page = render_page("<t>", "<s>", [Section("one", "<One>", body)], media=True, footer="<f>")
    for text in (
        "&lt;t&gt;",
        "&lt;s&gt;",
        "&lt;One&gt;",
        "&lt;f&gt;",
        "&lt;a&gt;",
        '<th scope="row">&amp;</th>',
    ):
        assert text in page
    assert "media-src file:" in page
    assert 'id="page-data">{}</script>' in page
    Elements(page)


def test_svg_attributes_are_escaped() -> None:
    made = element("text", "<&", title='"><script>', y1=1.5, hidden=None)
    assert str(made) == '<text title="&#34;&gt;&lt;script&gt;" y1="1.5">&lt;&amp;</text>'


def test_charts_draw_what_they_are_given() -> None:
    lines = line_chart([0, 50, 100], [Series("<a>", [0, 50, 100], "seq-0")], "x", "y")
    (points,) = re.findall(r'points="([^"]*)"', str(lines))
    assert points == "44,234 236,124 428,14"
    bars = Elements(str(bar_chart(["p", "q", "r"], [10.0, None, 20.0], "x", "y", reference=5.0)))
    heights = [float(attributes["height"] or 0) for tag, attributes in bars.found if tag == "rect"]
    assert heights[1] == pytest.approx(2 * heights[0])
    assert len(heights) == 2
    stacked = stacked_chart(
        ["1", "2"], [Series("a", [30, None], "cat-0"), Series("b", [70, None], "cat-1")], "x", "y"
    )
    boxes = [attributes for tag, attributes in Elements(str(stacked)).found if tag == "rect"]
    assert [box["data-hint"] for box in boxes] == ["1, a: 30.0 %", "1, b: 70.0 %"]
    assert sum(float(box["height"] or 0) for box in boxes) == pytest.approx(220)


def columns(rows: list[tuple[float, ...]]) -> Segments:
    video, label, start_s, end_s, score = np.array(rows, dtype=float).reshape(-1, 5).T
    return Segments(video.astype(int), label.astype(int), start_s, end_s, score)


def test_precision_at_the_number_of_annotations() -> None:
    """Video 0: of its best two, one is right up to 0.5 and the other never; video 1 has one of
    two detections."""
    annotations = columns(
        [(0, 0, 0, 10, 0), (0, 0, 20, 30, 0), (1, 0, 0, 10, 0), (1, 0, 20, 30, 0), (2, 0, 0, 1, 0)]
    )
    found = [
        (0, 0, 0, 5, 0.9),
        (0, 0, 50, 60, 0.8),
        (0, 0, 20, 30, 0.7),
        (1, 0, 0, 10, 0.6),
        (-1, 0, 0, 1, 1),
    ]
    task = TaskColumns(annotations, columns(found), ("a",), [])
    matches = match_columns(task, np.array([0.5, 0.75]))
    figure = precision_at_annotations(matches, *rows_by_video(matches))
    assert figure.tolist() == [0.25, 0.5, 0.0]


def test_videos_are_chosen_from_both_ends_and_between() -> None:
    figure = np.array([0.9, 0.1, np.nan, 0.5, 0.7, 0.3, 0.2, 0.8])
    assert choose_videos(figure, per_group=3) == dict.fromkeys([1, 6, 5, 3, 4, 7, 0], "")
    chosen = choose_videos(figure, per_group=2)
    assert [v for v, group in chosen.items() if group == "worst"] == [1, 6]
    assert [v for v, group in chosen.items() if group == "best"] == [7, 0]
    assert {v for v, group in chosen.items() if group == "random"} < {5, 3, 4}
    assert choose_videos(figure, per_group=2) == chosen


def test_large_files_are_thinned_and_it_is_said(
    tmp_path: Path, write_hacs: Callable[..., dict[str, Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video_choice, "FEWEST_DETECTIONS", 5)
    monkeypatch.setattr(video_choice.choose_videos, "__defaults__", (3,))
    text = run(write_hacs(tmp_path), tmp_path / "r.html")
    videos = page_data(text)["timeline"]["action"]["videos"]
    assert [video["group"] for video in videos] == ["worst"] * 3 + ["random"] * 3 + ["best"] * 3
    assert all(len(video["found"]) == 6 and video["more"] == 18 for video in videos)  # 2 for each annotation
    assert [video["figure"] for video in videos] == sorted(video["figure"] for video in videos)
    assert "The worst, the best and as many random videos" in text
    assert "detections, or 2 for each annotation if that is more" in text


def test_timelines_of_videos_without_annotations() -> None:
    """As `pipeline.detect` draws them."""
    video = TimelineVideo("mine", 12.345, [], [TimelineDetection(1.0, 2.0, "run", 0.123456)])
    section = timeline_section({"": [video]}, "All of it.")
    assert section.data[""] == {
        "videos": [
            {
                "id": "mine",
                "duration": 12.35,
                "figure": None,
                "group": "",
                "more": 0,
                "truth": [],
                "found": [[1.0, 2.0, 0, 0.1235, None, None]],
            }
        ],
        "labels": ["run"],
        "least": None,
    }
    assert "ground truth" not in section.body


def test_interpolated_precision_by_hand() -> None:
    """Class 0: right, wrong, right of 4; class 1: nothing right; class 2: wrong, right of 1."""
    right = np.array([True, False, True, False, False, True])
    hits = find_hits(right, np.array([0, 0, 0, 1, 2, 2]))
    found = interpolated_precision(hits, np.array([4, 1, 1]), np.array([0.0, 0.25, 0.3, 0.5, 0.75, 1.0]))
    np.testing.assert_allclose(found[0], [1, 1, 2 / 3, 2 / 3, 0, 0])
    assert found[1:].tolist() == [[0.0] * 6, [0.5] * 6]


def test_examples_in_docstrings_run() -> None:
    modules = [evaluation.metrics.interpolation, evaluation.diagnosis.characteristics]
    names = [module.name for module in pkgutil.iter_modules(evaluation.report.__path__, "evaluation.report.")]
    modules += [importlib.import_module(name) for name in names]
    results = [doctest.testmod(module) for module in modules]
    assert sum(result.attempted for result in results) >= 9
    assert sum(result.failed for result in results) == 0


def test_scoring_alone_loads_no_template_engine() -> None:
    code = (
        "import sys, evaluation.command, evaluation.stage; print({'jinja2', 'matplotlib'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
