"""The page in a browser: what one clicks and types, and what one sees then."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from aiogram.types import (
    BotCommand,
    BotCommandScopeAllChatAdministrators,
    BotCommandScopeAllGroupChats,
)
from playwright.async_api import Browser, Page, expect

from tests.services.sandbox.browsing import (
    PHONE,
    barriers,
    chat,
    chromium,
    field,
    open_group,
    opened,
    said,
    write,
)
from tests.services.sandbox.conftest import ANYA, Sandbox, keyboard

MARKUP = '<img src="x" onerror="document.title=1"><b>жирно</b>'


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture
async def page(browser: Browser, sandbox: Sandbox) -> AsyncIterator[Page]:
    async with opened(browser, sandbox.url) as page:
        yield page


async def test_a_message_is_answered_and_the_focus_stays_in_the_field(
    page: Page, sandbox: Sandbox
) -> None:
    await write(page, "Привет")
    await page.keyboard.press("Enter")
    await expect(said(page, "Привет")).to_contain_class("mine first last")
    await expect(field(page)).to_be_focused()
    await expect(field(page)).to_have_value("")
    typing = page.locator(".typing")
    await sandbox.avtobus.send_chat_action(ANYA, "typing")
    await expect(typing).to_have_text("Avtobus печатает")
    await sandbox.avtobus.send_message(ANYA, "Заходите")
    await expect(said(page, "Заходите")).to_be_visible()
    await expect(typing).to_have_text("")
    await expect(page.locator("[aria-live=polite]")).to_have_text("Avtobus: Заходите")


@pytest.mark.parametrize(("wanted", "shown"), [("reduce", "none"), ("no-preference", "breathe")])
async def test_nothing_moves_for_those_who_want_it_so(
    browser: Browser, sandbox: Sandbox, wanted: str, shown: str
) -> None:
    async with opened(browser, sandbox.url, reduced_motion=wanted) as page:
        await write(page, "Привет")
        await page.keyboard.press("Enter")
        await expect(said(page, "Привет")).to_be_visible()
        await sandbox.avtobus.send_chat_action(ANYA, "typing")
        await expect(page.locator(".dots i").first).to_have_css("animation-name", shown)


async def test_a_chat_shows_its_last_message_and_how_many_are_unread(
    page: Page, sandbox: Sandbox
) -> None:
    await expect(chat(page, "Avtobus")).to_have_attribute("aria-current", "page")
    for text in ("раз", "два"):
        await sandbox.say(text, chat="polkson")
        await sandbox.polkson.send_message(ANYA, f"и {text}")
    await expect(chat(page, "Polkson")).to_contain_text("и два")
    await expect(chat(page, "Polkson")).to_contain_text("непрочитанных: 2")
    await expect(page).to_have_title("(2) Persona bots")
    await chat(page, "Polkson").click()
    await expect(said(page, "и два")).to_be_in_viewport()
    await page.reload()
    await expect(chat(page, "Polkson")).to_contain_text("и два")
    await expect(page).to_have_title("Persona bots")


@pytest.fixture
async def long_talk(sandbox: Sandbox) -> None:
    """More than is drawn at first."""
    await sandbox.say("самое начало", person="Борис")
    await asyncio.gather(*(sandbox.say(f"дальше {number}.") for number in range(102)))
    await sandbox.say("самый конец", person="Вера")


@pytest.mark.usefixtures("long_talk")
async def test_a_reply_is_chosen_taken_back_and_found_by_its_quote(page: Page) -> None:
    await open_group(page)
    await expect(said(page, "самый конец")).to_be_in_viewport()
    await page.keyboard.press("Control+ArrowUp")
    await expect(page.locator(".answered")).to_contain_text("самый конец")
    await page.keyboard.press("Escape")
    await expect(page.locator(".answered")).to_have_count(0)
    await page.get_by_role("button", name="Показать раньше").click()
    await expect(page.get_by_role("button", name="Показать раньше")).to_have_count(0)
    await expect(said(page, "самое начало")).not_to_be_in_viewport()
    await said(page, "самое начало").hover()
    await said(page, "самое начало").get_by_role("button", name="Ответить").click()
    await expect(field(page)).to_be_focused()
    await write(page, "это о том")
    await page.keyboard.press("Enter")
    await expect(page.locator(".answered")).to_have_count(0)
    await said(page, "это о том").get_by_role("button", name="самое начало").click()
    await expect(said(page, "самое начало").first).to_be_in_viewport()
    await expect(said(page, "самое начало").first).to_be_focused()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.locator(".answered")).to_contain_text("дальше")


async def test_names_are_completed_by_keys(page: Page) -> None:
    await open_group(page)
    offers = page.get_by_role("listbox").get_by_role("option")
    await write(page, "Эй @")
    await expect(offers).to_have_count(4)
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(field(page)).to_have_value("Эй @polkson_bot ")
    await write(page, "и Бор")
    await page.keyboard.press("Tab")
    await expect(field(page)).to_have_value("Эй @polkson_bot и Борис, ")
    await write(page, "@")
    await page.keyboard.press("Escape")
    await expect(offers).to_have_count(0)
    await page.keyboard.press("Enter")
    await expect(said(page, "Эй @polkson_bot и Борис, @")).to_be_visible()


async def test_somebody_joins_and_writes_as_themselves(page: Page) -> None:
    await open_group(page)
    await page.get_by_role("button", name="Участники").click()
    people = page.get_by_role("complementary")
    await people.get_by_role("textbox").fill("Глеб")
    await page.keyboard.press("Enter")
    await expect(people.get_by_role("button", name="Глеб")).to_have_attribute(
        "aria-pressed", "true"
    )
    await people.get_by_role("button", name="Закрыть").click()
    await write(page, "Я новый")
    await page.keyboard.press("Enter")
    await expect(said(page, "Я новый")).to_be_visible()
    await page.get_by_label("Писать от имени").first.select_option("Борис")
    await expect(said(page, "Я новый").locator(".author")).to_have_text("Глеб")


async def test_a_slash_lists_the_commands_that_one_may_give(page: Page, sandbox: Sandbox) -> None:
    for scope, name in (
        (BotCommandScopeAllGroupChats(), "report"),
        (BotCommandScopeAllChatAdministrators(), "insanity"),
    ):
        await sandbox.avtobus.set_my_commands([BotCommand(command=name, description="да")], scope)
    await open_group(page)
    await page.get_by_role("button", name="Команды").click()
    offers = page.get_by_role("listbox").get_by_role("option")
    await expect(offers).to_contain_text(["/insanity"])
    await page.keyboard.press("Enter")
    await expect(said(page, "/insanity@avtobus_bot")).to_be_visible()
    await page.get_by_label("Писать от имени").first.select_option("Борис")
    await write(page, "/")
    await expect(offers).to_contain_text(["/report"])


async def test_a_button_is_pressed_and_its_answer_shown(page: Page, sandbox: Sandbox) -> None:
    sent = await sandbox.send("Как часто?", reply_markup=keyboard("реже", "чаще"))
    await open_group(page)
    await page.get_by_role("button", name="чаще").click()
    await expect(page.get_by_role("button", name="чаще")).to_be_enabled()
    query = (await sandbox.avtobus.get_updates(timeout=20))[0].callback_query
    assert query
    assert query.data == "чаще"
    await sandbox.avtobus.answer_callback_query(query.id, "Учту")
    await sent.edit_text("Буду чаще", reply_markup=keyboard("обратно"))
    await expect(page.get_by_text("Учту")).to_be_visible()
    await expect(page.get_by_role("button", name="обратно")).to_be_visible()
    await page.get_by_role("button", name="Закрыть").click()
    await expect(page.get_by_text("Учту")).to_have_count(0)


async def test_a_phone_shows_the_list_and_then_the_chat(browser: Browser, sandbox: Sandbox) -> None:
    await sandbox.say("Привет", chat="avtobus")
    await sandbox.avtobus.send_message(ANYA, "Заходите")
    async with opened(browser, sandbox.url, viewport=PHONE) as page:
        await expect(chat(page, "Avtobus")).to_contain_text("непрочитанных: 1")
        await expect(field(page)).to_have_count(0)
        await chat(page, "Avtobus").click()
        await expect(said(page, "Заходите")).to_be_visible()
        await expect(chat(page, "Avtobus")).to_be_hidden()
        await page.go_back()
        await expect(chat(page, "Avtobus")).not_to_contain_text("непрочитанных")
        for width, height in ((640, 360), (320, 480)):  # 200 % of a small window, a small phone
            await page.set_viewport_size({"width": width, "height": height})
            await chat(page, "Avtobus").click()
            await expect(field(page)).to_be_in_viewport()
            assert await page.evaluate("document.documentElement.scrollWidth") <= width
            await page.get_by_role("link", name="К списку чатов").click()


async def test_the_language_is_the_browser_s_or_the_chosen_one(
    browser: Browser, sandbox: Sandbox
) -> None:
    async with opened(browser, sandbox.url, locale="en-GB") as page:
        await expect(page.get_by_role("textbox", name="Message")).to_be_visible()
        await page.get_by_label("Language").select_option("ru")
        await expect(field(page)).to_be_visible()
        await page.reload()
        await expect(field(page)).to_be_visible()
        assert await page.evaluate("document.documentElement.lang") == "ru"
        keys = "import('/static/texts.js').then(({TEXTS}) => Object.values(TEXTS).map(Object.keys))"
        russian, english = await page.evaluate(keys)
        assert russian == english


async def test_every_text_is_text_and_never_markup(page: Page, sandbox: Sandbox) -> None:
    await sandbox.post("/api/people", {"name": MARKUP}, 201)
    asked = await sandbox.say(MARKUP, person=MARKUP)
    await sandbox.send(MARKUP, reply_to_message_id=asked["id"], reply_markup=keyboard(MARKUP[:30]))
    await sandbox.avtobus.set_my_commands([BotCommand(command="a", description=MARKUP)])
    await open_group(page)
    await page.get_by_role("button", name="Участники").click()
    await write(page, "/")
    await page.keyboard.press("Control+ArrowUp")
    for place in (".text", ".author", ".quote", ".keys", ".members", ".suggestions", ".answered"):
        await expect(page.locator(place).filter(has_text="<img src=").first).to_be_visible()
    assert await page.locator("#app :is(img, b b, .text b)").count() == 0
    await expect(page).to_have_title("Persona bots")


async def test_a_sandbox_that_ends_is_told(browser: Browser, sandbox: Sandbox) -> None:
    async with opened(browser, sandbox.url) as page:
        await expect(field(page)).to_be_visible()
        await sandbox.end()
        await expect(page.get_by_role("alert").filter(has_text="не отвечает")).to_be_visible()


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_nobody_is_kept_out(browser: Browser, sandbox: Sandbox, theme: str) -> None:
    asked = await sandbox.say("Ты где, @avtobus_bot?", person="Борис")
    await sandbox.send("/help: всё", reply_to_message_id=asked["id"], reply_markup=keyboard("а"))
    await sandbox.say("Жду", person="Аня")
    async with opened(browser, sandbox.url, color_scheme=theme) as page:
        await open_group(page)
        await page.get_by_role("button", name="Участники").click()
        await write(page, "@")
        await page.keyboard.press("Control+ArrowUp")
        await expect(page.get_by_role("listbox")).to_be_visible()
        assert await barriers(page) == []


async def test_a_panel_tells_why_a_bot_spoke_and_what_the_model_proposed(
    page: Page, sandbox: Sandbox
) -> None:
    await open_group(page)
    asked = await sandbox.say("автобус, едем?")
    sent = await sandbox.send("едем")
    await said(page, "автобус, едем?").get_by_role("button", name="Почему?").click()
    panel = page.get_by_role("complementary")
    await expect(panel).to_contain_text("Боты об этом ещё ничего не сказали")
    await sandbox.explain(asked["id"], "muted")
    await expect(panel).to_contain_text("Avtobus молчит: его попросили помолчать (/mute).")

    blocked = {"action": "MODERATION_ACTION_BLOCKED", "category": "insult"}
    candidates = [
        {"messages": [], "tokens": 9, "moderation": blocked},
        {"messages": ["едем"], "tokens": 3},
        {"messages": ["едем"], "tokens": 4},
    ]
    draw = {"candidates": candidates, "turns_used": 1, "prompt_tokens": 40, "model_version": "v1"}
    turns = [
        {"role": "ROLE_PERSONA", "speaker": "persona", "messages": ["стоим"]},
        {"role": "ROLE_OTHER", "speaker": "a1", "messages": ["автобус, едем?"]},
    ]
    await sandbox.explain(sent.message_id, "name", turns=turns, draws=[draw])
    await (
        page.locator(f"[data-id='{sent.message_id}']").get_by_role("button", name="Почему?").click()
    )
    await expect(panel).to_contain_text("Avtobus отвечает: его назвали по имени.")
    rows = panel.get_by_role("listitem")
    await expect(rows).to_have_text(
        [
            "остановлено: оскорблениетокенов: 9",
            "едемотправленотокенов: 3",
            "едемтокенов: 4",
            "бот, модель этого уже не читаластоим",
            "собеседник 1автобус, едем?",
        ]
    )
    await expect(panel.get_by_role("definition").last).to_have_text("v1")
    assert await barriers(page) == []
    await page.get_by_role("button", name="Закрыть").click()
    await expect(panel).to_have_count(0)


async def test_a_chat_is_downloaded_as_telegram_exports_it(page: Page, sandbox: Sandbox) -> None:
    await open_group(page)
    await sandbox.say("на память")
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Скачать чат").click()
    path = await (await download.value).path()
    assert [each["text"] for each in json.loads(path.read_text())["messages"]] == ["на память"]
