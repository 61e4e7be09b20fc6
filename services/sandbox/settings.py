"""Settings of the sandbox, its bots among them, and tokens for bots that have none."""

import secrets
from zlib import crc32

from pydantic import Field, SecretStr

from contracts.refusal import Refusal
from contracts.settings import Settings

LOOPBACK = ("localhost", "127.0.0.1", "::1")


class SandboxSettings(Settings):
    """Each field is an environment variable of the same name in capitals.

    sandbox_host            address to listen on; without a password the page stays on this machine
    sandbox_password        what the page asks other machines for, with any user name; never logged
    sandbox_port            0 takes a free port
    sandbox_allowed_hosts   names by which it may be called besides localhost, comma-separated
    sandbox_tokens          the bots and their tokens as `bot=token`, comma-separated; never logged
    """

    sandbox_host: str = "127.0.0.1"
    sandbox_password: SecretStr | None = None
    sandbox_port: int = Field(default=8081, ge=0, le=65535)
    sandbox_allowed_hosts: str = ""
    sandbox_tokens: SecretStr | None = None  # `tokens` checks it: pydantic's message would show it

    @property
    def hosts(self) -> frozenset[str]:
        allowed = _split(self.sandbox_allowed_hosts.lower())
        return frozenset({*LOOPBACK, self.sandbox_host, *allowed})

    @property
    def password(self) -> str:
        return self.sandbox_password.get_secret_value() if self.sandbox_password else ""

    @property
    def tokens(self) -> dict[str, str]:
        given = self.sandbox_tokens.get_secret_value() if self.sandbox_tokens else ""
        pairs = [part.partition("=") for part in _split(given)]
        if not pairs or any(not token.partition(":")[0].isdecimal() for _, _, token in pairs):
            raise Refusal("SANDBOX_TOKENS: wants bot=token, comma-separated")
        return {bot: token for bot, _, token in pairs}


def _split(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]


def sandbox_token(bot: str) -> str:
    """Return a random token for a bot, whose number is always the same, as Telegram's are."""
    return f"{crc32(bot.encode())}:{secrets.token_urlsafe(24)}"
