"""Generation over gRPC on loopback against what else runs a GPT-2 of ruGPT3Small's shape on a CPU.

Prompts of 128 tokens, each new, 64 new tokens, two threads, prompts included. The sides take turns
in one run; figures are medians of several rounds. `python -m benchmarks.generation --json FILE`;
with `--peers PYTHON` also against llama.cpp and CTranslate2 (support/other_engines.py tells what
that environment needs).
"""

import asyncio
import itertools
import json as jsonlib
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from transformers import GPT2LMHeadModel

from benchmarks.support import raw_pipeline as raw
from benchmarks.support.generation_service import (
    NEW,
    PROMPT,
    TOP_K,
    ask_at_once,
    asking,
    make,
    prompt,
    sampling,
    served,
)
from benchmarks.support.report import (
    JsonOption,
    Line,
    WorkOption,
    at_most,
    median,
    quantile,
    report,
)
from services.generation.client import GenerationClient

THREADS = 2
NUMBERS = itertools.count(0, 64)
"""The first number of each round's prompts, so that none is asked twice."""
LOADS = (1, 4, 16)
BARS = {("big", 1): 5.0, ("big", 4): 6.0, ("big", 16): 4.5, ("small", 1): 7.0, ("small", 4): 8.0}
LOST, AHEAD = 0.9, 1.1
"""The least share of the raw pipeline's speed, and of other engines' speed."""
SEEN, UNSEEN, LAG = 0.060, 0.450, 0.020
"""Limits in seconds: first token, event-loop lag at p99."""
FIRST_MB, FURTHER_MB = 260.0, 160.0
START = 3.0

Side = Callable[[int], float]
"""Returns tokens a second with so many streams at once."""


def transformers_side(weights: Path) -> Side:
    """`generate` in fp32 with a batch."""
    torch.set_num_threads(THREADS)
    model: Any = GPT2LMHeadModel.from_pretrained(weights)

    def speed(streams: int) -> float:
        ids = torch.randint(5, 50_000, (streams, PROMPT))
        began = time.perf_counter()
        model.generate(
            ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=NEW,
            min_new_tokens=NEW,
            do_sample=True,
            top_k=TOP_K,
        )
        return streams * NEW / (time.perf_counter() - began)

    return speed


@contextmanager
def speaking(*command: object) -> Iterator[Callable[[str], Any]]:
    """Run a process that answers each line with a line of JSON."""
    words = [str(word) for word in command]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdin
        assert other.stdout
        output = other.stdout
        writer = other.stdin

        def ask(line: str) -> Any:
            if line:
                print(line, file=writer, flush=True)
            return jsonlib.loads(output.readline())

        try:
            yield ask
        finally:
            writer.close()


async def compare(address: str, others: dict[str, Side], rounds: int) -> list[Line]:
    """Let all sides take turns at every load; each side's first round is to warm up."""
    found: dict[tuple[str, int], list[float]] = defaultdict(list)
    async with asking(address) as client:
        for streams in LOADS:
            for _ in range(rounds + 1):
                for bot in ("big", "small"):
                    start = next(NUMBERS)
                    asked = await ask_at_once(client, bot, range(start, start + streams))
                    found[bot, streams].append(asked.tokens_per_second)
                for name, side in others.items():
                    found[name, streams].append(await asyncio.to_thread(side, streams))
    return [
        Line(f"{precision}, {streams} at once, over {name}", ours, theirs, bar)
        for name in others
        for bot, precision in (("big", "int8"), ("small", "int4"))
        for streams in LOADS
        if (bar := _bar(name, bot, streams))
        for ours, theirs in [[median(found[side, streams][1:]) for side in (bot, name)]]
    ]


def _bar(other: str, bot: str, streams: int) -> float | None:
    """Return the least ratio of ours to the other; None: the two are not compared."""
    if other == "generate":
        return BARS.get((bot, streams))
    if other == "raw":
        return LOST if bot == "big" and streams != 4 else None
    is_int4 = "4_0" in other
    return AHEAD if is_int4 == (bot == "small") else None


async def first_tokens(client: GenerationClient, rounds: int) -> list[Line]:
    """Measure the first token with 600 tokens of history, never seen and seen before."""
    unseen: list[float] = []
    seen: list[float] = []
    for _ in range(rounds):
        turns = prompt(next(NUMBERS), 600)
        for found in (unseen, seen):
            answer = await client.generate("big", turns, sampling=sampling(), max_new_tokens=4)
            found.append(answer.timings.first_token)
    return [
        at_most("first token, unseen history, s", median(unseen), UNSEEN),
        at_most("first token, seen history, s", median(seen), SEEN),
    ]


async def stream_sixteen(client: GenerationClient) -> None:
    async def stream(number: int) -> None:
        async for _ in client.stream(
            "big", prompt(number), sampling=sampling(), max_new_tokens=NEW
        ):
            pass

    start = next(NUMBERS)
    await asyncio.gather(*(stream(start + number) for number in range(16)))


async def lag(root: Path, rounds: int) -> Line:
    """Measure the event loop's lag while sixteen streams are under way."""
    file = root / "lag.json"
    with served(
        root / "bots", root / "models", "benchmarks.support.event_loop_lag", LAG_FILE=str(file)
    ) as there:
        async with asking(there.address) as client:
            for _ in range(rounds):
                start = next(NUMBERS)
                await ask_at_once(client, "big", range(start, start + 16))
                await stream_sixteen(client)
    lags: list[float] = jsonlib.loads(file.read_text())
    return at_most("event-loop lag at p99, s", quantile(lags, 0.99), LAG)


async def memory(root: Path) -> list[Line]:
    """Measure the anonymous memory of one bot and of a further one once each has answered.

    Sixteen chats add to it, most of it attention cache.
    """
    after: dict[int, list[float]] = {1: [], 16: []}
    starts: list[float] = []
    for bots in (["big"], ["big", "third"]):
        folder = root / f"bots-{len(bots)}"
        folder.mkdir(exist_ok=True)
        for bot in bots:
            (folder / f"{bot}.yaml").write_text(f"name: {bot}\n")
        with served(folder, root / "models") as there:
            starts.append(there.start_seconds)
            async with asking(there.address) as client:
                for chats, memories in after.items():
                    for bot in bots:
                        start = next(NUMBERS)
                        await ask_at_once(client, bot, range(start, start + chats))
                    memories.append(there.anonymous_mb())
    (first, both), (first_later, both_later) = after.values()
    return [
        at_most("memory of the first bot, MB", first, FIRST_MB),
        at_most("memory of a further bot, MB", both - first, FURTHER_MB),
        Line("memory of the first bot after sixteen chats, MB", first_later),
        Line("memory of a further bot after sixteen chats, MB", both_later - first_later),
        at_most("start to serving one bot, s", starts[0], START),
    ]


async def measure(root: Path, peers: Path | None, rounds: int) -> list[Line]:
    weights = make(root)
    with served(root / "bots", root / "models") as there:
        with sides_of(root, weights, peers) as others:
            lines = await compare(there.address, others, rounds)
        async with asking(there.address) as client:
            lines += await first_tokens(client, rounds)
    return [*lines, await lag(root, rounds), *await memory(root)]


def _peer_speed(ask: Callable[[str], Any], name: str, streams: int) -> float:
    return float(ask(f"{name} {streams}")["tokens_per_second"])


@contextmanager
def sides_of(root: Path, weights: Path, peers: Path | None) -> Iterator[dict[str, Side]]:
    """Give everything that ours is compared to, by name."""
    current = root / "models" / "big" / "current"
    with speaking(sys.executable, "-m", raw.__name__, current) as ask_raw:
        sides: dict[str, Side] = {
            "generate": transformers_side(weights),
            "raw": lambda streams: float(ask_raw(str(streams))),
        }
        if peers is None:
            yield sides
            return
        script = Path(__file__).with_name("support") / "other_engines.py"
        with speaking(peers, script, weights, root / "peers") as ask_peer:
            for name in ask_peer("")["peers"]:
                sides[name] = partial(_peer_speed, ask_peer, name)
            yield sides


def main(
    json: JsonOption = None,
    peers: Annotated[Path | None, typer.Option(help="Python that has the other engines.")] = None,
    work: WorkOption = None,
    rounds: Annotated[int, typer.Option(min=1, help="Turns of each side.")] = 7,
) -> None:
    """Compare, and measure what has limits of its own."""
    with tempfile.TemporaryDirectory() as folder:
        report(asyncio.run(measure(work or Path(folder), peers, rounds)), json)


if __name__ == "__main__":
    typer.run(main)
