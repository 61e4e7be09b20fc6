"""Telegram, generation and the disk fail at random while people write: all is accounted for."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from sqlite3 import Connection, OperationalError
from typing import Any

import grpc
import pytest

from services.gateway.store.database import Database
from tests.e2e.conftest import Town

CODES = (
    grpc.StatusCode.UNAVAILABLE,
    grpc.StatusCode.RESOURCE_EXHAUSTED,
    grpc.StatusCode.FAILED_PRECONDITION,
    grpc.StatusCode.DEADLINE_EXCEEDED,
)
METHODS = ("sendMessage", "getUpdates", "sendChatAction", None)
BOT = "avtobus"


def fault(rng: random.Random) -> dict[str, Any]:
    """A storm of one kind, of one method or of all."""
    kind = rng.choice([429, 500, "drop", "hold", "slow", 409])
    method = "getUpdates" if kind == 409 else rng.choice(METHODS)
    late = kind != 429 and rng.random() < 0.3  # what is refused has not been done
    more = {"method": method, "times": rng.randrange(1, 6), "after": late}
    if isinstance(kind, int):
        return {"kind": "error", "code": kind, "parameters": {"retry_after": 1}, **more}
    return {"kind": kind, "seconds": rng.uniform(0.1, 0.6), **more}


class Disk:
    """Full at times."""

    def __init__(self) -> None:
        self.full = False


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    disk, real = Disk(), Database.transaction

    @asynccontextmanager
    async def transaction(database: Database, flush: bool = False) -> AsyncIterator[Connection]:
        async with real(database, flush) as connection:
            yield connection
            if disk.full:  # at the commit, when all has been computed
                raise OperationalError("database or disk is full")

    monkeypatch.setattr(Database, "transaction", transaction)
    return disk


async def _trouble(town: Town, disk: Disk, rng: random.Random) -> None:
    """Ten troubles one after another; then all is well."""
    for _ in range(10):
        which = rng.random()
        if which < 0.6:
            await town.sandbox.fault(**fault(rng))
        elif which < 0.8:
            town.generation.code = rng.choice(CODES)
        else:
            disk.full = True
        await asyncio.sleep(rng.uniform(0.05, 0.4))
        disk.full, town.generation.code = False, None
    await town.sandbox.post("/admin/faults", {"off": "all"})


async def _write(town: Town, rng: random.Random) -> list[str]:
    written = []
    for number in range(20):
        person, private = rng.choice(["Аня", "Борис", "Вера"]), rng.random() < 0.6
        text = f"сообщение {number}." if private else f"автобус, сообщение {number}."
        await town.sandbox.say(text, chat=BOT if private else "group", person=person)
        written.append(text)
        await asyncio.sleep(rng.uniform(0.0, 0.3))
    return written


def _accounted(town: Town) -> float:
    """Messages that were given up, whatever the reason."""
    names = ("messages_failed_total", "updates_failed_total", "replies_total")
    samples = [each for m in town.registries[BOT].collect() for each in m.samples]
    return sum(
        each.value
        for each in samples
        if each.name.removeprefix("persona_gateway_") in names
        and each.labels.get("outcome", "unavailable") in ("unavailable", "nothing")
    )


@pytest.mark.parametrize(
    "seed", [1, 2, *(pytest.param(seed, marks=pytest.mark.slow) for seed in range(3, 31))]
)
async def test_whatever_fails_every_message_is_answered_or_accounted_for(
    town: Town, disk: Disk, seed: int
) -> None:
    rng = random.Random(seed)
    async with town.gateway(BOT, hourly_limit=1000):
        _, written = await asyncio.gather(_trouble(town, disk, rng), _write(town, rng))

        async def over() -> bool:
            heard = set(await town.sandbox.sent())
            missing = [text for text in written if f"эхо: {text}" not in heard]
            return len(missing) <= _accounted(town)

        await town.until(over, seconds=60)
        sent = Counter(await town.sandbox.sent())
        doubled = sum(sent[f"эхо: {text}"] - 1 for text in written if sent[f"эхо: {text}"])
        lost = sum(f"эхо: {text}" not in sent for text in written)
        print(f"seed {seed}: {len(written)} written, {lost} given up, {doubled} doubled")
        assert doubled <= town.metric(BOT, "messages_maybe_doubled_total")
        assert sum(sent.values()) == len(written) - lost + doubled
