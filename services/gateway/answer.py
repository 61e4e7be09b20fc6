"""What handling an update comes to: messages to send and changes, committed together."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection

Change = Callable[[Connection], int | None]
"""Something that the transaction does; `changes` has them."""


@dataclass(frozen=True)
class Outgoing:
    """A message to send.

    reply_to   the message that it quotes; 0 quotes nothing
    spoken     the persona's own words
    after      seconds from now before which it is not sent
    asker      whom it answers, 0 nobody
    to_bot     it answers a bot
    markup     a keyboard below it, as JSON
    """

    chat: int
    text: str
    topic: int = 0
    reply_to: int = 0
    spoken: bool = False
    after: float = 0.0
    asker: int = 0
    to_bot: bool = False
    markup: str | None = None


@dataclass(frozen=True)
class Answer:
    messages: tuple[Outgoing, ...] = ()
    changes: tuple[Change, ...] = ()
