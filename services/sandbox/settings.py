"""Settings of the sandbox, and the tokens of its bots."""

import secrets
from pathlib import Path
from typing import Annotated
from zlib import crc32

from pydantic import BeforeValidator, Field, SecretStr, field_validator
from pydantic_settings import NoDecode

from contracts.refusal import Refusal
from contracts.settings import Settings

LOOPBACK = ("localhost", "127.0.0.1", "::1")


def _split(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


Names = Annotated[list[str], NoDecode, BeforeValidator(_split)]
"""Given comma-separated."""


class SandboxSettings(Settings):
    """Each field is an environment variable of the same name in capitals.

    sandbox_host            address to listen on; there is no password
    sandbox_port            0 takes a free port
    sandbox_allowed_hosts   names by which it may be called besides localhost, comma-separated
    sandbox_tokens          the bots' tokens as `bot=token`, comma-separated, never logged; a bot
                            without one gets a random one
    sandbox_people          names of the people, comma-separated; the first one created the group
    sandbox_privacy         names of the bots whose privacy mode is on, comma-separated
    sandbox_rate_limit      whether bots that send more than Telegram allows get an error 429
    """

    sandbox_host: str = "127.0.0.1"
    sandbox_port: int = Field(default=8081, ge=0, le=65535)
    sandbox_allowed_hosts: Names = Field(default="", validate_default=True)
    sandbox_tokens: SecretStr | None = None  # `tokens` checks it: pydantic's message would show it
    bots_dir: Path = Path("k8s/bots")
    sandbox_people: Names = Field(default="Аня,Борис,Вера", validate_default=True)
    sandbox_privacy: Names = Field(default="", validate_default=True)
    sandbox_rate_limit: bool = False

    @field_validator("sandbox_people")
    @classmethod
    def _check_people(cls, names: list[str]) -> list[str]:
        if not names or len(set(names)) < len(names):
            raise ValueError("wants at least one name, each given once")
        return names

    @property
    def hosts(self) -> frozenset[str]:
        allowed = map(str.lower, self.sandbox_allowed_hosts)
        return frozenset({*LOOPBACK, self.sandbox_host, *allowed})

    @property
    def tokens(self) -> dict[str, str]:
        given = self.sandbox_tokens.get_secret_value() if self.sandbox_tokens else ""
        pairs = [part.partition("=") for part in _split(given)]
        if any(not token.partition(":")[0].isdecimal() for _, _, token in pairs):
            raise Refusal("SANDBOX_TOKENS: wants bot=token, comma-separated")
        return {bot: token for bot, _, token in pairs}


def sandbox_token(bot: str) -> str:
    """Return a random token for a bot, whose number is always the same, as Telegram's are."""
    return f"{crc32(bot.encode())}:{secrets.token_urlsafe(24)}"
