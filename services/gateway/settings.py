"""Settings of a gateway, and the check of its token."""

import re
from pathlib import Path

from pydantic import Field, SecretStr

from contracts.settings import Settings
from services.gateway.errors import TokenRefused

TOKEN = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]{1,128}")


class DatabasePath(Settings):
    """Where a bot's database lies."""

    bot: str
    gateway_data_dir: Path = Path("var/gateway")

    @property
    def database(self) -> Path:
        return self.gateway_data_dir / self.bot / "gateway.sqlite3"


class GatewaySettings(DatabasePath):
    """Each field is an environment variable of the same name in capitals.

    telegram_api         the Bot API server, without `/bot<token>`
    telegram_token       from BotFather; never shown. Checked by `token_of`, not here: a refused
                         field's message would show the value
    telegram_proxy       socks5://… or http://…; may hold a password, so never shown either
    bot                  the bot's name, that of its file
    gateway_data_dir     its database lies in a folder of the bot's name below
    metrics_host         address to listen on for /metrics, /healthz and /readyz
    metrics_port         0 takes a free port
    drain_seconds        how long work in hand may take after SIGTERM
    forget_dir           where forget.jsonl lies, for extraction to read
    gateway_delays       scale of the pauses that manners and Telegram's limits ask for; 0 is none
    """

    telegram_api: str = Field(default="https://api.telegram.org", pattern=r"^https?://[^\s/]+")
    telegram_token: SecretStr
    telegram_proxy: SecretStr | None = None
    bots_dir: Path = Path("k8s/bots")
    generation_address: str = "127.0.0.1:50051"
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(default=9464, ge=0, le=65535)
    drain_seconds: float = Field(default=20.0, ge=0.0)
    forget_dir: Path | None = None
    gateway_delays: float = Field(default=1.0, ge=0.0, le=10.0)

    @property
    def volumes(self) -> dict[str, Path]:
        """Folders on the volumes that it writes to, by the volume's name."""
        listed = {"database": self.database.parent}
        return listed if self.forget_dir is None else {**listed, "data": self.forget_dir}


def token_of(settings: GatewaySettings) -> str:
    """The token; raises TokenRefused when it has not the shape of one."""
    token = settings.telegram_token.get_secret_value().strip()
    if not TOKEN.fullmatch(token):
        raise TokenRefused(
            "TELEGRAM_TOKEN: not a bot's token (digits, a colon, then letters, digits, _ and -)"
        )
    return token
