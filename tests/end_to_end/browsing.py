"""A real browser, and what is held against every page in it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright


@contextmanager
def chromium() -> Iterator[Browser]:
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("there is no Chromium; apt-get install chromium")
    with sync_playwright() as playwright:
        # Chromium's sandbox does not work for root.
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        running = playwright.chromium.launch(executable_path=path, args=options)
        yield running
        running.close()


# Every text that can be seen: its colour against what lies behind it (WCAG 2.2, success criterion 1.4.3).
FAINT = """() => {
  const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, k) => sum + c * [0.2126, 0.7152, 0.0722][k], 0);
  const behind = (element) => {
    for (; element; element = element.parentElement) {
      const [r, g, b, alpha = 1] = parts(getComputedStyle(element).backgroundColor);
      if (alpha === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const faint = [];
  let seen = 0;
  for (const element of document.querySelectorAll("body *")) {
    const own = [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    if (!own || !element.checkVisibility() || element.closest(":disabled, noscript")) continue;
    const style = getComputedStyle(element);
    const [one, other] = [light(parts(style.color)), light(behind(element))].sort((a, b) => b - a);
    ++seen;
    const large = parseFloat(style.fontSize) >= 24;
    const enough = (one + 0.05) / (other + 0.05) >= (large ? 3 : 4.5);
    if (!enough) faint.push(`${element.textContent}: ${style.color}`);
  }
  return seen > 20 ? faint : ["there is hardly any text"];
}"""
# What a screen reader could not name.
UNNAMED = """() => [...document.querySelectorAll("input, textarea, select, button, canvas.draw")]
  .filter((one) => !(one.labels?.length || one.getAttribute("aria-label") || one.textContent.trim()))
  .map((one) => one.outerHTML)"""


def problems_of(page: Page) -> list[str]:
    """What the page complains of, from now on."""
    problems: list[str] = []
    page.on("console", lambda said: problems.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: problems.append(str(error)))
    return problems


@contextmanager
def faultless_page(browser: Browser, url: str, *expected: str) -> Iterator[Page]:
    """Nothing may go wrong on it but what is expected, and nothing may come from elsewhere than `url`."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    page = context.new_page()
    problems = problems_of(page)
    page.on("request", lambda asked: None if asked.url.startswith(url) else problems.append(asked.url))
    yield page
    context.close()
    unexpected = [one for one in problems if not any(part in one for part in ("status of 400", *expected))]
    assert not unexpected


def opened(page: Page, url: str, model: str) -> Locator:
    """The page of a model; returns the area of its answers."""
    page.goto(f"{url}/#/{model}")
    expect(page.locator("#panel > .name")).to_have_text(model)
    return page.locator("#panel .answer")


def lines(page: Page, language: str) -> str:
    """What does the same as the page without it."""
    part = page.locator("#panel .same details", has=page.locator("summary", has_text=language))
    return part.locator("code").text_content() or ""
