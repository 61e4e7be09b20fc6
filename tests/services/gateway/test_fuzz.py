"""Updates of any shape, true to Telegram's or not: each has an end, and the next is answered."""

import json
import logging
import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

from tests.services.gateway.conftest import World
from tests.services.gateway.telegram import (
    USERNAME,
    another_bot,
    entity,
    group,
    person,
    private,
)

TEXTS = [
    "", " ", "\0", "/start", "/mute 9999999999d", "/quiet 99-99", "/chattiness ٣", "/report",
    "/insanity@", "@", "автобус" * 700, "\ud83d", "👨‍👩‍👧‍👦", "\u202e перевёрнуто", "<s></s>",
    f"@{USERNAME}", "a\nb\r\nc", "/delete", "/forgetme", "ё", "/settings", "/unmute", "/reset",
]  # fmt: skip
VALUES: list[Any] = [
    None, True, -1, 0, 1 << 62, 1 << 70, 0.5, float("1e308"), "", "x" * 5000, "\ud800", [], {},
    [[]], {"id": "7"}, {"id": 7, "is_bot": "maybe"}, [1, "2", None], {"type": "private"},
]  # fmt: skip


def seeds(rng: random.Random) -> dict[str, Any]:
    """An update that Telegram could send."""
    text = rng.choice(TEXTS)
    make: list[Callable[[], dict[str, Any]]] = [
        lambda: {"message": private(text, rng.randrange(1, 40))},
        lambda: {"message": group(text, chat=-rng.randrange(1, 9))},
        lambda: {"message": group(text, sender=another_bot(), chat=-rng.randrange(1, 9))},
        lambda: {"message": group(f"🚌 {text}", entities=[entity("mention", f"🚌 {text}", text)])},
        lambda: {"message": group(None, caption=text, media_group_id=str(rng.randrange(3)))},
        lambda: {"edited_message": group(text, message_id=rng.randrange(1, 99))},
        lambda: {"message": group(None, migrate_to_chat_id=-rng.randrange(1, 9))},
        lambda: {"message": group(text, is_topic_message=True, message_thread_id=rng.randrange(9))},
        lambda: {"message": group(text, message_thread_id=5, reply_to_message=group(text),
            quote={"text": text, "position": 0})},
        lambda: {"message": group(text, external_reply={"origin": {"sender_user": person(8)}},
            quote={"text": text}, direct_messages_topic={"topic_id": 5, "user": person()})},
        lambda: {"callback_query": {
            "id": "1", "from": person(), "chat_instance": "1", "data": text,
            "message": group("Настройки")}},
        lambda: {"channel_post": group(text)},
        lambda: {"my_chat_member": {"chat": group(text)["chat"], "from": person(), "date": 1}},
    ]  # fmt: skip
    return rng.choice(make)()


def mutated(value: Any, rng: random.Random) -> Any:
    """The value with a part of it replaced, taken away or put elsewhere."""
    if isinstance(value, dict) and value and rng.random() < 0.9:
        key = rng.choice(list(value))
        copy = dict(value)
        if rng.random() < 0.15:
            del copy[key]
        else:
            copy[key] = mutated(value[key], rng)
        return copy
    if isinstance(value, list) and value and rng.random() < 0.7:
        return [*value[:-1], mutated(value[-1], rng)]
    return rng.choice(VALUES)


def updates(count: int, seed: int) -> list[dict[str, Any]]:
    rng = random.Random(seed)
    found = []
    for _ in range(count):
        update = seeds(rng)
        for _ in range(rng.choice([0, 0, 0, 1, 1, 2, 5])):
            update = mutated(update, rng)
        found.append(update if isinstance(update, dict) else {"message": update})
    return found


@pytest.mark.parametrize("count", [400, pytest.param(10_000, marks=pytest.mark.slow)])
async def test_random_updates_have_an_end_and_stop_nothing(
    world: World, count: int, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    world.configure(hourly_limit=1_000_000)
    async with world.gateway() as running:
        for update in updates(count, seed=count):
            update.pop("update_id", None)
            world.telegram.put_raw(**json.loads(json.dumps(update)))
        world.telegram.put(private("живой?", 4_000_000))
        await world.until(lambda: not world.telegram.updates, seconds=300)
        left = "SELECT 1 FROM updates WHERE state = 'new'"
        with closing(sqlite3.connect(world.settings.database)) as database:
            await world.until(
                lambda: database.execute(left).fetchone() is None, step=0.5, seconds=300
            )
        await world.says("эхо: живой?", chat=4_000_000, step=0.5)
        failed = running.metric("updates_failed_total")
    print(f"{count} updates, {failed:.0f} that nobody can read")
    assert failed < 0.7 * count  # the others were read and decided
    heard = "".join(capsys.readouterr()) + caplog.text
    assert "Traceback" not in heard
    assert "work failed" not in heard
