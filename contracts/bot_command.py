"""A command to a bot: the one rule for what somebody types and for what an export holds."""

import re
from dataclasses import dataclass

_BOT = r"@([A-Za-z0-9_]{1,32}[bB][oO][tT])"
_COMMAND = re.compile(
    rf"(?:{_BOT}[,:]?\s+)?/([A-Za-z0-9_]{{1,32}})(?:@([A-Za-z0-9_]+))?[.,!?…]*(?!\S)\s*"
    rf"(?:{_BOT}(?!\S))?(.*?)(?:(?<!\S){_BOT}[.!?…]*)?",
    re.DOTALL,
)


@dataclass(frozen=True)
class Command:
    """A text that begins with a slash and a word; `target` is the bot it names, if any.

    People name it before the command, in it, or after it: «@some_bot /help», «/help@some_bot»,
    «/help @some_bot», «/mute 2h @some_bot».
    """

    name: str
    target: str
    arguments: str


def read_command(text: str) -> Command | None:
    """Return the command that the text is, None where it is talk: «/дом стоит»."""
    found = _COMMAND.fullmatch(text.rstrip())
    if not found:
        return None
    before, name, within, after, arguments, last = found.groups()
    return Command(name.lower(), within or before or after or last or "", arguments.strip())
