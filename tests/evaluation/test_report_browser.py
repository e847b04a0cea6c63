"""The page in a real browser: Debian's chromium through its driver; skipped where one of them is
missing."""

from __future__ import annotations

import base64
import re
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("selenium", reason="the browser tests need selenium")

from selenium import webdriver
from selenium.webdriver.common.by import By

from evaluation.__main__ import main as behaviour
from tests.browsing import browser, count, one, show

__all__ = ["browser"]  # a fixture

LIGHT, DARK = "rgb(250, 250, 248)", "rgb(20, 23, 27)"
A4_PX = 794 - 2 * 57  # 210 mm at 96 dots an inch, less the margins of 15 mm


def texts(browser: webdriver.Chrome, selector: str) -> list[str]:
    return [found.text for found in browser.find_elements(By.CSS_SELECTOR, selector) if found.is_displayed()]


def slide(browser: webdriver.Chrome, selector: str, value: int) -> None:
    script = (
        "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('input', {bubbles: true}))"
    )
    browser.execute_script(script, one(browser, selector), value)


@pytest.mark.parametrize("name", ["hacs_report", "proposals_report", "ek100_report"])
@pytest.mark.parametrize(("width", "theme"), [(400, "dark"), (1400, "light")])
def test_opens_without_errors_and_fits(
    browser: webdriver.Chrome, request: pytest.FixtureRequest, name: str, width: int, theme: str
) -> None:
    show(browser, request.getfixturevalue(name), width, theme)
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert browser.execute_script("return window.broken") is None  # no label ran as script
    assert count(browser, "[data-segment]") > 0
    assert "visible" in one(browser, ".timeline").value_of_css_property("visibility")


def test_numbers_of_two_labellings_fit_a_phone(browser: webdriver.Chrome, tmp_path: Path) -> None:
    bouts = [
        f"a,{start},{start + 4},behaviour {start}\na,{start}.5,{start}.5,point {start}\n"
        for start in range(7)
    ]
    (tmp_path / "a.csv").write_text("video,start_s,end_s,label\n" + "".join(bouts))
    words = ["--ground-truth", str(tmp_path / "a.csv"), "--predictions", str(tmp_path / "a.csv")]
    page = tmp_path / "page.html"
    assert behaviour(["--protocol", "behaviour", *words, "--report", str(page)]) == 0
    show(browser, page, 400, "dark")
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]
    assert count(browser, ".cards tr") == 1 + 7 + 1 + 14 + 1 + 7 + 1 + 14  # cells, budgets, points, rates
    wide = (
        "return [...document.querySelectorAll('.scroll')].filter((e) => e.scrollWidth > e.clientWidth).length"
    )
    assert browser.execute_script(wide) == 0
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 400


def test_themes(browser: webdriver.Chrome, hacs_report: Path) -> None:
    def ground() -> str:
        return browser.execute_script("return getComputedStyle(document.body).backgroundColor")

    for theme, expected in (("light", LIGHT), ("dark", DARK)):
        show(browser, hacs_report, theme=theme)
        assert ground() == expected
    button = one(browser, "#theme")
    button.click()
    assert (button.text, ground()) == ("Theme: light", LIGHT)
    button.click()
    assert (button.text, ground()) == ("Theme: dark", DARK)
    browser.refresh()
    assert one(browser, "#theme").text == "Theme: dark"  # remembered
    one(browser, "#theme").click()
    assert one(browser, "#theme").text == "Theme: auto"  # and left so for the other tests


def test_threshold_filters_detections(browser: webdriver.Chrome, hacs_report: Path) -> None:
    show(browser, hacs_report)
    detections = "[data-segment]:not(.truth)"
    assert 0 < count(browser, detections) < 24  # opens at the score of the best F1
    slide(browser, "[data-threshold]", 0)
    before, truth = count(browser, detections), count(browser, "[data-segment].truth")
    assert (before, truth) == (24, 3)
    slide(browser, "[data-threshold]", 500)
    half = count(browser, detections)
    assert 0 < half < before
    least = float(one(browser, "[data-threshold-value]").text)
    assert f"{half} of 24 detections" in one(browser, "[data-shown]:not(.controls *)").text
    hints = [found.get_attribute("data-hint") for found in browser.find_elements(By.CSS_SELECTOR, detections)]
    scores = [float(re.search(r"score: ([\d.e-]+)", hint or "")[1]) for hint in hints]  # type: ignore[index]
    assert min(scores) >= least * 0.999
    slide(browser, "[data-threshold]", 1000)
    assert count(browser, detections) <= 1
    assert count(browser, "[data-segment].truth") == truth


def test_click_selects_and_hover_shows_values(browser: webdriver.Chrome, hacs_report: Path) -> None:
    show(browser, hacs_report)
    browser.execute_script(
        "document.addEventListener('segment-selected', (event) => { window.selected = event.detail; })"
    )
    bar = one(browser, "[data-segment]:not(.truth)")
    bar.click()
    assert "selected" in (bar.get_attribute("class") or "")
    shown = dict(zip(texts(browser, ".details dt"), texts(browser, ".details dd"), strict=True))
    assert shown["what"] == "detection"
    assert {"label", "start", "end", "score", "tIoU with its label"} <= set(shown)
    selected = browser.execute_script("return window.selected")
    assert shown["start"] == f"{selected['start_s']:.2f} s"
    assert selected["video"] == one(browser, "[data-title]").text
    truth = one(browser, "[data-segment].truth")
    truth.click()
    assert count(browser, ".selected") == 1
    assert texts(browser, ".details dd")[0] == "ground truth"
    webdriver.ActionChains(browser).move_to_element(bar).perform()
    assert f"score: {shown['score']}" in one(browser, "#hint").text


def test_search_of_videos(browser: webdriver.Chrome, hacs_report: Path) -> None:
    show(browser, hacs_report)
    assert len(texts(browser, "[data-videos] button")) == 12
    search = one(browser, ".videos [data-search]")
    search.send_keys("<b onclick")
    assert texts(browser, "[data-count]") == ["1 of 12 videos"]
    assert one(browser, "[data-title]").text == "<b onclick='window.broken = 3'>"
    search.clear()
    search.send_keys("HULA")  # a label, whatever the case
    assert 0 < len(texts(browser, "[data-videos] button")) <= 12
    search.clear()
    search.send_keys("nothing is called so")
    assert texts(browser, "[data-videos] button") == []
    assert one(browser, "[data-title]").text == "No video fits the search"
    search.clear()
    search.send_keys("video 03")
    browser.find_elements(By.CSS_SELECTOR, "[data-videos] button")[0].click()
    assert one(browser, "[data-title]").text == "video 03"
    assert browser.execute_script("return window.broken") is None


def test_zoom_widens_the_drawing_and_keeps_names_in_sight(
    browser: webdriver.Chrome, hacs_report: Path
) -> None:
    show(browser, hacs_report)
    before = one(browser, "[data-scroll] svg").size["width"]
    slide(browser, "[data-zoom]", 3)
    assert one(browser, "[data-scroll] svg").size["width"] == pytest.approx(8 * before, rel=0.01)
    browser.execute_script("arguments[0].scrollLeft = 900", one(browser, "[data-scroll]"))
    browser.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")
    assert float(one(browser, "[data-scroll] .name").get_attribute("x") or 0) == pytest.approx(910, abs=2)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 1400


def test_table_sorts_and_searches(browser: webdriver.Chrome, hacs_report: Path) -> None:
    show(browser, hacs_report)
    rows = "#classes tbody tr"

    def column(number: int) -> list[str]:
        return texts(browser, f"{rows} > :nth-child({number})")

    averages = [float(value) for value in column(4)]
    assert averages == sorted(averages, reverse=True)
    one(browser, "#classes thead th:nth-child(4) button").click()
    assert [float(value) for value in column(4)] == averages[::-1]
    assert one(browser, "#classes thead th:nth-child(4)").get_attribute("aria-sort") == "ascending"
    one(browser, "#classes thead th:nth-child(1) button").click()
    names = column(1)
    script = "return arguments[0].sort((a, b) => a.localeCompare(b, 'en', {numeric: true}))"
    assert names == browser.execute_script(script, list(names))
    one(browser, "#classes [data-search]").send_keys("script")
    assert len(column(1)) == 2
    assert texts(browser, "#classes [data-shown]") == ["2 of 6 classes"]


def test_curves_of_one_class(browser: webdriver.Chrome, hacs_report: Path) -> None:
    show(browser, hacs_report)
    line = one(browser, "#curves .line")
    mean = line.get_attribute("points")
    options = browser.find_elements(By.CSS_SELECTOR, "[data-pr-class] option")
    assert len(options) == 7
    label = options[1].text
    options[1].click()
    changed = line.get_attribute("points") or ""
    assert changed != mean
    # The area below the curve at 51 recalls is about the AP of the class in the table.
    heights = [(234 - float(point.split(",")[1])) / 220 for point in changed.split()]
    table = dict(
        zip(
            texts(browser, "#classes tbody th"), texts(browser, "#classes tbody td:nth-child(5)"), strict=True
        )
    )
    assert 100 * sum(heights[1:]) / 50 == pytest.approx(float(table[label]), abs=3)
    options[0].click()
    assert line.get_attribute("points") == mean
    chart = one(browser, "#curves [data-line-chart]")
    for _ in range(20):  # the page answers when it gets to it
        webdriver.ActionChains(browser).move_to_element_with_offset(chart, 5, 0).move_by_offset(
            3, 0
        ).perform()
        if one(browser, "#hint").text:
            break
        time.sleep(0.1)
    assert one(browser, "#hint").text.startswith("recall (%): ")


def test_tasks_switch(browser: webdriver.Chrome, ek100_report: Path) -> None:
    show(browser, ek100_report, 400)
    for task in ("verb", "noun", "action"):
        one(browser, f"[data-show-task='{task}']").click()
        shown = [
            found.get_attribute("data-task")
            for found in browser.find_elements(By.CSS_SELECTOR, "[data-task]")
            if found.is_displayed()
        ]
        assert shown == [task] * 5
        drawing = one(browser, f"[data-timeline-task='{task}'] [data-scroll]")
        assert drawing.find_element(By.CSS_SELECTOR, "svg").size["width"] > 250
        assert browser.execute_script("return document.documentElement.scrollWidth") <= 400


def test_print_view_fits(browser: webdriver.Chrome, ek100_report: Path) -> None:
    show(browser, ek100_report, A4_PX, theme="dark", media="print")
    browser.execute_script("window.dispatchEvent(new Event('beforeprint'))")
    assert browser.execute_script("return document.documentElement.scrollWidth") <= A4_PX
    ground = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert ground == "rgb(255, 255, 255)"
    for selector in ("nav", "#theme", ".videos", ".controls"):
        assert not one(browser, selector).is_displayed()
    assert all(task.is_displayed() for task in browser.find_elements(By.CSS_SELECTOR, "[data-task]"))
    sides: list[Any] = browser.execute_script(
        "return [...document.querySelectorAll('svg, table, figure')].map((e) => e.getBoundingClientRect().right)"
    )
    assert max(sides) <= A4_PX + 1
    printed = browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True, "preferCSSPageSize": True})
    pdf = base64.b64decode(printed["data"])
    assert pdf.startswith(b"%PDF")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 20
