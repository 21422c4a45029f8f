"""The page of a server that asks for keys, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from browsing import FAINT, UNNAMED, problems_of
from faces import Program
from playwright.sync_api import Browser, Page, expect
from serving import Reply, Server, make_keys
from small_models import make_scale
from small_texts import make_classifier, make_writer

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    make_classifier(folder / "bag")
    make_writer(folder / "letters", "gpt")
    (folder / "scale" / "1").mkdir(parents=True)
    make_scale(folder / "scale" / "1" / "model.pt")
    return folder


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """A server that asks for keys, and one that it knows."""

    server: Server
    key: str

    @property
    def url(self) -> str:
        return self.server.url

    def ask(self, path: str, body: bytes | None = None, key: str | None = None) -> Reply:
        return self.server.ask(path, body, headers={} if key is None else {"Authorization": f"Bearer {key}"})


@pytest.fixture(scope="module")
def server(program: Program, folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    path = tmp_path_factory.mktemp("keys") / "keys.txt"
    key = make_keys(program, path, alice="")["alice"]
    with Server(program, folder, "--threads", 1, "--keys", path) as running:
        yield Guarded(server=running, key=key)


@pytest.fixture
def page(browser: Browser, server: Guarded) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    problems = problems_of(page)
    yield page
    context.close()
    assert not [one for one in problems if "status of 401" not in one]


def opened(page: Page, server: Guarded) -> None:
    page.goto(server.url)
    page.get_by_label("Key", exact=True).fill(server.key)
    page.get_by_role("button", name="Open").click()
    expect(page.locator("#models .card")).to_have_count(3)


def test_nothing_is_shown_without_a_key(page: Page, server: Guarded) -> None:
    page.goto(server.url)
    expect(page.get_by_role("heading", name="A key is needed")).to_be_visible()
    expect(page.locator("#health")).to_have_text("A key is needed")
    expect(page.locator("#models .card")).to_have_count(0)
    expect(page.get_by_role("link", name="Metrics")).to_be_hidden()
    expect(page.get_by_role("button", name="Forget the key")).to_be_hidden()
    assert "letters" not in page.content()


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        pytest.param("0" * 64, "This server does not know that key.", id="unknown"),
        pytest.param("Bearer 00", "A key has no spaces", id="two-words"),
        pytest.param("schl\N{LATIN SMALL LETTER U WITH DIAERESIS}ssel", "A key has no spaces", id="umlaut"),
        pytest.param("  ", "Type or paste a key first.", id="blank"),
        pytest.param("<b>'\"%00", "This server does not know that key.", id="markup"),
    ],
)
def test_a_wrong_key_is_told_in_words(page: Page, server: Guarded, typed: str, said: str) -> None:
    page.goto(server.url)
    page.get_by_label("Key", exact=True).fill(typed)
    page.get_by_label("Key", exact=True).press("Enter")
    expect(page.get_by_role("alert")).to_contain_text(said)
    expect(page.get_by_label("Key", exact=True)).to_be_focused()
    assert page.evaluate("sessionStorage.length") == 0


def test_a_key_opens_the_page_with_the_keyboard_alone(page: Page, server: Guarded) -> None:
    page.goto(server.url)
    expect(page.get_by_label("Key", exact=True)).to_be_focused()
    page.keyboard.type("wrong")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    page.keyboard.type(server.key)  # in place of the wrong one, which is selected
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Open")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#health")).to_have_text("3 models ready")
    expect(page.locator("#panel")).to_be_focused()
    expect(page.locator("#panel > .name")).to_have_text("bag")
    page.keyboard.press("Tab")
    page.keyboard.type("w1 w2 w3")
    page.keyboard.press("Enter")
    expected = server.ask("/v1/models/bag:run", b"w1 w2 w3", key=server.key).json
    expect(page.locator(".answer .best")).to_contain_text(expected["label"])


def test_texts_and_tensors_are_asked_for_with_the_key(page: Page, server: Guarded) -> None:
    opened(page, server)
    page.get_by_role("link", name="letters").click()
    page.get_by_role("button", name="Write").click()
    expect(page.locator(".answer .written")).not_to_be_empty()
    page.get_by_role("link", name="scale").click()
    page.get_by_role("button", name="Run").click()
    expect(page.locator(".answer h4")).to_contain_text("y float32")
    assert 'curl -H "Authorization: Bearer $PORTFIRE_KEY" ' in (
        page.locator(".same pre").first.text_content() or ""
    )
    assert server.key not in page.content()


def test_a_key_lasts_as_long_as_its_tab(page: Page, server: Guarded) -> None:
    opened(page, server)
    assert page.evaluate("localStorage.length") == 0 and page.evaluate("document.cookie") == ""
    page.reload()
    expect(page.locator("#models .card")).to_have_count(3)
    other = page.context.new_page()
    other.goto(server.url)
    expect(other.get_by_role("heading", name="A key is needed")).to_be_visible()
    page.get_by_role("button", name="Forget the key").click()
    expect(page.locator("#models .card")).to_have_count(0)
    page.reload()
    expect(page.get_by_role("heading", name="A key is needed")).to_be_visible()
    assert page.evaluate("sessionStorage.length") == 0


def test_a_key_that_is_no_longer_known_is_asked_for_again(page: Page, server: Guarded) -> None:
    page.goto(server.url)
    expect(page.get_by_role("heading", name="A key is needed")).to_be_visible()
    page.evaluate("sessionStorage.setItem('portfire-key', 'of-yesterday')")
    page.reload()
    expect(page.get_by_role("heading", name="A key is needed")).to_be_visible()
    opened(page, server)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_is_asked_for_on_a_phone(browser: Browser, server: Guarded, scheme: str) -> None:
    context = browser.new_context(
        viewport={"width": 360, "height": 740},
        color_scheme="dark" if scheme == "dark" else "light",
        has_touch=True,
        is_mobile=True,
    )
    page = context.new_page()
    page.goto(server.url)
    page.get_by_label("Key", exact=True).fill("wrong")
    page.get_by_role("button", name="Open").click()
    expect(page.get_by_role("alert")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    # Few words are on it, so the least that FAINT wants to see is not there.
    assert set(page.evaluate(FAINT)) <= {"there is hardly any text"}
    assert page.evaluate(UNNAMED) == []
    assert (page.get_by_role("button", name="Open").bounding_box() or {"height": 0})["height"] >= 40
    context.close()


def test_what_says_something_of_models_is_behind_the_key(server: Guarded) -> None:
    for path in ("/", "/page/key.js", "/page/page.css", "/openapi.json", "/v2/health/ready"):
        assert server.ask(path).status == 200, path
    for path in (
        "/page/state",
        "/page/%73tate",
        "/page/state?x",
        "/page//state",
        "/page/state/",
        "/%70age/state",
    ):
        assert server.ask(path).status == 401, path
        assert server.ask(path, key="wrong").status == 401, path
    assert server.ask("/page/state", key=server.key).json["models"]
