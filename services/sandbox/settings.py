"""Settings of the sandbox, and the way bots are written in them."""

import re
from dataclasses import dataclass

from pydantic import Field, ValidationInfo, field_validator

from contracts.settings import Settings

_ENTRY = re.compile(
    r"(?P<name>[a-z][a-z0-9_-]{0,31})(?::(?P<title>[^=:,]+))?=(?P<token>\d+:[\w-]+)"
)


@dataclass(frozen=True)
class BotEntry:
    name: str
    title: str
    token: str


class SandboxSettings(Settings):
    """Each field is an environment variable of the same name in capitals.

    sandbox_host      address to listen on; the sandbox asks nobody for a password
    sandbox_port      0 takes a free port
    sandbox_bots      `name=token` or `name:Title=token`, comma-separated; @username is
                      `<name>_bot`, with _ for -
    sandbox_people    comma-separated names; the first one created the group
    sandbox_privacy   names of the bots whose privacy mode is on, comma-separated
    sandbox_flood     bots that send more than Telegram lets them get 429
    """

    sandbox_host: str = "127.0.0.1"
    sandbox_port: int = Field(default=8081, ge=0, le=65535)
    sandbox_bots: str
    sandbox_people: str = "Аня,Борис,Вера"
    sandbox_privacy: str = ""
    sandbox_flood: bool = False

    @field_validator("sandbox_bots")
    @classmethod
    def _readable(cls, value: str) -> str:
        bots = _entries(value)
        for what, found in (
            ("name", [bot.name for bot in bots]),
            ("bot id", [bot.token.partition(":")[0] for bot in bots]),
        ):
            if len(set(found)) < len(found):
                raise ValueError(f"a {what} is given twice")
        return value

    @field_validator("sandbox_people")
    @classmethod
    def _somebody(cls, value: str) -> str:
        names = _listed(value)
        if not names or len(set(names)) < len(names):
            raise ValueError("wants at least one name, each given once")
        return value

    @field_validator("sandbox_privacy")
    @classmethod
    def _known(cls, value: str, info: ValidationInfo) -> str:
        if "sandbox_bots" not in info.data:  # refused already
            return value
        names = {bot.name for bot in _entries(info.data["sandbox_bots"])}
        if unknown := set(_listed(value)) - names:
            raise ValueError(f"no bot is called {', '.join(sorted(unknown))}")
        return value

    @property
    def bots(self) -> list[BotEntry]:
        return _entries(self.sandbox_bots)

    @property
    def people(self) -> list[str]:
        return _listed(self.sandbox_people)

    @property
    def private_bots(self) -> frozenset[str]:
        return frozenset(_listed(self.sandbox_privacy))


def _listed(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def _entries(value: str) -> list[BotEntry]:
    """Raises ValueError naming the part that cannot be read."""
    entries = [_entry(part) for part in _listed(value)]
    if not entries:
        raise ValueError("wants at least one bot, `name=token`")
    return entries


def _entry(part: str) -> BotEntry:
    found = _ENTRY.fullmatch(part)
    if not found:
        raise ValueError(f"{part!r} is not `name=token` or `name:Title=token`")
    return BotEntry(found["name"], found["title"] or found["name"].capitalize(), found["token"])
