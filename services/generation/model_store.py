"""Bots and model versions on their volumes, as generation sees them: read-only, polled.

Knows nothing of the engine.
"""

import ctypes
import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from tokenizers import Tokenizer

from contracts.answer_words import ANSWER_WORDS, AnswerWords
from contracts.bot_file import BotFile, bot_path, read_bot
from contracts.model_version import MODEL_FILES, BotModels, Manifest, read_manifest, verify
from contracts.prompt import BOS, EOS, PromptFormat, Vocabulary
from contracts.refusal import Refusal
from contracts.sampling import Sampling
from moderation.moderator import Moderator
from moderation.policy import Policy
from services.generation.bot_config import GenerationConfig
from services.generation.engine.protocol import VersionKey


@dataclass(frozen=True)
class Bot:
    """The part of a bot's file that generation needs."""

    name: str
    sampling: Sampling
    generation: GenerationConfig
    moderator: Moderator


@dataclass(frozen=True)
class Version:
    """A verified model version; `context` is its longest sequence, prompt and reply, in tokens.

    answer_words  what its candidates are ranked by, if anything
    """

    path: Path
    manifest: Manifest
    tokenizer: Tokenizer
    vocabulary: Vocabulary
    context: int
    answer_words: AnswerWords | None

    @property
    def id(self) -> str:
        return self.manifest.id

    @property
    def key(self) -> VersionKey:
        """Its name in the engine."""
        return (self.manifest.bot, self.id)

    def decode(self, ids: list[int]) -> str:
        return str(self.tokenizer.decode(ids, skip_special_tokens=True))


class ModelStore:
    def __init__(self, bots_dir: Path, models_dir: Path) -> None:
        self.bots_dir = bots_dir
        self._models_dir = models_dir
        self._bots: dict[str, tuple[Path, int, Bot]] = {}

    def bot(self, name: str) -> Bot:
        """Read a bot's file, again only when it changed; raises Refusal.

        The first policy takes 0.1 s to build, so this does not belong into an event loop.
        """
        path = bot_path(self.bots_dir, name)
        changed = path.stat().st_mtime_ns
        known = self._bots.get(name)
        if known is None or known[:2] != (path, changed):
            known = self._bots[name] = (path, changed, _bot(read_bot(path, name)))
        return known[2]

    def linked_ids(self, bot: str) -> list[str]:
        """Return the ids that may serve, the best first: of `current`, then of `previous`."""
        models = BotModels(self._models_dir / bot)
        links = (models.current_id(), models.previous_id())
        return list(dict.fromkeys(link for link in links if link))

    def open(self, bot: str, version_id: str) -> Version:
        """Verify the files that are served and read the tokenizer; raises Refusal."""
        path = BotModels(self._models_dir / bot).path(version_id)
        manifest = verify(path, MODEL_FILES)
        if manifest.bot != bot or manifest.id != version_id:
            raise Refusal(f"{path}: the manifest is of {manifest.bot}/{manifest.id}")
        try:
            tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
        except Exception as error:  # the library raises bare Exception
            raise Refusal(f"{path}: tokenizer.json cannot be read ({error})") from None
        _trim_memory()
        size = tokenizer.get_vocab_size()
        if any(not 0 <= token < size for token in manifest.stop.token_ids):
            raise Refusal(f"{path}: a stop token is none of the tokenizer's {size}")
        marks = [BOS, EOS] if manifest.prompt_format is PromptFormat.TURNS_1 else []
        if None in map(tokenizer.token_to_id, marks):
            raise Refusal(f"{path}: the tokenizer has no {BOS} and {EOS}")
        vocabulary, context = Vocabulary.of(tokenizer), _context(path)
        words = _answer_words(path, manifest)
        return Version(path, manifest, tokenizer, vocabulary, context, words)

    @staticmethod
    def forgets_until(version: Version | None) -> float:
        """Return what its manifest says now: it is renewed when nobody has to be left out anew.

        It is 0 where no version serves.
        """
        if version is None:
            return 0.0
        with suppress(Refusal, OSError):
            return read_manifest(version.path).forgets_until
        return version.manifest.forgets_until


def _trim_memory() -> None:
    """Give the system back what reading a tokenizer left over, up to 20 MB (glibc only)."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _context(path: Path) -> int:
    try:
        return int(json.loads((path / "config.json").read_bytes())["n_positions"])
    except (OSError, ValueError, TypeError, KeyError):
        raise Refusal(f"{path}: config.json names no n_positions") from None


def _answer_words(path: Path, manifest: Manifest) -> AnswerWords | None:
    """Return None where too little was learned, or by an older release."""
    if ANSWER_WORDS not in manifest.files:
        return None
    verify(path, [ANSWER_WORDS])
    return AnswerWords.read(path / ANSWER_WORDS)


def _bot(file: BotFile) -> Bot:
    return Bot(
        file.name,
        file.section("sampling", Sampling),
        file.section("generation", GenerationConfig),
        Moderator(file.section("moderation", Policy)),
    )
