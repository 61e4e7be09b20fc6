"""The models volume as generation sees it: read-only, looked at again and again.

Tells which version a bot should serve and opens it; knows nothing of the engine.
"""

from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from contracts.bot_file import BotFile, bot_path
from contracts.model_version import (
    MODEL_FILES,
    BotModels,
    Manifest,
    ManifestInvalid,
    ModelVersionError,
    verify,
)
from contracts.prompt import Vocabulary
from contracts.sampling import Sampling
from moderation import Moderator, Policy
from services.generation.config import GenerationConfig


@dataclass(frozen=True)
class Bot:
    """A bot's settings that generation needs."""

    name: str
    sampling: Sampling
    generation: GenerationConfig
    moderator: Moderator


@dataclass(frozen=True)
class Version:
    """A verified version: its manifest and its tokenizer."""

    path: Path
    manifest: Manifest
    tokenizer: Tokenizer

    @property
    def key(self) -> str:
        """Name of the model in the engine."""
        return f"{self.manifest.bot}/{self.manifest.id}"

    @property
    def words(self) -> Vocabulary:
        def encode(text: str) -> list[int]:
            ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False).ids
            return ids

        return Vocabulary(encode, self.manifest.bos, self.manifest.eos)


class ModelStore:
    """Bots and versions on disk."""

    def __init__(self, bots_dir: Path, models_dir: Path) -> None:
        self.bots_dir = bots_dir
        self._models_dir = models_dir
        self._bots: dict[str, tuple[Path, int, Bot]] = {}

    def bot(self, name: str) -> Bot:
        """The bot's settings, read again when its file changes; raises BotNotFound or a Refusal."""
        path = bot_path(self.bots_dir, name)
        changed = path.stat().st_mtime_ns
        known = self._bots.get(name)
        if known is None or known[:2] != (path, changed):
            known = self._bots[name] = (path, changed, _bot(BotFile.read(path)))
        return known[2]

    def wanted(self, bot: str) -> list[str]:
        """Ids to serve, the best first: what `current` names, then `previous`."""
        models = BotModels(self._models_dir / bot)
        links = (models.linked("current"), models.linked("previous"))
        return list(dict.fromkeys(link for link in links if link))

    def open(self, bot: str, version_id: str) -> Version:
        """Verify the files that are served and read the tokenizer; raises ModelVersionError."""
        path = BotModels(self._models_dir / bot).path(version_id)
        manifest = verify(path, MODEL_FILES)
        if manifest.bot != bot or manifest.id != version_id:
            raise ManifestInvalid(f"{path}: the manifest is of {manifest.bot}/{manifest.id}")
        try:
            tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        except Exception as error:  # the library raises bare Exception
            raise ModelVersionError(f"{path}: tokenizer.json cannot be read ({error})") from None
        tokenizer.encode_special_tokens = True  # "</s>" in a user's text is just text
        return Version(path, manifest, tokenizer)


def _bot(file: BotFile) -> Bot:
    return Bot(
        file.name,
        file.section("sampling", Sampling),
        file.section("generation", GenerationConfig),
        Moderator(file.section("moderation", Policy)),
    )
