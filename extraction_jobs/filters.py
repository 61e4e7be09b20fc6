"""Which messages a data set can use: each filter is a reason and a test; every drop is counted."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from contracts.turn import single_line
from extraction_jobs.forgotten import NOBODY, People
from extraction_jobs.message import Message

MAX_CHARACTERS = 2000
FORGOTTEN = "forgotten"

FILTERS: tuple[tuple[str, Callable[[Message], bool]], ...] = (
    ("service", lambda message: message.kind == "service"),
    ("unsupported", lambda message: message.kind not in ("message", "service")),
    ("no_sender", lambda message: message.sender is None),
    ("forwarded", lambda message: message.forwarded),
    ("via_bot", lambda message: message.via_bot),
    ("no_text", lambda message: not single_line(message.text)),
    ("bot_command", lambda message: message.text.startswith("/")),
    ("too_long", lambda message: len(message.text) > MAX_CHARACTERS),
)


def usable(
    messages: Iterable[Message], dropped: Counter[str], forgotten: People = NOBODY
) -> Iterator[Message]:
    """Yield what passes every filter; count the others under the first reason that holds.

    What is usable, but of people who are `forgotten`, is counted under a reason of its own.
    """
    for message in messages:
        reason = next((name for name, holds in FILTERS if holds(message)), None)
        if reason is None and forgotten.include(message.sender, message.sender_name):
            reason = FORGOTTEN
        if reason is None:
            yield message
        else:
            dropped[reason] += 1
