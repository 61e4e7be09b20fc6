"""Refusals: the one way to answer bad input from outside.

    Refusal      one clear line for a person: what is wrong, where, what to do
    └── Locked   another process holds the folder (contracts.files)

A process that ends over a Refusal prints its text, without a traceback, and exits with code 2.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

EXIT_CODE = 2
TERMINATION_LOG = Path("/dev/termination-log")
"""Exists in a pod's container only; `kubectl describe` shows what is written to it."""

M = TypeVar("M", bound=BaseModel)


class Refusal(Exception):
    """Input that cannot be used; the text is meant for a person."""


def _problem(error: Any, rename: Callable[[str], str]) -> str:
    """Return the value's dotted path and what is wrong with it."""
    path = rename(".".join(str(part) for part in error["loc"]))
    if error["type"] == "extra_forbidden":
        return f"{path}: unknown key"
    if error["type"] == "missing":
        return f"{path}: is required and was not given"
    message = error["msg"].removeprefix("Value error, ").replace("valid tuple", "list")
    return f"{path}: {message[:1].lower()}{message[1:]} (given: {error['input']!r:.100})"


@contextmanager
def refusing(source: str, prefix: str = "", upper: bool = False) -> Iterator[None]:
    """Turn pydantic's errors in the block into a Refusal that names `source` and each value."""

    def rename(path: str) -> str:
        return (prefix + path).upper() if upper else (prefix + path).rstrip(".")

    try:
        yield
    except ValidationError as error:
        problems = "; ".join(_problem(item, rename) for item in error.errors())
        raise Refusal(f"{source}: {problems}") from None


def parse(model: type[M], values: object, source: str, prefix: str = "") -> M:
    """Return `values` as the model, or raise Refusal with the path of each bad key."""
    with refusing(source, prefix):
        return model.model_validate(values)


def one_line(text: str) -> str:
    """Return a text without line breaks, and without what a terminal would obey."""
    return "".join(sign if sign.isprintable() else " " for sign in text)


def end_process(reason: Refusal | str, code: int = EXIT_CODE) -> NoReturn:
    """Print the reason, also where Kubernetes reads it, and exit."""
    line = one_line(str(reason))
    print(f"error: {line}", file=sys.stderr)
    if TERMINATION_LOG.is_file():
        with suppress(OSError):
            TERMINATION_LOG.write_text(f"{line}\n", encoding="utf-8")
    sys.exit(code)
