"""Settings of a process: read from the environment, frozen, refused at the start."""

from pathlib import Path
from typing import TypeVar

from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.refusal import refusing

FORGET_FILE = "forget.jsonl"
SERVING_FILE = "serving.json"
S = TypeVar("S", bound="Settings")


class Settings(BaseSettings):
    """Base of all settings; a field `grpc_port` is read from `GRPC_PORT`."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")


def from_environment(settings: type[S]) -> S:
    """Read the settings; raises Refusal with the names of bad variables."""
    with refusing("environment", upper=True):
        return settings()


class Volumes(Settings):
    """Folders of data, models and base models: the same tree on a laptop and in the cluster.

    data_dir    exports, data sets and training runs, a folder for each bot
    models_dir  published versions, a folder for each bot; generation only reads it
    base_dir    base models as `<owner>--<name>/`, looked up here before the model hub
    """

    data_dir: Path = Path("var/data")
    models_dir: Path = Path("var/models")
    base_dir: Path = Path("var/base")

    def exports(self, bot: str) -> Path:
        return self.data_dir / bot / "exports"

    def forget(self, bot: str) -> Path:
        """Return the list of people whose messages must not be learned from."""
        return self.data_dir / bot / "forget" / FORGET_FILE

    def serving(self, bot: str) -> Path:
        """Return where the bot's gateway notes which version serves."""
        return self.forget(bot).with_name(SERVING_FILE)

    def dataset(self, bot: str) -> Path:
        return self.data_dir / bot / "dataset"

    def run(self, bot: str) -> Path:
        return self.data_dir / bot / "run"

    def models(self, bot: str) -> Path:
        return self.models_dir / bot

    def base(self, hub_name: str) -> Path:
        """Return the folder of a hub's model `<owner>/<name>`."""
        return self.base_dir / hub_name.replace("/", "--")
