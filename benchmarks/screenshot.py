"""The pictures of the demo's page in the README: people write in the group, and what they see then.

`make demo`, then `python -m benchmarks.screenshot`; look at it, and repeat if the bots were dull.
While a bot is taught there: `--said --view /teach --output docs/teach.png`.
"""

import asyncio
import shutil
from pathlib import Path
from typing import Annotated, Any

import aiohttp
import typer
from playwright.async_api import async_playwright

from contracts.refusal import Refusal, end_process

PATIENCE = 30.0
"""Seconds without an answer after which the next one writes."""
TALK = (
    ("Вера", "@polkson_bot как повесить полку?"),
    ("Борис", "@avtobus_bot ты где едешь?"),
    ("Аня", "/insanity@avtobus_bot"),
    ("Борис", "всем доброе утро"),
    ("Вера", "когда обед?"),
)


async def talk(http: aiohttp.ClientSession) -> None:
    """Let each write once the one before is answered."""
    for person, text in TALK:
        body = {"chat": "group", "person": person, "text": text}
        async with http.post("/api/messages", json=body) as answer:
            written = int((await answer.json())["id"])
        for _ in range(int(PATIENCE)):
            await asyncio.sleep(1)
            if await _is_answered(http, written):
                break
        await asyncio.sleep(2)  # an answer may have a second part


async def _is_answered(http: aiohttp.ClientSession, written: int) -> bool:
    async with http.get("/api/state") as answer:
        state: dict[str, Any] = await answer.json()
    bots = {bot["id"] for bot in state["bots"]}
    group = [one for one in state["messages"] if one["room"] == "group" and one["id"] > written]
    return any(one["from"] in bots for one in group)


async def picture(page: str, output: Path, theme: str, size: tuple[int, int]) -> None:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        view: Any = dict(zip(("width", "height"), size, strict=True))
        shown = await browser.new_page(
            viewport=view, color_scheme="dark" if theme == "dark" else "light", locale="ru-RU"
        )
        await shown.goto(page)
        await shown.locator(".message, .replies").first.wait_for()
        await shown.screenshot(path=output)


async def make(
    page: str, view: str, output: Path, theme: str, size: tuple[int, int], is_said: bool
) -> None:
    try:
        async with aiohttp.ClientSession(page) as http:
            if not is_said:
                await talk(http)
    except aiohttp.ClientError:
        raise Refusal(f"{page}: no sandbox answers there; start `make demo`") from None
    await picture(f"{page}/#{view}", output, theme, size)


def main(
    page: Annotated[str, typer.Option(help="As make demo prints it.")] = "http://127.0.0.1:8081",
    view: Annotated[str, typer.Option(help="A chat, or /teach.")] = "group",
    output: Annotated[Path, typer.Option(help="Where the picture goes.")] = Path("docs/demo.png"),
    theme: Annotated[str, typer.Option(help="light or dark.")] = "light",
    width: Annotated[int, typer.Option(help="Of the window, in pixels.")] = 1000,
    height: Annotated[int, typer.Option(help="Of the window, in pixels.")] = 700,
    said: Annotated[bool, typer.Option("--said", help="Nobody writes any more.")] = False,
) -> None:
    """Let people talk in the demo's group, and take a picture of it."""
    try:
        asyncio.run(make(page, view, output, theme, (width, height), said))
    except Refusal as refusal:
        end_process(refusal)


if __name__ == "__main__":
    typer.run(main)
