"""A conversation in the server's page, in a real browser."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browsing import FAINT, UNNAMED, faultless_page, lines, opened
from faces import Program
from playwright.sync_api import Browser, Locator, Page, Route, expect
from serving import Server, make_keys
from small_texts import CHAT, make_chatter, make_writer

pytestmark = pytest.mark.browser
_ROOT = Path(__file__).parents[2]
_NO_SYSTEM = {name: value for name, value in CHAT.items() if name != "system"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("home") / "models"
    make_chatter(folder / "chatter")
    make_chatter(folder / "plain", {**_NO_SYSTEM, "alternates": True})
    make_writer(folder / "letters", "gpt")
    return folder


@pytest.fixture(scope="module")
def server(program: Program, folder: Path) -> Iterator[Server]:
    with Server(program, folder, "--threads", 1) as running:
        yield running


@pytest.fixture
def page(browser: Browser, server: Server) -> Iterator[Page]:
    with faultless_page(browser, server.url) as page:
        yield page


def answered(server: Server, messages: list[tuple[str, str]], **options: Any) -> str:
    """What the server answers, greedily."""
    asked = [{"role": role, "content": content} for role, content in messages]
    body = {"model": "chatter", "messages": asked, "temperature": 0, "max_tokens": 12, **options}
    choice = server.ask("/v1/chat/completions", json.dumps(body).encode()).json["choices"][0]
    return str(choice["message"]["content"])


def greedy(page: Page) -> None:
    """The likeliest token each time, twelve of them."""
    page.get_by_label("Temperature").press("Home")
    page.get_by_label("Length").press("Home")
    for _ in range(11):
        page.get_by_label("Length").press("ArrowRight")


def said(page: Page) -> list[str]:
    """Each turn's words, exactly."""
    return [turn.text_content() or "" for turn in page.locator(".turns .said").all()]


def say(page: Page, text: str) -> None:
    page.get_by_label("Message", exact=True).fill(text)
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Stop")).to_be_disabled()
    expect(page.get_by_label("Message", exact=True)).to_have_value("")


def test_turns_follow_each_other_with_the_keyboard_alone(page: Page, server: Server) -> None:
    opened(page, server.url, "chatter")
    greedy(page)
    page.get_by_label("System message").fill("be kind")
    page.get_by_label("Message", exact=True).focus()
    page.keyboard.type("hello")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("you")
    page.keyboard.press("Enter")
    talk = [("system", "be kind"), ("user", "hello\nyou")]
    first = answered(server, talk)
    expect(page.locator(".turn")).to_have_count(2)
    expect(page.get_by_role("status").filter(has_text="characters in")).to_be_visible()
    assert said(page) == ["hello\nyou", first]
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    say(page, "more")
    second = answered(server, [*talk, ("assistant", first), ("user", "more")])
    expect(page.get_by_role("status").filter(has_text="characters in")).to_be_visible()
    assert said(page) == ["hello\nyou", first, "more", second]
    assert page.locator(".turns .who").all_text_contents() == ["You", "Model"] * 2


def test_begin_again_forgets(page: Page, server: Server) -> None:
    opened(page, server.url, "chatter")
    again = page.get_by_role("button", name="Begin again")
    expect(again).to_be_disabled()
    greedy(page)
    say(page, "hello")
    expect(page.get_by_role("status").filter(has_text="characters in")).to_be_visible()
    again.click()
    expect(page.locator(".turn")).to_have_count(0)
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    say(page, "more")
    expect(page.get_by_role("status").filter(has_text="characters in")).to_be_visible()
    assert said(page) == ["more", answered(server, [("user", "more")])]


@pytest.fixture
def held(page: Page) -> Iterator[list[Route]]:
    """Questions that nobody answers until the test is over."""
    routes: list[Route] = []

    def hold(route: Route) -> None:
        routes.append(route)

    page.route("**/v1/chat/completions", hold)
    yield routes
    page.unroute("**/v1/chat/completions")


def _asked(page: Page, held: list[Route], count: int) -> None:
    while len(held) < count:
        page.wait_for_timeout(10)


def test_stop_gives_the_message_back(page: Page, server: Server, held: list[Route]) -> None:
    opened(page, server.url, "chatter")
    message = page.get_by_label("Message", exact=True)
    message.fill("hello")
    message.press("Enter")
    _asked(page, held, 1)
    expect(page.locator(".turn")).to_have_count(2)
    expect(page.get_by_role("button", name="Send")).to_be_disabled()
    message.press("Enter")
    page.get_by_role("button", name="Stop").click()
    expect(page.locator(".turn")).to_have_count(0)
    expect(message).to_have_value("hello")
    expect(page.get_by_role("status").filter(has_text="Ended early")).to_be_visible()
    assert len(held) == 1, "an answer is waited for before the next message"


# The first answer stands still after one word.
_STANDS_STILL = """{
  const real = window.fetch;
  let first = true;
  window.fetch = (url, options) => {
    if (url !== "/v1/chat/completions" || !first) return real(url, options);
    first = false;
    return Promise.resolve(new Response(new ReadableStream({ start(out) {
      const event = 'data: {"choices": [{"delta": {"content": "half"}}]}\\n\\n';
      out.enqueue(new TextEncoder().encode(event));
      options.signal.addEventListener("abort", () => out.error(options.signal.reason));
    } })));
  };
}"""


def test_what_was_said_before_stop_is_part_of_the_conversation(page: Page, server: Server) -> None:
    page.add_init_script(_STANDS_STILL)
    opened(page, server.url, "chatter")
    greedy(page)
    page.get_by_label("Message", exact=True).fill("hello")
    page.keyboard.press("Enter")
    expect(page.locator(".turn[aria-busy] .said")).to_have_text("half")
    page.get_by_role("button", name="Stop").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="Ended early: 4 characters")).to_be_visible()
    expect(page.locator(".turn[aria-busy]")).to_have_count(0)
    say(page, "more")
    expect(page.get_by_role("status").filter(has_text="The length is reached")).to_be_visible()
    talk = [("user", "hello"), ("assistant", "half"), ("user", "more")]
    assert said(page) == ["hello", "half", "more", answered(server, talk)]


def test_an_answer_that_comes_after_begin_again_is_dropped(
    page: Page, server: Server, held: list[Route]
) -> None:
    opened(page, server.url, "chatter")
    greedy(page)
    message = page.get_by_label("Message", exact=True)
    message.fill("hello")
    message.press("Enter")
    _asked(page, held, 1)
    page.get_by_role("button", name="Begin again").click()
    expect(page.locator(".turn")).to_have_count(0)
    page.unroute("**/v1/chat/completions")
    say(page, "more")
    expect(page.get_by_role("status").filter(has_text="characters in")).to_be_visible()
    assert said(page) == ["more", answered(server, [("user", "more")])]


def test_what_cannot_be_answered_is_said_and_not_kept(page: Page, server: Server) -> None:
    opened(page, server.url, "chatter")
    page.get_by_role("button", name="Send").click()
    alert = page.locator("#panel").get_by_role("alert")
    expect(alert).to_have_text("Say something first.")
    page.get_by_label("Message", exact=True).fill("a" * 200)
    page.keyboard.press("Enter")
    expect(alert).to_contain_text("The conversation has more than 160 tokens")
    expect(page.locator(".turn")).to_have_count(0)
    expect(page.get_by_label("Message", exact=True)).to_have_value("a" * 200)
    page.get_by_label("Message", exact=True).fill("<img src=x onerror=alert(1)> <|im_end|>")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status").filter(has_text="characters in")).to_be_visible()
    expect(alert).to_have_count(0)
    assert said(page)[0] == "<img src=x onerror=alert(1)> <|im_end|>"


def test_a_stream_that_breaks_is_said(page: Page, server: Server) -> None:
    opened(page, server.url, "chatter")
    broken = 'data: {"error": {"message": "the model ran out of luck", "code": "internal"}}\n\n'
    page.route("**/v1/chat/completions", lambda route: route.fulfill(status=200, body=broken))
    page.get_by_label("Message", exact=True).fill("hello")
    page.keyboard.press("Enter")
    expect(page.locator("#panel").get_by_role("alert")).to_have_text("The model ran out of luck.")
    expect(page.get_by_label("Message", exact=True)).to_have_value("hello")


def test_a_template_without_a_system_message_asks_for_none(page: Page, server: Server) -> None:
    opened(page, server.url, "plain")
    expect(page.get_by_label("Message", exact=True)).to_be_visible()
    expect(page.get_by_label("System message")).to_have_count(0)
    for text in ("one", "two"):  # which take turns
        say(page, text)
        expect(page.get_by_role("status").filter(has_text="characters in")).to_be_visible()
    expect(page.locator(".turn")).to_have_count(4)


def test_the_writing_form_is_beside_it(page: Page, server: Server) -> None:
    answer = opened(page, server.url, "chatter")
    expect(page.get_by_label("Conversation", exact=True).first).to_be_checked()
    greedy(page)
    say(page, "hello")
    page.get_by_label("Text", exact=True).check()
    expect(page.get_by_label("Message", exact=True)).to_have_count(0)
    greedy(page)
    page.get_by_label("Prompt").fill("once")
    page.get_by_role("button", name="Write").click()
    expect(page.get_by_role("status").filter(has_text="characters in")).to_be_visible()
    assert (answer.locator(".written").text_content() or "") != ""
    page.get_by_label("Conversation", exact=True).first.check()
    expect(page.locator(".turn")).to_have_count(2)
    opened(page, server.url, "letters")
    expect(page.get_by_label("Prompt")).to_be_visible()
    expect(page.get_by_label("Message", exact=True)).to_have_count(0)


def _in_view(turns: Locator) -> bool:
    return bool(turns.evaluate("list => list.scrollHeight - list.scrollTop - list.clientHeight < 2"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_can_be_read_on_a_phone(browser: Browser, server: Server, scheme: Any) -> None:
    context = browser.new_context(
        viewport={"width": 360, "height": 740}, color_scheme=scheme, has_touch=True, is_mobile=True
    )
    page = context.new_page()
    opened(page, server.url, "chatter")
    page.get_by_label("Length").press("Home")
    for text in ("a" * 40, *"bcd"):
        say(page, text)
        expect(page.get_by_role("status").filter(has_text="characters in")).to_be_visible()
    expect(page.locator(".turn")).to_have_count(8)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate(FAINT) == []
    assert page.evaluate(UNNAMED) == []
    assert _in_view(page.locator(".turns"))
    context.close()


def test_the_lines_beneath_do_the_same(page: Page, server: Server) -> None:
    opened(page, server.url, "chatter")
    greedy(page)
    page.get_by_label("System message").fill('it isn\'t "easy"')
    say(page, "hello\nyou")
    expect(page.get_by_role("status").filter(has_text="characters in")).to_be_visible()
    answer = said(page)[1]
    asked = subprocess.run(["bash", "-c", lines(page, "curl")], capture_output=True, text=True)
    events = [line.removeprefix("data: ") for line in asked.stdout.splitlines() if line.startswith("data: {")]
    assert "".join(json.loads(one)["choices"][0]["delta"].get("content", "") for one in events) == answer
    ran = subprocess.run([sys.executable, "-c", lines(page, "Python")], capture_output=True, text=True)
    assert (ran.returncode, ran.stdout) == (0, answer), ran.stderr
    compiler = ["g++", "-std=c++20", "-fsyntax-only", f"-I{_ROOT}/cpp/include", "-x", "c++", "-"]
    checked = subprocess.run(compiler, input=lines(page, "C++"), capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    page.get_by_label("Message", exact=True).fill("and now?")
    assert '{"role":"user","content":"and now?"}' in lines(page, "curl")


def test_with_a_key(browser: Browser, program: Program, folder: Path, tmp_path: Path) -> None:
    key = make_keys(program, tmp_path / "keys", anna="")["anna"]
    with (
        Server(program, folder, "--threads", 1, "--keys", tmp_path / "keys") as running,
        faultless_page(browser, running.url, "status of 401") as page,
    ):
        page.goto(f"{running.url}/#/chatter")
        page.get_by_label("Key").fill(key)
        page.keyboard.press("Enter")
        say(page, "hello")
        expect(page.get_by_role("status").filter(has_text="characters in")).to_be_visible()
        environment = {**os.environ, "PORTFIRE_KEY": key}
        for command in (["bash", "-c", lines(page, "curl")], [sys.executable, "-c", lines(page, "Python")]):
            ran = subprocess.run(command, capture_output=True, text=True, env=environment)
            assert ran.returncode == 0 and "error" not in ran.stdout, ran.stdout + ran.stderr
