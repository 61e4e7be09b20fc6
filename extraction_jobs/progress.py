"""A progress line on standard error while a long stream is read; only on a terminal."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

T = TypeVar("T")


def tracked(items: Iterable[T], title: str, counts: Counter[str] | None = None) -> Iterator[T]:
    """Yield the items, show how many have passed, and count them in `counts`."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TextColumn("{task.completed}"))
    with Progress(
        *columns, TimeElapsedColumn(), console=console, disable=not console.is_terminal
    ) as progress:
        task = progress.add_task(title, total=None)
        for item in items:
            progress.advance(task)
            if counts is not None:
                counts[title] += 1
            yield item
