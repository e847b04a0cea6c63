"""The pages of detect and report in a real browser: no errors, labels stay text, a click plays
the local video."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("selenium", reason="the browser tests need selenium")

from selenium.webdriver.support.ui import WebDriverWait

from pipeline.detect import main as detect
from pipeline.report import main as report
from tests.browsing import browser, count, one, show

if TYPE_CHECKING:
    from selenium import webdriver

__all__ = ["browser"]
SCRIPTS = 9
"""The page's data, its own four scripts, the player's, the corrector's three."""
SIZES = pytest.mark.parametrize(("width", "theme"), [(400, "dark"), (1400, "light")])


@pytest.fixture(scope="module")
def detect_page(two_head_run: Path, tiny_mini: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Page of two readable videos and a damaged one; one class is called like a script, and so
    is one file."""
    folder = tmp_path_factory.mktemp("detect_page")
    (folder / "videos").mkdir()
    for name, video in zip(
        ("plain.mp4", "<script>alert(1)<& '#?.mp4"),
        sorted((tiny_mini / "videos").rglob("*.mp4")),
        strict=False,
    ):
        (folder / "videos" / name).symlink_to(video)
    (folder / "videos/bad <b>.mp4").write_text("no video")
    words = ["--run", str(two_head_run), "--out", str(folder / "out"), "--min-score", "0", "--top", "300"]
    assert detect([str(folder / "videos"), *words]) == 1
    return folder / "out/index.html"


@pytest.fixture(scope="module")
def report_page(tiny_run: Path) -> Path:
    assert report(["--run", str(tiny_run)]) == 0
    return tiny_run / "report.html"


def playing(browser: webdriver.Chrome) -> Any:
    """Where the player stands, once it has its video."""
    script = "const v = document.querySelector('[data-player] video'); return v.readyState < 2 ? null : v.currentTime"
    return WebDriverWait(browser, 20).until(lambda _: browser.execute_script(script) or None)


@SIZES
@pytest.mark.parametrize("name", ["detect_page", "report_page"])
def test_opens_without_errors_and_fits(
    browser: webdriver.Chrome, request: pytest.FixtureRequest, name: str, width: int, theme: str
) -> None:
    show(browser, request.getfixturevalue(name), width, theme)
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    assert count(browser, "[data-segment]") > 0
    assert count(browser, "script") == SCRIPTS  # no label, id or file name has become one
    assert count(browser, "b") == 0


@pytest.mark.parametrize("name", ["detect_page", "report_page"])
def test_a_small_still_shows_the_video_until_a_segment_is_selected(
    browser: webdriver.Chrome, request: pytest.FixtureRequest, name: str
) -> None:
    show(browser, request.getfixturevalue(name))
    assert playing(browser) > 0  # where its first segment is, and paused
    video = one(browser, "[data-player] video")
    assert browser.execute_script("return arguments[0].paused", video)
    assert video.size["width"] == 160


@pytest.mark.parametrize("name", ["detect_page", "report_page"])
def test_a_click_plays_the_segment(
    browser: webdriver.Chrome, request: pytest.FixtureRequest, name: str
) -> None:
    show(browser, request.getfixturevalue(name))
    segments = browser.find_elements("css selector", "[data-segment]")
    bar = max(segments, key=lambda found: found.location["x"])  # not from 0
    before = bar.location
    bar.click()
    assert "selected" in (bar.get_attribute("class") or "")
    text = one(browser, "[data-player-text]").text
    start_s, end_s = (float(word) for word in text.rsplit(", ", 1)[1].removesuffix(" s").split(" to "))
    assert 0 < start_s < end_s
    assert start_s - 0.05 <= playing(browser) <= end_s + 0.5
    assert "selected" in (bar.get_attribute("class") or "")
    assert bar.location == before  # the page does not jump below the pointer
    assert browser.get_log("browser") == []  # type: ignore[no-untyped-call]


def test_odd_names_are_shown_and_played(browser: webdriver.Chrome, detect_page: Path) -> None:
    show(browser, detect_page)
    buttons = browser.find_elements("css selector", "[data-videos] button")
    next(button for button in buttons if "<script>alert(1)<& '#?" in button.text).click()
    bar = one(browser, "[data-segment]")
    browser.execute_script("arguments[0].dispatchEvent(new MouseEvent('click', {bubbles: true}))", bar)
    assert one(browser, "[data-player-text]").text.startswith("<script>alert(1)<& '#?, ")
    playing(browser)
    assert "%3Cscript%3Ealert%281%29%3C%26%20%27%23%3F.mp4" in browser.execute_script(
        "return document.querySelector('video').src"
    )
    assert "bad <b>.mp4" in one(browser, "#failed").text


def test_without_the_files_the_page_is_whole(
    browser: webdriver.Chrome, report_page: Path, tmp_path: Path
) -> None:
    moved = tmp_path / "elsewhere.html"
    moved.write_bytes(report_page.read_bytes())
    show(browser, moved)
    assert count(browser, "[data-segment]") > 0
    bar = one(browser, "[data-segment]")
    browser.execute_script("arguments[0].dispatchEvent(new MouseEvent('click', {bubbles: true}))", bar)
    WebDriverWait(browser, 20).until(
        lambda _: "cannot be played here" in one(browser, "[data-player-text]").text
    )
    assert count(browser, ".selected") == 1


def test_skipped_items_and_defaults_unfold(browser: webdriver.Chrome, report_page: Path) -> None:
    show(browser, report_page, 400)
    details = one(browser, "#configuration details")
    assert "features.dtype" not in one(browser, "#configuration").text
    details.find_element("css selector", "summary").click()
    assert "features.dtype" in one(browser, "#configuration").text
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 400
