"""Drawing in the page, in a real browser."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import faultless_page, opened
from faces import Program
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect
from serving import Server
from small_models import DigitsWorld

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder(digits: DigitsWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    (folder / "digits" / "1").mkdir(parents=True)
    (folder / "digits" / "1" / "model.pt").write_bytes(digits.package.read_bytes())
    return folder


@pytest.fixture(scope="module")
def server(program: Program, folder: Path) -> Iterator[Server]:
    with Server(program, folder, "--threads", 1) as running:
        yield running


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    with faultless_page(browser, server.url) as page:
        yield page


def drawn(page: Page) -> bytes:
    """What is on the canvas, as a PNG."""
    url = str(page.locator("canvas.draw").evaluate("canvas => canvas.toDataURL('image/png')"))
    return base64.b64decode(url.partition(",")[2])


def ink(picture: bytes) -> tuple[int, int, int, int] | None:
    """The box around what is white."""
    with Image.open(io.BytesIO(picture)) as opened_picture:
        return opened_picture.convert("L").getbbox()


def test_a_drawing_is_classified_after_each_stroke(page: Page, server: Server) -> None:
    answer = opened(page, server.url, "digits")
    page.get_by_label("Cut out what is drawn").uncheck()
    canvas = page.locator("canvas.draw")
    canvas.scroll_into_view_if_needed()
    area = canvas.bounding_box()
    assert area is not None
    assert ink(drawn(page)) is None
    page.mouse.move(area["x"] + area["width"] / 2, area["y"] + area["height"] * 0.2)
    page.mouse.down()
    page.mouse.move(area["x"] + area["width"] / 2, area["y"] + area["height"] * 0.8, steps=10)
    page.mouse.up()
    expect(answer.locator(".best")).to_be_visible()
    picture = drawn(page)
    left, top, right, bottom = ink(picture) or (0, 0, 0, 0)
    assert (left, top, right, bottom) == pytest.approx((129, 45, 151, 235), abs=4)
    expected = server.ask("/v1/models/digits:run", picture).json
    expect(answer.locator(".bars li").first).to_contain_text(expected["label"])
    expect(answer.locator(".bars li").first).to_contain_text(f"{100 * expected['probability']:.2f} %")
    page.get_by_role("button", name="Clear").click()
    expect(answer.locator(".best")).to_have_count(0)
    assert ink(drawn(page)) is None


def test_a_drawing_is_made_with_the_keyboard(page: Page, server: Server) -> None:
    answer = opened(page, server.url, "digits")
    page.locator("canvas.draw").focus()
    for key in ["ArrowUp"] * 5 + ["Space"] + ["ArrowDown"] * 10:
        page.keyboard.press(key)
    assert ink(drawn(page)) == pytest.approx((129, 59, 151, 221), abs=4)
    expect(answer.locator(".best")).to_be_visible()
    page.keyboard.press("Delete")
    expect(answer.locator(".best")).to_have_count(0)
    assert ink(drawn(page)) is None


SLOW_PICTURE = """() => {
  const made = HTMLCanvasElement.prototype.toBlob;
  HTMLCanvasElement.prototype.toBlob = function (...all) { setTimeout(() => made.apply(this, all), 300); };
}"""
SLOW_ANSWER = """() => {
  const asked = window.fetch;
  window.fetch = async (...all) => {
    const reply = await asked(...all);
    await new Promise((done) => setTimeout(done, 300));
    return reply;
  };
}"""


def drawn_a_line(page: Page) -> None:
    page.locator("canvas.draw").focus()
    for key in ["Space", "ArrowDown"]:
        page.keyboard.press(key)


def none_comes(page: Page, answer: Locator) -> None:
    assert ink(drawn(page)) is None
    page.wait_for_timeout(900)
    expect(answer.locator(".best")).to_have_count(0)
    expect(answer).to_have_attribute("aria-busy", "false")
    expect(page.get_by_role("button", name="Explain")).to_be_disabled()


def test_what_is_deleted_is_not_asked_later(page: Page, server: Server) -> None:
    answer = opened(page, server.url, "digits")
    asked: list[str] = []
    page.on("request", lambda one: asked.append(one.url) if one.url.endswith(":run") else None)
    page.evaluate(SLOW_PICTURE)
    drawn_a_line(page)
    page.keyboard.press("Delete")
    none_comes(page, answer)
    assert asked == []


def test_what_is_deleted_is_not_answered_later(page: Page, server: Server) -> None:
    answer = opened(page, server.url, "digits")
    page.evaluate(SLOW_ANSWER)
    with page.expect_request("**/*:run"):
        drawn_a_line(page)
    page.keyboard.press("Delete")
    none_comes(page, answer)
