"""What the service does under load while things go wrong, at ruGPT3Small's shape.

storm     64 clients with random cancels and deadlines
memory    16 clients; anonymous memory after minute one and at the end
versions  switched 20 times under load, 3 of them broken
kills     the engine's process killed five times under load

`python -m benchmarks.faults --json FILE`; `--minutes` is the length of `memory`. Ends with 1 when a
bar is missed.
"""

import asyncio
import itertools
import json as jsonlib
import os
import random
import signal
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import grpc
import typer

from benchmarks.support.generation_service import Served, asking, make, prompt, sampling, served
from benchmarks.support.report import JsonOption, Line, WorkOption, at_least, at_most, report
from contracts.model_version import BotModels, hash_files, read_manifest
from services.generation.client import GenerationClient, GenerationError

BOT, OTHER = "big", "small"
NUMBERS = itertools.count(400_000)
Found = dict[str, Any]


async def ask(client: GenerationClient, **options: Any) -> tuple[str, str]:
    """Return the status, and the version that answered."""
    given = {"sampling": sampling(), "max_new_tokens": random.randint(8, 64), **options}
    try:
        answer = await client.generate(BOT, prompt(next(NUMBERS)), **given)
    except GenerationError as error:
        return error.code.name, ""
    return grpc.StatusCode.OK.name, answer.model_version


async def keep_asking(
    client: GenerationClient,
    clients: int,
    until: Callable[[], bool],
    once: Callable[[], Awaitable[None]],
) -> None:
    async def one() -> None:
        while not until():
            await once()

    await asyncio.gather(*(one() for _ in range(clients)))


def idle(there: Served) -> Found:
    """Return what the metrics say of the queue once all is over."""
    url = f"http://127.0.0.1:{there.metrics}/metrics"
    with urllib.request.urlopen(url) as page:
        lines = page.read().decode().splitlines()
    names = ("queue_size", "running", "engine_restarts_total", "versions_refused_total")
    return {
        line.split()[0].removeprefix("persona_generation_"): float(line.split()[1])
        for line in lines
        if line.startswith(tuple(f"persona_generation_{name}" for name in names))
    }


async def storm(there: Served, client: GenerationClient, seconds: float) -> Found:
    statuses: Counter[str] = Counter()
    until = time.monotonic() + seconds

    async def once() -> None:
        timeout = random.choice([0.05, 0.3, 1.0, 5.0, 60.0])
        call = asyncio.create_task(ask(client, chat_key=str(random.randrange(64)), timeout=timeout))
        if random.random() < 0.2:
            await asyncio.sleep(random.random())
            call.cancel()
        try:
            statuses[(await call)[0]] += 1
        except asyncio.CancelledError:
            statuses["CANCELLED"] += 1

    await keep_asking(client, 64, lambda: time.monotonic() >= until, once)
    await asyncio.sleep(1)
    return {"statuses": dict(statuses), **idle(there)}


async def memory(there: Served, client: GenerationClient, minutes: float) -> Found:
    statuses: Counter[str] = Counter()
    began = time.monotonic()
    samples: list[float] = []

    async def once() -> None:
        statuses[(await ask(client, chat_key=str(random.randrange(16))))[0]] += 1

    async def sample() -> None:
        for minute in range(1, int(minutes) + 1):
            await asyncio.sleep(max(0.0, began + 60 * minute - time.monotonic()))
            samples.append(there.anonymous_mb())

    sampling_task = asyncio.create_task(sample())
    await keep_asking(client, 16, lambda: time.monotonic() - began >= 60 * minutes, once)
    await sampling_task
    growth = samples[-1] / samples[0] - 1
    return {"statuses": dict(statuses), "anonymous_mb": samples, "growth": growth, **idle(there)}


def republish(models: BotModels, broken: bool) -> str:
    """Publish the same files under another id; a broken one's weights do not match their hash."""
    source = models.path(models.ids()[0])
    version_id = f"29990101-{len(models.ids()):06d}-switched"
    manifest = read_manifest(source).model_copy(update={"id": version_id})
    with models.staging() as staged:
        for path in source.iterdir():
            if path.name != "manifest.json":
                os.link(path, staged / path.name)
        if broken:
            (staged / "openvino_model.bin").unlink()
            (staged / "openvino_model.bin").write_bytes(b"broken")
        else:
            manifest = manifest.model_copy(update={"files": hash_files(staged)})
        models.publish(staged, manifest)
    return manifest.id


async def versions(there: Served, client: GenerationClient, models: BotModels) -> Found:
    statuses: Counter[str] = Counter()
    answered: Counter[str] = Counter()
    done = asyncio.Event()

    async def once() -> None:
        status, version = await ask(client, chat_key=str(random.randrange(16)))
        statuses[status] += 1
        answered[version] += 1

    async def switch() -> list[float]:
        took = []
        for number in range(20):
            broken = number in (4, 9, 14)
            wanted = await asyncio.to_thread(republish, models, broken)
            began = time.monotonic()
            while time.monotonic() - began < 30:
                [state] = [each for each in await client.list_models() if each.bot == BOT]
                if (wanted in state.problem) if broken else (state.version == wanted):
                    break
                await asyncio.sleep(0.05)
            else:
                raise RuntimeError(f"{wanted} was not taken up")
            took.append(time.monotonic() - began)
        done.set()
        return took

    switching = asyncio.create_task(switch())
    switching.add_done_callback(lambda _: done.set())
    await keep_asking(client, 16, done.is_set, once)
    took = await switching
    return {
        "statuses": dict(statuses),
        "unnamed": answered[""],
        "versions_that_answered": len(answered),
        "slowest_switch_s": max(took),
        **idle(there),
    }


async def kills(there: Served, client: GenerationClient) -> Found:
    statuses: Counter[str] = Counter()
    done = asyncio.Event()

    async def once() -> None:
        statuses[(await ask(client, timeout=30.0))[0]] += 1
        await asyncio.sleep(0.05)

    async def kill() -> list[float]:
        took = []
        for _ in range(5):
            await asyncio.sleep(3)
            os.kill(there.engine(), signal.SIGKILL)
            began = time.monotonic()
            await asyncio.sleep(0.1)
            while (await ask(client, max_new_tokens=1))[0] != "OK":  # noqa: ASYNC110
                await asyncio.sleep(0.05)
            took.append(time.monotonic() - began)
        done.set()
        return took

    killing = asyncio.create_task(kill())
    killing.add_done_callback(lambda _: done.set())
    await keep_asking(client, 16, done.is_set, once)
    return {"statuses": dict(statuses), "serving_again_s": await killing, **idle(there)}


EXPECTED = {"OK", "CANCELLED", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED"}
LONGEST_S, MOST_GROWTH, BROKEN = 5.0, 0.05, 3


def lines(name: str, found: Found) -> Iterator[Line]:
    """Compare what a scenario found with its limits."""
    statuses: dict[str, int] = found["statuses"]
    for status, count in statuses.items():
        yield Line(f"{name}: {status}", count)
    left = found["queue_size"] + found["running"]
    yield at_most(f"{name}: requests waiting or running afterwards", left, 0)
    if name != "kills":
        unexpected = sum(count for status, count in statuses.items() if status not in EXPECTED)
        yield at_most(f"{name}: unexpected statuses", unexpected, 0)
    match name:
        case "memory":
            yield Line("memory: anonymous memory at the end, MB", found["anonymous_mb"][-1])
            yield at_most("memory: growth after minute one, share", found["growth"], MOST_GROWTH)
        case "versions":
            failed = sum(count for status, count in statuses.items() if status != "OK")
            yield at_most("versions: failed requests", failed, 0)
            yield at_most("versions: replies that name no version", found["unnamed"], 0)
            refused = found[f'versions_refused_total{{bot="{BOT}"}}']
            yield at_least("versions: broken ones refused", refused, BROKEN)
            yield Line("versions: slowest switch, s", found["slowest_switch_s"])
        case "kills":
            slowest = max(found["serving_again_s"])
            yield at_most("kills: serving again after, s", slowest, LONGEST_S)


async def measure(root: Path, minutes: float, only: str) -> Found:
    make(root)
    found: Found = {}
    models = BotModels(root / "models" / BOT)
    scenarios: dict[str, Callable[[Served, GenerationClient], Awaitable[Found]]] = {
        "storm": lambda there, client: storm(there, client, 60),
        "memory": lambda there, client: memory(there, client, minutes),
        "versions": lambda there, client: versions(there, client, models),
        "kills": kills,
    }
    for name, scenario in scenarios.items():
        if only not in ("", name):
            continue
        with served(root / "bots", root / "models") as there:
            async with asking(there.address) as client:
                found[name] = await scenario(there, client)
        typer.echo(f"{name}: {jsonlib.dumps(found[name])}")
    return found


def main(
    json: JsonOption = None,
    minutes: Annotated[float, typer.Option(help="How long memory is watched.")] = 5,
    only: Annotated[str, typer.Option(help="One scenario alone.")] = "",
    work: WorkOption = None,
) -> None:
    """Run the scenarios one after the other and print what was seen."""
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(work or Path(folder), minutes, only))
    report((line for name, each in found.items() for line in lines(name, each)), json)


if __name__ == "__main__":
    typer.run(main)
