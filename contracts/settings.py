"""Settings of a process: from the environment, frozen, refused at start by name and value."""

from pathlib import Path
from typing import TypeVar

from pydantic_settings import BaseSettings, SettingsConfigDict

from contracts.refusal import refusing

FORGET_FILE = "forget.jsonl"
S = TypeVar("S", bound="Settings")


class Settings(BaseSettings):
    """Base of every process's settings; a field `grpc_port` is read from `GRPC_PORT`."""

    model_config = SettingsConfigDict(frozen=True, extra="ignore")


def from_environment(settings: type[S]) -> S:
    """Read the settings, or raise `BadValue` with the variables' names."""
    with refusing("environment", upper=True):
        return settings()


class Volumes(Settings):
    """Where data, models and base models lie: the same tree on a laptop and in the cluster."""

    data_dir: Path = Path("var/data")
    models_dir: Path = Path("var/models")
    base_dir: Path = Path("var/base")

    def exports(self, bot: str) -> Path:
        return self.data_dir / bot / "exports"

    def forget(self, bot: str) -> Path:
        """The list of people who asked not to be learned from."""
        return self.data_dir / bot / "forget" / FORGET_FILE

    def dataset(self, bot: str) -> Path:
        return self.data_dir / bot / "dataset"

    def run(self, bot: str) -> Path:
        return self.data_dir / bot / "run"

    def models(self, bot: str) -> Path:
        return self.models_dir / bot

    def base(self, hub_name: str) -> Path:
        """Folder in which a hub's model `<owner>/<name>` is kept."""
        return self.base_dir / hub_name.replace("/", "--")
