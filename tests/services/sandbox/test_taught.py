"""Teaching in a browser: a file is dropped, a voice chosen, the curve falls, the bot is there."""

import json
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Browser, Locator, Page, expect

from contracts.dataset import Card
from extraction_jobs.advice import warnings
from tests.conftest import toy_export
from tests.services.sandbox.browsing import PHONE, barriers, chromium, opened
from tests.services.sandbox.refused import refusals
from tests.services.sandbox.school import School, make_checkout, open_school
from training_jobs.pipeline import OUT_OF_MEMORY

LARGE: dict[str, Any] = {
    "messages_read": 9000,
    "answers": {"nothing": 1100},
    "long_answers": 900,
    "turns": 4000,
    "cut_turns": 900,
    "heldout_records": 40,
    "heldout_messages": 49,
    "heldout_repeated": 30,
    "repaired": {"unreadable_date": 3000},
    "dropped": {"forwarded": 2000},
}
SMALL = {
    **dict.fromkeys(LARGE, 0),
    **{"answers": {"reply": 9}, "repaired": {}, "dropped": {"repeated_answer": 8}},
}
"""Figures of two data sets that are warned of in every way."""
REFUSALS = [
    "persona 'Вася' wrote nothing usable; did you mean Ваня? most messages are by Нина, Автобус",
    "persona 'Вася' is user1 and user2: give the id of one, or all",
    "persona 'user1' asked to be forgotten: there is nothing left to learn; choose another persona",
    "base 'a/b': not in var/base/a--b, and the model hub did not give it (ConnectError); run",
    "a/result.json: nothing to learn from in 9 messages (no_text 5, service 4)",
    "the packages for training cannot be installed: PyPI cannot be reached; with a network, try",
    "the packages for training cannot be installed: no space left on the disk of .venv or of /tmp",
    *("var/data: no room for the export", "an export has at most 4000000000 bytes"),
    *("name: must stay vasya", "name 'vasya': there is a bot of this name already"),
    *("draft-1 has a name already", "no bot 'vasya' is taught here"),
    "var/data/vasya: another job works there; wait for its end",
    "it has failed: a.log may say why",
    "not enough memory: lower training.tokens_at_once, set training.gradient_checkpointing, or",
    f"training_jobs.finetune was killed for vasya: {OUT_OF_MEMORY}",
    "training_jobs.finetune failed for vasya (exit code 1)",
    "the loss is nan at step 3; lower training.learning_rate. The checkpoint before it is kept",
    "var/base/a: the model is 'llama'; only GPT-2 models can be fine-tuned",
    "base 'petya': no such folder, and no hub name (owner/name) or demo either",
    "var/base/a: no tokenizer (vocab.json with merges.txt, or tokenizer.json)",
    "run: it predicts the held-out part worse: by 0.1 bits. --force publishes it all the same",
    "run: cannot write the model (disk)",
    "nothing is held out to measure by: it takes 20 answers or more",
]  # fmt: skip
"""Of jobs, and of the page's own server."""
CONTENT = json.dumps(toy_export(), ensure_ascii=False)
MOST = 60_000
"""Milliseconds, more than any machine needs."""
DROP = """(field, content) => {
  const data = new DataTransfer();
  data.items.add(new File([content], "result.json"));
  for (const kind of ["dragover", "drop"])
    field.dispatchEvent(
      new DragEvent(kind, { dataTransfer: data, bubbles: true, cancelable: true }));
}"""


@pytest.fixture(scope="module")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest.fixture
async def school(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[School]:
    """Training is a script here: it leaves what the jobs would, and waits for a file `done`."""
    folder = make_checkout(tmp_path / "checkout")
    monkeypatch.chdir(folder)
    (folder / "var/base/a--large").mkdir(parents=True)
    script = folder / "python"
    script.write_text(
        f"""#!/bin/sh
case $2 in
training_jobs.finetune) printf "at most 0:01:40\\n0.8 GiB of memory" ;;
training_jobs.pipeline)
  mkdir -p var/data/vasya/run; cp progress.json var/data/vasya/run
  until [ -e done ]; do sleep .1; done
  cp evaluation.json var/data/vasya/run
  cd var/data/vasya/run; touch run.json conversion.json report.html ;;
*) exec {sys.executable} "$@" ;;
esac"""
    )
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    losses = [[step, 5 - step / 20] for step in range(1, 40)]
    samples = [[20, [["Привет!", "<b>Здравствуйте</b>"]]]]
    progress: dict[str, object] = {
        "step": 40,
        "steps": 100,
        "seconds_left": 61,
        "tokens_per_second": 300.4,
    }
    progress |= {"losses": losses, "heldout": [[20, 4.5], [40, 4.0]], "samples": samples}
    (folder / "progress.json").write_text(json.dumps(progress))
    (folder / "evaluation.json").write_text(evaluation(0.38))
    async with open_school(folder) as school:
        yield school


async def shows(part: Locator, text: str) -> None:
    """Wait for a job, which takes as long as a machine takes."""
    await expect(part).to_contain_text(text, timeout=MOST)


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("region", name=name)


async def test_a_file_is_dropped_and_becomes_a_bot_in_the_list(
    browser: Browser, school: School
) -> None:
    async with opened(browser, school.url) as page:
        await page.get_by_role("link", name="Новый бот").click()
        await page.locator(".drop").evaluate(DROP, CONTENT)
        form = card(page, "result.json")
        await form.get_by_label("Нина").check()
        await form.get_by_label("Автобус").uncheck()
        await form.get_by_label("Имя бота").fill("vasya")
        await page.reload()
        await expect(page.get_by_role("link", name="Новый бот")).to_have_attribute(
            "aria-current", "page"
        )
        await expect(form.get_by_label("Имя бота")).to_have_value("vasya")
        await form.get_by_label("Имя бота").fill("nina")
        await expect(form.get_by_label("Нина")).to_be_checked()
        await expect(form.get_by_label("Автобус")).not_to_be_checked()
        await choose_all_and_take_it_back(form)
        await form.get_by_label("Имя бота").fill("avtobus")
        await form.get_by_role("button", name="Дальше").click()
        await shows(form.get_by_role("alert"), "Бот с таким именем уже есть")
        await form.get_by_label("Имя бота").fill("vasya")
        await form.get_by_role("button", name="Дальше").click()
        bot = card(page, "vasya")
        await shows(bot, "Прочитано 320 сообщений, из них для обучения 160")
        await shows(bot, "не дольше 0:01:40, памяти 0,8 ГиБ")
        assert await barriers(page) == []
        await expect(bot.get_by_label("Маленькая")).to_be_checked()
        await bot.get_by_label("a/large").check()
        await bot.get_by_role("button", name="Учить").click()
        other = await page.context.new_page()
        await other.goto(f"{school.url}/#/teach")
        await shows(card(other, "vasya"), "Шаг 40 из 100")
        await other.close()
        assert "base: a/large" in (school.folder / "k8s/bots/vasya/bot.yaml").read_text()
        await expect(bot.get_by_role("img", name="Ошибка упала с 4,95 до 3,05")).to_be_visible()
        await shows(bot, "Шаг 40 из 100, осталось не больше 01:01")
        await expect(bot.get_by_text("<b>Здравствуйте</b>")).to_be_visible()
        assert await barriers(page) == []
        await bot.get_by_role("button", name="Остановить").click()
        await shows(bot, "остановлен")
        await bot.get_by_role("button", name="Продолжить").click()
        await expect(bot.get_by_role("button", name="Остановить")).to_be_visible()
        publish(school)
        chats = page.get_by_role("navigation")
        await shows(chats, "Vasya")
        await shows(bot, "Узнаёт настоящий ответ среди десяти 38 раз из 100")
        await expect(bot).not_to_contain_text("не научился")
        (school.folder / "var/data/vasya/run/evaluation.json").write_text(evaluation(0.1))
        await shows(bot, "не научился")
        await bot.get_by_text("Учить ещё раз").click()
        await expect(bot.get_by_label("a/large")).to_be_checked()
        (school.folder / "done").unlink()
        await bot.get_by_role("button", name="Учить", exact=True).click()
        await expect(bot.get_by_text("Учить ещё раз")).to_have_count(0)
        (school.folder / "done").touch()
        await shows(bot, "готов")
        await bot.get_by_text("bot.yaml", exact=True).click()
        await bot.get_by_role("textbox").fill("name: vasya\ngateway: {insanity: maybe}")
        await bot.get_by_role("button", name="Сохранить").click()
        await shows(bot.get_by_role("status"), "gateway.insanity")
        await bot.get_by_role("button", name="Удалить").click()
        await bot.get_by_role("button", name="Удалить бота").click()
        await expect(bot).to_have_count(0, timeout=MOST)
        await expect(chats.get_by_role("link", name="Vasya")).to_have_count(0)


async def test_on_a_phone_what_is_no_export_is_said(browser: Browser, school: School) -> None:
    look = {"viewport": PHONE, "color_scheme": "dark"}
    async with opened(browser, f"{school.url}/#/teach", **look) as page:
        await page.locator(".drop").evaluate(DROP, "Привет")
        wrong = card(page, "result.json")
        await shows(wrong.get_by_role("alert"), "Это не выгрузка Telegram или WhatsApp")
        await shows(wrong, "«Экспорт истории чата», формат JSON")
        width = await page.evaluate("document.documentElement.scrollWidth")
        assert width == PHONE["width"]
        assert await barriers(page) == []


async def test_of_a_file_that_is_deleted_the_browser_keeps_nothing(
    browser: Browser, school: School
) -> None:
    kept = "Object.keys(localStorage).filter((name) => name.startsWith('draft-'))"
    async with opened(browser, f"{school.url}/#/teach") as page:
        await page.locator(".drop").evaluate(DROP, CONTENT)
        form = card(page, "result.json")
        await form.get_by_label("Имя бота").fill("secret")
        assert await page.evaluate(kept) == [(await school.view())["bots"][0]["bot"]]
        await form.get_by_role("button", name="Удалить").click()
        await form.get_by_role("button", name="Удалить файл").click()
        await expect(form).to_have_count(0, timeout=MOST)
        assert await page.evaluate(kept) == []


async def test_warnings_and_refusals_are_said_in_russian(
    browser: Browser, school: School, tmp_path: Path
) -> None:
    lines = [line for card in (LARGE, SMALL) for line in warnings(Card.model_construct(**card))]
    assert len(lines) == 11
    lines += [*REFUSALS, *refusals(tmp_path)]
    async with opened(browser, school.url) as page:
        said = await page.evaluate(
            "async (lines) => lines.map((await import('/static/russian.js')).inRussian)", lines
        )
        assert [line for line in said if not re.search("[а-я]{3}", line)] == []
        assert [line for line in said if re.search("[a-z]{3,} [a-z]{3,}", line)] == []
        assert "пересланы" in " ".join(said)


async def choose_all_and_take_it_back(form: Locator) -> None:
    await form.get_by_label("Весь чат").check()
    await expect(form.get_by_label("Нина")).not_to_be_checked()
    await form.get_by_label("Весь чат").uncheck()
    await expect(form.get_by_label("Нина")).to_be_checked()


def evaluation(hits: float) -> str:
    figure = {"value": hits, "low": hits - 0.1, "high": hits + 0.1}
    return json.dumps({"hits": {"tuned": {"relative": figure}}})


def publish(school: School) -> None:
    """Let the training end, with a version that the page can name."""
    versions = school.folder / "var/models/vasya/versions/20260101-000000-000000"
    versions.mkdir(parents=True)
    (versions.parents[1] / "current").symlink_to(f"versions/{versions.name}")
    (school.folder / "done").touch()
