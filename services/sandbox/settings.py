"""Settings of the sandbox, and the tokens of its bots."""

from pathlib import Path
from zlib import crc32

from pydantic import Field, field_validator

from contracts.settings import Settings


class SandboxSettings(Settings):
    """Each field is an environment variable of the same name in capitals.

    sandbox_host         address to listen on; there is no password
    sandbox_port         0 takes a free port
    sandbox_people       names of the people, comma-separated; the first one created the group
    sandbox_privacy      names of the bots whose privacy mode is on, comma-separated
    sandbox_rate_limit   whether bots that send more than Telegram allows get an error 429
    """

    sandbox_host: str = "127.0.0.1"
    sandbox_port: int = Field(default=8081, ge=0, le=65535)
    bots_dir: Path = Path("k8s/bots")
    sandbox_people: str = "Аня,Борис,Вера"
    sandbox_privacy: str = ""
    sandbox_rate_limit: bool = False

    @field_validator("sandbox_people")
    @classmethod
    def _check_people(cls, value: str) -> str:
        names = _split(value)
        if not names or len(set(names)) < len(names):
            raise ValueError("wants at least one name, each given once")
        return value

    @property
    def people(self) -> list[str]:
        return _split(self.sandbox_people)

    @property
    def private_bots(self) -> list[str]:
        return _split(self.sandbox_privacy)


def sandbox_token(bot: str) -> str:
    """Return a bot's token, in the shape of Telegram's; it opens nothing but the sandbox."""
    return f"{crc32(bot.encode())}:sandbox-{bot}"


def _split(value: str) -> list[str]:
    return [part.strip() for part in value.split(",") if part.strip()]
