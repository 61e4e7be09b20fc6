"""A command to a bot: the one rule for what somebody types and for what an export holds."""

import re
from dataclasses import dataclass

_COMMAND = re.compile(r"/([A-Za-z0-9_]{1,32})(?:@([A-Za-z0-9_]+))?(?!\S)\s*(.*)", re.DOTALL)


@dataclass(frozen=True)
class Command:
    """A text that begins with a slash and a word; `target` is the bot it names, if any."""

    name: str
    target: str
    arguments: str


def read_command(text: str) -> Command | None:
    """Return the command that the text is, None where it is talk: «/дом стоит»."""
    found = _COMMAND.match(text)
    return Command(found[1].lower(), found[2] or "", found[3].strip()) if found else None
