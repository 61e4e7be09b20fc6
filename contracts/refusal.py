"""Refusals: how bad input from outside is answered, everywhere in one manner.

    Refusal            one clear line for a person: what is wrong, where, what to do
    └── BadValue       a value that a model of ours does not accept

A process that meets a Refusal prints its text and ends with exit code 2, without a traceback.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError

EXIT_CODE = 2
TERMINATION_LOG = Path("/dev/termination-log")
"""There in a container of a pod alone: what `kubectl describe` shows of why it ended."""

M = TypeVar("M", bound=BaseModel)


class Refusal(Exception):
    """Input that cannot be worked with; the text is meant for a person."""


class BadValue(Refusal):
    """Values refused by a model.

    problems  pairs of the value's dotted path and what is wrong with it
    """

    def __init__(self, source: str, problems: list[tuple[str, str]]) -> None:
        self.source = source
        self.problems = problems
        listed = "; ".join(f"{path}: {text}" for path, text in problems)
        super().__init__(f"{source}: {listed}")


def _problem(error: Any, rename: Callable[[str], str]) -> tuple[str, str]:
    path = rename(".".join(str(part) for part in error["loc"]))
    if error["type"] == "extra_forbidden":
        return path, "unknown key"
    if error["type"] == "missing":
        return path, "is required and was not given"
    message = error["msg"].removeprefix("Value error, ").replace("valid tuple", "list")
    return path, f"{message[:1].lower()}{message[1:]} (given: {error['input']!r})"


@contextmanager
def refusing(source: str, prefix: str = "", upper: bool = False) -> Iterator[None]:
    """Turn pydantic's errors inside the block into a `BadValue` that names `source`."""

    def rename(path: str) -> str:
        return (prefix + path).upper() if upper else (prefix + path).rstrip(".")

    try:
        yield
    except ValidationError as error:
        raise BadValue(source, [_problem(item, rename) for item in error.errors()]) from None


def parse(model: type[M], values: object, source: str, prefix: str = "") -> M:
    """Validate `values`, or raise `BadValue` with each bad key's path."""
    with refusing(source, prefix):
        return model.model_validate(values)


def end_process(refusal: Refusal) -> NoReturn:
    """Print the refusal, also as what Kubernetes shows as the reason, and exit with code 2."""
    print(f"error: {refusal}", file=sys.stderr)
    if TERMINATION_LOG.is_file():
        with suppress(OSError):
            TERMINATION_LOG.write_text(f"{refusal}\n", encoding="utf-8")
    sys.exit(EXIT_CODE)
