"""The page in a real chromium, which may reach nothing but the sandbox."""

import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from playwright.async_api import Browser, ConsoleMessage, Locator, Page, async_playwright, expect

from tests.debian_package import need

FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
)
WIDE, PHONE = {"width": 1100, "height": 720}, {"width": 390, "height": 780}
_USUAL = re.compile(r"net::ERR_|status of 400")
PATIENCE_MS = 30_000.0
"""What a step may take: more than any machine needs."""


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    need("chromium")
    expect.set_options(timeout=PATIENCE_MS)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(FLAGS)
        )
        yield browser
        await browser.close()


@asynccontextmanager
async def opened(browser: Browser, url: str, **options: Any) -> AsyncIterator[Page]:
    """Open the page as somebody who reads Russian; in the end nothing may have gone wrong on it.

    That the sandbox refuses something, or is not there, where a test ends it, is none of the page's
    errors.
    """
    wanted: dict[str, Any] = {"viewport": WIDE, "locale": "ru-RU", "reduced_motion": "reduce"}
    context = await browser.new_context(**wanted | options)
    context.set_default_timeout(PATIENCE_MS)
    page, wrong = await context.new_page(), list[str]()
    page.on("console", lambda said: wrong.extend(_errors(said)))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("request", lambda request: wrong.extend(_foreign(request.url, url)))
    await page.goto(url)
    yield page
    await context.close()
    assert wrong == []


def _errors(said: ConsoleMessage) -> list[str]:
    return [said.text] if said.type == "error" and not _USUAL.search(said.text) else []


def _foreign(asked: str, own: str) -> list[str]:
    return [] if urlsplit(asked).netloc in ("", urlsplit(own).netloc) else [asked]


async def barriers(page: Page) -> list[str]:
    """Return what axe finds serious or critical on the page, each with the element."""
    await page.evaluate((files("axe_playwright_python") / "axe.min.js").read_text("utf-8"))
    found = (await page.evaluate("axe.run()"))["violations"]
    return [
        f"{one['id']}: {node['html'][:200]} {node['failureSummary']}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]


def field(page: Page) -> Locator:
    return page.get_by_role("textbox", name="Сообщение")


def said(page: Page, text: str) -> Locator:
    return page.locator(".message").filter(has_text=text)


def chat(page: Page, title: str) -> Locator:
    return page.get_by_role("navigation").get_by_role("link", name=title)


async def write(page: Page, text: str) -> None:
    await field(page).press_sequentially(text)


async def open_group(page: Page) -> None:
    await chat(page, "Общая комната").click()
    await expect(page.get_by_role("heading", name="Общая комната")).to_be_visible()
