"""No pattern takes long over what people write, whatever they write."""

import ast
import importlib
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from contracts.refusal import Refusal
from extraction_jobs.json_reader import JsonReader
from moderation.private import find_private, unfinished_at
from services.gateway.history_turns import without_own_name
from services.gateway.incoming import Identity
from services.gateway.names import is_called
from services.sandbox.messages import entities
from training_jobs.evaluation.text_figures import features

ROOT = Path(__file__).parents[1]
ROOMS = ("contracts", "extraction_jobs", "moderation", "services/gateway", "services/sandbox")
MODULES = [
    path.relative_to(ROOT)
    for room in (*ROOMS, "training_jobs/evaluation")
    for path in sorted((ROOT / room).rglob("*.py"))
    if re.search(r"\bre\.\w+\(", path.read_text(encoding="utf-8"))
]
SHORT, LONG = 1 << 13, 1 << 16
"""Characters: two of Telegram's longest messages, and sixteen, or a chunk of an export."""
MOST_SECONDS = 2.0
MARKS = ("\\", "@", "/", "x", "0", "а", " ", "-", ":", ".", ")", "+", "ключ", "собака", "паспорт")
PAIRS = [*map("".join, product(MARKS, MARKS)), "eyJ", "?key", "4276 "]
ME = Identity(1, "avtobus_bot")
FUNCTIONS: dict[str, Callable[[str], Any]] = {
    "is_called": lambda text: is_called(("автобус", "Avtobus", "x", "0"), text),
    "is_called at an edge": lambda text: is_called(("автобус", "x", "0"), text, True),
    "find_private": lambda text: [*find_private(text)],
    "unfinished_at": unfinished_at,
    "without_own_name": lambda text: without_own_name(text, ME),
    "entities": entities,
    "features": lambda text: features((text,)),
    "a broken export": lambda text: read_broken(f'{{\n "text": {text}\n}}'),
    "a broken export in a line": lambda text: read_broken(f'{{"text": {text}}}'),
}
BUILDERS = (
    *("_any_of", "_numbers", "_one", "_repaired", "_spelled", "__init__", "without_own_name"),
)
"""Functions that build patterns when they are called; those above use them."""


def read_broken(text: str) -> None:
    with suppress(Refusal):
        JsonReader(Path("result.json"), BytesIO(f"{text},\n".encode()), Counter()).value()


def patterns(path: Path) -> Iterator[re.Pattern[Any]]:
    """Yield the pattern of each call of `re` in a file, but of those that a function builds."""
    names = vars(importlib.import_module(".".join(path.with_suffix("").parts)))
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    builder = {
        call: each.name
        for each in ast.walk(tree)
        if isinstance(each, ast.FunctionDef)
        for call in ast.walk(each)
    }
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call) or not ast.unparse(call.func).startswith("re."):
            continue
        is_compiled = ast.unparse(call.func) == "re.compile"
        wanted = call if is_compiled else call.args[0]
        try:
            yield re.compile(eval(ast.unparse(wanted), {"re": re, **names}))  # noqa: S307
        except NameError:  # of an argument, or a variable
            is_escape = ast.unparse(call.func) == "re.escape"
            assert is_escape or builder[call] in BUILDERS, f"{builder[call]} is not tried"


def slow_pairs(step: Callable[[str], object]) -> list[str]:
    """Return what a text is made of over which a step takes long."""

    def seconds(pair: str, length: int) -> float:
        text = pair * (length // len(pair)) + "!"
        began = time.process_time()
        step(text)
        return time.process_time() - began

    most = MOST_SECONDS * (SHORT / LONG) ** 2
    slow = [pair for pair in PAIRS if seconds(pair, SHORT) > most]
    return [pair for pair in slow if seconds(pair, LONG) > MOST_SECONDS]  # or was the machine?


def search(pattern: re.Pattern[Any], text: str) -> object:
    return pattern.search(text if isinstance(pattern.pattern, str) else text.encode())


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_no_pattern_takes_longer_than_in_proportion_to_the_text(path: Path) -> None:
    """A text takes some milliseconds; in proportion to the square it would take many seconds."""
    for pattern in patterns(path):
        slow = slow_pairs(partial(search, pattern))
        assert not slow, pattern.pattern


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_function_takes_longer_than_in_proportion_to_the_text(name: str) -> None:
    assert not slow_pairs(FUNCTIONS[name])
