"""The page that a server has for people, in a real browser."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import FAINT, UNNAMED, faultless_page, lines, opened
from faces import Program
from playwright.sync_api import Browser, Page, expect
from serving import Server
from small_models import DigitsWorld, make_scale
from small_texts import make_classifier, make_writer

pytestmark = pytest.mark.browser
_ROOT = Path(__file__).parents[2]
MODELS = ("bag", "digits", "letters-gpt", "scale")


@pytest.fixture(scope="module")
def folder(digits: DigitsWorld, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home") / "models"
    make_classifier(folder / "bag")
    make_writer(folder / "letters-gpt", "gpt")
    for name in ("digits", "scale", "broken"):
        (folder / name / "1").mkdir(parents=True)
    (folder / "digits" / "1" / "model.pt").write_bytes(digits.package.read_bytes())
    make_scale(folder / "scale" / "1" / "model.pt")
    (folder / "broken" / "1" / "model.pt").write_text("no package")
    return folder


@pytest.fixture(scope="module")
def server(program: Program, folder: Path) -> Iterator[Server]:
    with Server(program, folder, "--threads", 1) as running:
        yield running


@pytest.fixture(params=["light", "dark"])
def scheme(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    with faultless_page(browser, server.url) as page:
        yield page


def test_models_are_cards(page: Page, server: Server) -> None:
    page.goto(server.url)
    cards = page.locator("#models .card")
    expect(cards).to_have_count(5)
    expect(page.locator("#health")).to_have_text("4 of 5 models ready")
    digits = cards.filter(has_text="digits")
    expect(digits.locator(".badge")).to_have_text("ready")
    expect(digits).to_contain_text("Handwritten digits")
    expect(digits).to_contain_text("10 classes")
    expect(digits).to_contain_text("Apache-2.0")
    broken = cards.filter(has_text="broken")
    expect(broken.locator(".badge")).to_have_text("not ready")
    expect(broken).to_contain_text("not a package")


def test_a_picture_is_classified(page: Page, server: Server, digits: DigitsWorld) -> None:
    answer = opened(page, server.url, "digits")
    page.get_by_label("Picture", exact=True).check()
    page.get_by_label("Choose a picture").set_input_files(digits.pictures[0])
    expected = server.ask("/v1/models/digits:run", digits.pictures[0].read_bytes()).json
    expect(answer.locator(".best")).to_contain_text(expected["label"])
    expect(answer.locator(".bars li")).to_have_count(5)
    expect(answer.locator(".bars li").first).to_contain_text(f"{100 * expected['probability']:.2f} %")


def test_what_is_no_picture_is_said_in_a_sentence(page: Page, server: Server, tmp_path: Path) -> None:
    wrong = tmp_path / "notes.png"
    wrong.write_text("Once upon a time")
    answer = opened(page, server.url, "digits")
    page.get_by_label("Picture", exact=True).check()
    page.get_by_label("Choose a picture").set_input_files(wrong)
    expect(answer.get_by_role("alert")).to_have_text(
        re.compile(r"This is not an image .*; PNG or JPEG is needed\.")
    )


def test_a_text_is_classified_with_the_keyboard_alone(page: Page, server: Server) -> None:
    page.goto(server.url)
    expect(page.locator("#models .card")).to_have_count(5)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the model")).to_be_focused()
    card = page.get_by_role("link", name="bag", exact=True)
    for _ in range(12):
        if card.evaluate("link => link === document.activeElement"):
            break
        page.keyboard.press("Tab")
    expect(card).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#panel > .name")).to_have_text("bag")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Text", exact=True)).to_be_focused()
    page.keyboard.type("w1 w2 w3")
    page.keyboard.press("Enter")
    expected = server.ask("/v1/models/bag:run", b"w1 w2 w3").json
    expect(page.locator(".answer .best")).to_contain_text(expected["label"])
    expect(page.locator(".answer .bars li")).to_have_count(3)


def test_a_picture_is_explained(page: Page, server: Server, digits: DigitsWorld) -> None:
    answer = opened(page, server.url, "digits")
    button = page.get_by_role("button", name="Explain")
    expect(button).to_be_disabled()
    page.get_by_label("Picture", exact=True).check()
    page.get_by_label("Choose a picture").set_input_files(digits.pictures[0])
    expect(answer.locator(".best")).to_be_visible()
    button.click()
    expected = server.ask("/v1/models/digits:explain", digits.pictures[0].read_bytes()).json
    expect(answer.locator(".why")).to_contain_text(f"Why {expected['label']}")
    cells = answer.locator(".cells span")
    expect(cells).to_have_count(64)
    values = [value for row in expected["heatmap"]["values"] for value in row]
    strongest = max(range(64), key=lambda k: abs(values[k]))
    side = "for" if values[strongest] > 0 else "against"
    expect(cells.nth(strongest)).to_have_attribute("data-side", side)
    share = cells.nth(strongest).evaluate("cell => getComputedStyle(cell).getPropertyValue('--part')")
    assert float(share) == pytest.approx(1)
    expect(answer.locator(".heat canvas")).to_have_js_property("width", 8)
    expect(answer).to_contain_text("percentage points")
    expect(answer.locator(".legend")).to_contain_text("without this part the probability falls")


def test_a_text_is_explained(page: Page, server: Server) -> None:
    answer = opened(page, server.url, "bag")
    button = page.get_by_role("button", name="Explain")
    button.click()
    expect(answer.get_by_role("alert")).to_have_text("Type something first.")
    page.get_by_label("Text", exact=True).fill("w1 w2 w3")
    button.focus()
    page.keyboard.press("Enter")
    expected = server.ask("/v1/models/bag:explain", b"w1 w2 w3").json
    words = answer.locator(".marked .word")
    expect(words).to_have_text(["w1", "w2", "w3"])
    for k, token in enumerate(expected["tokens"]):
        if abs(token["value"]) > 0.006:  # less has no colour
            side = "for" if token["value"] > 0 else "against"
            expect(words.nth(k)).to_have_attribute("data-side", side)
    expect(answer).to_contain_text(re.compile(r"Most depends on “w\d” \([+\u2212]\d+\.\d\)"))


@pytest.mark.parametrize("model", ["bag", "digits"])
def test_an_explanation_can_be_read_on_a_phone(
    browser: Browser, server: Server, digits: DigitsWorld, scheme: Any, model: str
) -> None:
    context = browser.new_context(
        viewport={"width": 360, "height": 740}, color_scheme=scheme, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    answer = opened(page, server.url, model)
    if model == "digits":
        page.get_by_label("Picture", exact=True).check()
        page.get_by_label("Choose a picture").set_input_files(digits.pictures[0])
    else:
        page.get_by_label("Text", exact=True).fill("w1 w2 w3 w4 w5")
    page.get_by_role("button", name="Explain").click()
    expect(answer.locator(".legend")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate(FAINT) == []
    context.close()


def test_an_empty_text_is_not_sent(page: Page, server: Server) -> None:
    answer = opened(page, server.url, "bag")
    page.get_by_role("button", name="Run").click()
    expect(answer.get_by_role("alert")).to_have_text("Type something first.")


def test_a_text_is_written_as_the_sliders_say(page: Page, server: Server) -> None:
    answer = opened(page, server.url, "letters-gpt")
    page.get_by_label("Prompt").fill("the quick brown")
    page.get_by_label("Length").press("Home")
    for _ in range(11):
        page.get_by_label("Length").press("ArrowRight")
    page.get_by_label("Temperature").press("Home")
    page.get_by_role("button", name="Write").click()
    request = b'{"text_input": "the quick brown", "parameters": {"max_tokens": 12}}'
    expected = server.ask("/v2/models/letters-gpt/generate", request).json["text_output"]
    expect(page.get_by_role("status").filter(has_text="The length is reached")).to_be_visible()
    assert answer.locator(".written").text_content() == expected
    assert '"max_tokens":12,"temperature":0,' in lines(page, "curl")


def test_tensors_go_in_as_json_and_come_out_as_a_table(page: Page, server: Server) -> None:
    answer = opened(page, server.url, "scale")
    request = page.get_by_label("Request")
    page.get_by_role("button", name="Run").click()
    expect(answer.locator("h4")).to_contain_text("y float32 [1, 1, 8, 8]")
    expect(answer.locator("tr")).to_have_count(8)
    expect(answer.locator("td").nth(1)).to_have_text("0.74")  # twice the 0.37 of the example
    request.fill(request.input_value().replace("0.37", "7"))
    page.get_by_role("button", name="Run").click()
    expect(answer.get_by_role("alert")).to_have_text("scale: forward: x: a value is NaN or outside 0 to 1.")
    request.fill("{")
    page.get_by_role("button", name="Run").click()
    expect(answer.get_by_role("alert")).to_contain_text("This is not JSON")


def test_a_server_that_goes_away_is_missed(browser: Browser, program: Program, folder: Path) -> None:
    context = browser.new_context()
    page = context.new_page()
    with Server(program, folder, "--threads", 1) as running:
        page.goto(running.url)
        expect(page.locator("#health")).to_have_text("4 of 5 models ready")
    expect(page.locator("#health")).to_have_text(
        "The server does not answer. Is it still running?", timeout=10_000
    )
    context.close()


def test_no_script_and_no_style_but_the_page_s_own(server: Server) -> None:
    for path in ("/", "/page/page.js", "/page/page.css", "/page/icon.svg"):
        headers = server.ask(path).headers
        assert headers["content-security-policy"].startswith("default-src 'self'; ")
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-frame-options"] == "DENY"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
    assert server.ask("/page/page.js").headers["content-type"] == "text/javascript; charset=utf-8"
    assert server.ask("/page/files.h").status == 404
    assert server.ask("/page/..%2Ffiles.h").status == 404


@pytest.mark.parametrize("model", MODELS)
def test_it_can_be_read_on_a_phone(browser: Browser, server: Server, scheme: Any, model: str) -> None:
    context = browser.new_context(
        viewport={"width": 360, "height": 740}, color_scheme=scheme, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    opened(page, server.url, model)
    expect(page.locator("#models .card")).to_have_count(5)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate(FAINT) == []
    assert page.evaluate(UNNAMED) == []
    context.close()


def test_where_the_focus_is_can_be_seen(page: Page, server: Server) -> None:
    opened(page, server.url, "letters-gpt")
    for name in ("Prompt", "Temperature", "Seed"):
        page.get_by_label(name).focus()
        page.keyboard.press("Shift")
        width = page.get_by_label(name).evaluate("one => getComputedStyle(one).outlineWidth")
        assert width == "3px", name


@pytest.mark.parametrize("model", MODELS)
def test_the_lines_beneath_do_the_same(
    page: Page, server: Server, folder: Path, digits: DigitsWorld, model: str
) -> None:
    """From a folder that has the models; the C++ lines are held against the headers."""
    opened(page, server.url, model)
    home = folder.parent
    shutil.copy(digits.pictures[0], home / "picture.png")
    if model == "scale":
        (home / "request.json").write_text(page.get_by_label("Request").input_value())
    if model == "bag":
        page.get_by_label("Text", exact=True).fill('w1 isn\'t "w2" $HOME @x')
    if model == "letters-gpt":
        page.get_by_label("Temperature").press("Home")
    asked = subprocess.run(["bash", "-c", lines(page, "curl")], cwd=home, capture_output=True, text=True)
    assert asked.returncode == 0 and "error" not in asked.stdout, asked.stdout + asked.stderr
    script = [sys.executable, "-c", lines(page, "Python")]
    environment = {**os.environ, "PYTHONPATH": str(_ROOT / "python")}
    ran = subprocess.run(script, cwd=home, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    if model in {"bag", "digits"}:
        assert f'"label": "{ran.stdout.split()[0]}"' in asked.stdout
    compiler = ["g++", "-std=c++20", "-fsyntax-only", f"-I{_ROOT}/cpp/include", "-x", "c++", "-"]
    checked = subprocess.run(compiler, input=lines(page, "C++"), capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
