"""The corrector in a real browser: every operation by mouse and by keys, reload, undo, files
saved and read again."""

from __future__ import annotations

import random
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("selenium", reason="the browser tests need selenium")

from selenium.webdriver import ActionChains, Keys
from selenium.webdriver.support.ui import Select, WebDriverWait

from pipeline.corrector import CorrectableVideo
from tests.browsing import browser, count, one, show
from tests.pipeline.corrector_page import LABELS, write_corrector_page
from video_datasets.formats.tools.labelling import Bout, LabelReading
from video_datasets.formats.tools.plain_labels import read_activitynet, read_label_csv

if TYPE_CHECKING:
    from selenium import webdriver

__all__ = ["browser"]
FOUND = [(0.5, 1.5, "run", 0.9), (1.0, 2.0, "run", 0.5), (2.5, 3.25, "sit <b>", 0.75)]
WRITTEN = [(start_s, end_s, label, "runs/own") for start_s, end_s, label, _ in FOUND]
MOST_S = 0.1


@pytest.fixture(scope="module")
def page(tiny_mini: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("corrector")
    video = sorted((tiny_mini / "videos").rglob("*.mp4"))[0]
    videos = [CorrectableVideo("kitchen", 4.0, video, FOUND), CorrectableVideo("no file, empty", 10.0, None)]
    return write_corrector_page(folder / "page.html", videos)


@pytest.fixture
def opened(browser: webdriver.Chrome, page: Path) -> webdriver.Chrome:
    show(browser, page, 1400)
    ready = "return document.querySelector('video').readyState >= 1"
    WebDriverWait(browser, 20).until(lambda _: browser.execute_script(ready))
    return browser


def state(browser: webdriver.Chrome, video: str = "kitchen") -> list[tuple]:
    """The segments of a video: start, end, label, source, by time."""
    script = (
        "const c = document.querySelector('[data-corrector]').corrections;"
        "return c.inOrder(c.videos.get(arguments[0])).map((s) => [s.start, s.end, s.label, s.source])"
    )
    return [tuple(row) for row in browser.execute_script(script, video)]


def keys(browser: webdriver.Chrome, *words: str) -> None:
    ActionChains(browser).send_keys(*words).perform()


def chord(browser: webdriver.Chrome, modifiers: str, key: str) -> None:
    chain = ActionChains(browser)
    for modifier in modifiers:
        chain.key_down(modifier)
    chain.send_keys(key)
    for modifier in modifiers:
        chain.key_up(modifier)
    chain.perform()


def bars(browser: webdriver.Chrome) -> list[Any]:
    """In the order of time."""
    found = browser.find_elements("css selector", "[data-bout]")
    return sorted(found, key=lambda bar: float(bar.get_attribute("x") or 0))


def drag(browser: webdriver.Chrome, bar: Any, at: float, by_s: float) -> None:
    """Drag from a place of a bar (0 its start, 1 its end) by some seconds."""
    width = bar.rect["width"]
    per_second = float(one(browser, ".corrector svg").get_attribute("width") or 0) / 4.0 * (1 - 20 / 1258)
    inset = 2 if at in (0, 1) else 0
    x = round(-width / 2 + at * width + (inset if at == 0 else -inset))
    chain = ActionChains(browser, duration=20).move_to_element_with_offset(bar, x, 0).click_and_hold()
    chain.move_by_offset(round(by_s * per_second / 2), 0).move_by_offset(round(by_s * per_second / 2), 0)
    chain.release().perform()


def go(browser: webdriver.Chrome, time_s: float) -> None:
    script = (
        "const [video, time, done] = [document.querySelector('video'), arguments[0], arguments[1]];"
        "video.addEventListener('seeked', () => done(), { once: true }); video.currentTime = time"
    )
    browser.execute_async_script(script, time_s)


def near(*rows: tuple) -> list:
    return [
        (pytest.approx(start_s, abs=0.03), pytest.approx(end_s, abs=0.03), *rest)
        for start_s, end_s, *rest in rows
    ]


# ---- mouse


def test_ends_and_middle_are_dragged(opened: webdriver.Chrome) -> None:
    drag(opened, bars(opened)[0], 0, -0.25)
    assert state(opened) == near((0.25, 1.5, "run", "person"), *WRITTEN[1:])
    drag(opened, bars(opened)[0], 1, 0.25)
    assert state(opened) == near((0.25, 1.75, "run", "person"), *WRITTEN[1:])
    drag(opened, bars(opened)[0], 0.5, 0.5)
    assert sorted(state(opened)) == near((0.75, 2.25, "run", "person"), *WRITTEN[1:])
    assert opened.get_log("browser") == []  # type: ignore[no-untyped-call]


def test_a_segment_is_drawn_relabelled_and_deleted_by_mouse(opened: webdriver.Chrome) -> None:
    row = one(opened, '.row[data-row="run"]')
    chain = ActionChains(opened, duration=20).move_to_element_with_offset(row, 300, 12).click_and_hold()
    chain.move_by_offset(100, 0).move_by_offset(100, 0).release().perform()
    (added,) = set(state(opened)) - set(WRITTEN)
    assert added[2:] == ("run", "person")
    assert added[1] - added[0] == pytest.approx(200 / 1238 * 4, abs=0.05)
    one(opened, '[data-label="eat"]').click()
    assert {row[2] for row in set(state(opened)) - set(WRITTEN)} == {"eat"}
    one(opened, '[data-do="delete"]').click()
    assert state(opened) == WRITTEN
    one(opened, '[data-do="undo"]').click()
    one(opened, '[data-do="undo"]').click()
    assert {row[2] for row in set(state(opened)) - set(WRITTEN)} == {"run"}
    one(opened, '[data-do="redo"]').click()
    assert {row[2] for row in set(state(opened)) - set(WRITTEN)} == {"eat"}
    one(opened, '[data-do="revert"]').click()
    assert state(opened) == WRITTEN


def test_a_click_selects_and_seeks(opened: webdriver.Chrome) -> None:
    bars(opened)[2].click()
    assert count(opened, ".bout.selected") == 1
    assert opened.execute_script("return document.querySelector('video').currentTime") == pytest.approx(
        2.5, abs=0.01
    )
    assert one(opened, '[data-part="about"]').text == "by runs/own, score 0.75"
    assert state(opened) == WRITTEN  # looking changes nothing


def test_times_and_labels_are_typed(opened: webdriver.Chrome) -> None:
    bars(opened)[2].click()
    for name, text in (("start", "2.75"), ("label", "nod 1")):
        one(opened, f'[data-part="{name}"]').send_keys(Keys.CONTROL + "a" + Keys.NULL, text, Keys.ENTER)
    assert state(opened)[2] == (2.75, 3.25, "nod 1", "person")
    one(opened, '[data-part="end"]').send_keys(Keys.CONTROL + "a" + Keys.NULL, "1", Keys.ENTER)
    assert "must end after it starts" in one(opened, '[data-part="status"]').text
    assert state(opened)[2][:2] == (2.75, 3.25)


# ---- keys


def test_all_of_it_by_keys(opened: webdriver.Chrome) -> None:
    keys(opened, "j")
    chord(opened, Keys.ALT, Keys.ARROW_RIGHT)
    assert state(opened)[0] == (0.54, 1.5, "run", "person")
    chord(opened, Keys.ALT + Keys.SHIFT, Keys.ARROW_LEFT)
    assert state(opened)[0] == (0.54, 1.46, "run", "person")
    go(opened, 0.25)
    keys(opened, "[")
    go(opened, 1.25)
    keys(opened, "]")
    assert state(opened)[0] == (0.25, 1.25, "run", "person")
    keys(opened, "3")
    assert state(opened)[0] == (0.25, 1.25, "jump", "person")
    keys(opened, "j", "x")
    assert [row[0] for row in state(opened)] == [0.25, 2.5]
    keys(opened, "z", "z")
    chord(opened, Keys.CONTROL, "z")
    assert state(opened)[0] == (0.25, 1.46, "run", "person")
    keys(opened, "y")
    assert state(opened)[0] == (0.25, 1.25, "run", "person")
    keys(opened, "z", "z", "z", "z")
    assert state(opened) == WRITTEN


def test_a_segment_is_added_while_the_video_plays(opened: webdriver.Chrome) -> None:
    go(opened, 0.5)
    keys(opened, Keys.ESCAPE, "4", "a", " ")
    time_of = "return document.querySelector('video').currentTime"
    WebDriverWait(opened, 20).until(lambda _: opened.execute_script(time_of) > 1.0)
    keys(opened, "a", " ")
    (added,) = set(state(opened)) - set(WRITTEN)
    assert added[2:] == ("eat", "person")
    assert added[0] == pytest.approx(0.5, abs=0.05)
    assert added[1] >= 1.0
    assert opened.execute_script("return document.querySelector('video').paused")


def test_arrows_move_and_zoom_keeps_the_place(opened: webdriver.Chrome) -> None:
    go(opened, 1.0)
    keys(opened, Keys.ARROW_RIGHT)
    chord(opened, Keys.SHIFT, Keys.ARROW_RIGHT)
    assert opened.execute_script("return document.querySelector('video').currentTime") == pytest.approx(
        2.04, abs=0.02
    )
    keys(opened, "+", "+")
    assert one(opened, '[data-part="zoom-value"]').text == "4 x"
    keys(opened, "-")
    assert one(opened, '[data-part="zoom-value"]').text == "2 x"


def test_typing_is_no_command(opened: webdriver.Chrome) -> None:
    bars(opened)[0].click()
    one(opened, '[data-part="label"]').send_keys("xzs3")
    assert len(state(opened)) == 3


# ---- kept, saved


def test_a_closed_tab_loses_nothing(opened: webdriver.Chrome) -> None:
    keys(opened, "j", "x", "j", "2")
    Select(one(opened, '[data-part="videos"]')).select_by_visible_text("no file, empty")
    one(opened, "body").click()
    keys(opened, Keys.ESCAPE, "1", "a")
    chord(opened, Keys.SHIFT, Keys.ARROW_RIGHT)
    keys(opened, "a")
    before = state(opened), state(opened, "no file, empty")
    assert len(before[0]) == 2
    assert before[1] == [(0.0, 1.0, "run", "person")]
    opened.refresh()
    assert (state(opened), state(opened, "no file, empty")) == before
    assert "2 of 2 videos changed, kept in this browser" in one(opened, '[data-part="kept"]').text


def test_saved_files_are_labels(opened: webdriver.Chrome, tmp_path: Path) -> None:
    behaviour = {"behavior": "allow", "downloadPath": str(tmp_path)}
    opened.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
    keys(opened, "j", "2", "s")
    one(opened, '[data-do="json"]').click()
    expected = {Bout(0.5, 1.5, "sit <b>", source="person")} | {
        Bout(start_s, end_s, label, source="runs/own", score=score)
        for start_s, end_s, label, score in FOUND[1:]
    }
    for name in ("corrected.csv", "corrected.json"):
        WebDriverWait(opened, 20).until(lambda _, name=name: (tmp_path / name).is_file())
    csv = read_label_csv(tmp_path / "corrected.csv", LabelReading())
    assert [video.video_id for video in csv.videos] == ["kitchen", "no file, empty"]
    assert set(csv.videos[0].bouts) == expected
    json = read_activitynet(tmp_path / "corrected.json", LabelReading())
    assert {(b.start_s, b.end_s, b.label) for b in json.videos[0].bouts} == {
        (b.start_s, b.end_s, b.label) for b in expected
    }
    assert json.videos[0].duration_s == 4.0


def test_only_what_was_looked_through_is_saved(opened: webdriver.Chrome, tmp_path: Path) -> None:
    behaviour = {"behavior": "allow", "downloadPath": str(tmp_path)}
    opened.execute_cdp_cmd("Browser.setDownloadBehavior", behaviour)
    keys(opened, "d")
    assert one(opened, '[data-part="done"]').is_selected()
    opened.refresh()
    assert one(opened, '[data-part="done"]').is_selected()
    one(opened, '[data-do="csv"]').click()
    WebDriverWait(opened, 20).until(lambda _: (tmp_path / "corrected.csv").is_file())
    found = read_label_csv(tmp_path / "corrected.csv", LabelReading())
    assert [video.video_id for video in found.videos] == ["kitchen"]
    assert "1 of 2 videos, those that were looked through" in one(opened, '[data-part="status"]').text
    one(opened, '[data-part="done"]').click()
    assert "all, since none is marked" not in one(opened, '[data-part="status"]').text
    one(opened, '[data-do="json"]').click()
    assert "2 of 2 videos, all, since none is marked" in one(opened, '[data-part="status"]').text


def test_pages_of_other_detections_keep_other_corrections(
    opened: webdriver.Chrome, page: Path, tmp_path: Path
) -> None:
    keys(opened, "j", "x")
    other = write_corrector_page(tmp_path / "page.html", [CorrectableVideo("kitchen", 4.0, None, FOUND[:2])])
    opened.get(other.as_uri())
    assert len(state(opened)) == 2
    opened.get(page.as_uri())
    assert len(state(opened)) == 2


# ---- looks, speed


@pytest.mark.parametrize(("width", "theme"), [(400, "dark"), (1400, "light")])
def test_fits_and_labels_stay_text(browser: webdriver.Chrome, page: Path, width: int, theme: str) -> None:
    show(browser, page, width, theme)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert count(browser, "b") == 0
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]


def thread_seconds(browser: webdriver.Chrome) -> float:
    metrics = browser.execute_cdp_cmd("Performance.getMetrics", {})["metrics"]
    return float(next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration"))


def test_two_thousand_segments_react_at_once(browser: webdriver.Chrome, tmp_path: Path) -> None:
    chance = random.Random(0)
    starts = sorted(chance.uniform(0, 3590) for _ in range(2000))
    found = [
        (start_s, start_s + chance.uniform(0.5, 9), chance.choice(LABELS), chance.random())
        for start_s in starts
    ]
    page = write_corrector_page(tmp_path / "hour.html", [CorrectableVideo("hour", 3600.0, None, found)])
    show(browser, page)
    # Seconds of the page's own thread, so that other work on the machine matters little.
    browser.execute_cdp_cmd("Performance.enable", {"timeDomain": "threadTicks"})
    spent: dict[str, float] = {}
    for key in ["j", "1", "2", "x", "z", "y", "+", "-"] * 6:
        before_s = thread_seconds(browser)
        keys(browser, key)
        browser.execute_script("document.body.getBoundingClientRect()")  # laid out as well
        spent[key] = min(spent.get(key, 1.0), thread_seconds(browser) - before_s)
    browser.execute_cdp_cmd("Performance.disable", {})
    assert max(spent.values()) < MOST_S, spent
    assert len(state(browser, "hour")) == 1994  # every round has deleted one


def test_what_is_drawn_is_the_list(browser: webdriver.Chrome, page: Path) -> None:
    """Bars are kept from one drawing to the next: after any order of steps they are those that a
    new page draws."""
    show(browser, page)
    drawn = """
      return [...document.querySelectorAll(".row")].map((row) => [row.dataset.row, row.getAttribute("height"),
        row.parentNode.getAttribute("transform"), [...row.parentNode.querySelectorAll(".bout")].map((bar) =>
          ["x", "y", "width", "class"].map((name) => bar.getAttribute(name)).join(" ")).sort()]).sort()"""
    chance = random.Random(0)
    for step in range(60):
        keys(browser, chance.choice(["j", "k", "1", "2", "3", "x", "z", "z", "y", "+", "-", "a"]))
        if step % 12 == 11:
            keys(browser, Keys.ESCAPE, "1")  # the label to add next is not kept
            before = state(browser), browser.execute_script(drawn)
            zoom = one(browser, '[data-part="zoom"]').get_attribute("value")
            browser.refresh()
            keys(browser, *"+" * int(zoom or 0))
            assert (state(browser), browser.execute_script(drawn)) == before
