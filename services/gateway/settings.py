"""Settings of a gateway."""

from pathlib import Path

from pydantic import Field, SecretStr

from contracts.settings import Settings


class DatabasePath(Settings):
    """Where a bot's database lies.

    bot               the bot's name, as in its file
    gateway_data_dir  the database is in a folder of the bot's name here
    """

    bot: str
    gateway_data_dir: Path = Path("var/gateway")

    @property
    def database(self) -> Path:
        return self.gateway_data_dir / self.bot / "gateway.sqlite3"


class GatewaySettings(DatabasePath):
    """Each field is an environment variable of the same name in capitals.

    telegram_api         the Bot API server, without `/bot<token>`
    telegram_token       the token from BotFather; never logged
    telegram_proxy       `socks5://…` or `http://…`; never logged, since it may hold a password
    generation_address   the generation service, which `make ask` asks too
    metrics_host         address to listen on for `/metrics`, `/healthz` and `/readyz`
    forget_dir           folder of forget.jsonl, to which `/forgetme` appends; without it
                         `DATA_DIR/<bot>/forget`, where extraction looks
    explain_answers      tells the Bot API server why the bot spoke or kept quiet, which the demo's
                         page shows; Telegram has no method for it
    gateway_delays       factor of all pauses (bursts, typing, Telegram's limits); 0 is for tests
    """

    telegram_api: str = Field(default="https://api.telegram.org", pattern=r"^https?://[^\s/]+")
    telegram_token: SecretStr  # aiogram checks it: a message of pydantic's would show it
    telegram_proxy: SecretStr | None = None
    bots_dir: Path = Path("k8s/bots")
    generation_address: str = "127.0.0.1:50051"
    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(default=9464, ge=0, le=65535)
    drain_seconds: float = Field(default=20.0, ge=0.0)
    forget_dir: Path | None = None
    explain_answers: bool = False
    gateway_delays: float = Field(default=1.0, ge=0.0, le=10.0)

    @property
    def volumes(self) -> dict[str, Path]:
        """Folders on the volumes that it writes to, by the volume's name."""
        data = {"data": self.forget_dir} if self.forget_dir else {}
        return {"database": self.database.parent, **data}
