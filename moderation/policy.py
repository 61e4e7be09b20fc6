"""What a bot's owner wants of moderation: the section `moderation` of bot.yaml."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

_Word = Annotated[str, Field(pattern=r"[\p{L}\p{N}]")]


class Category(StrEnum):
    """In the order in which a verdict names one."""

    PROFANITY = "profanity"
    INSULT = "insult"
    PRIVATE = "private"
    LINK = "link"


class Level(StrEnum):
    """How much of a category is found, and what is done with it.

    OFF     nothing
    SOFT    what is beyond doubt is starred out
    STRICT  also what is mild or only likely; the text is blocked
    """

    OFF = "off"
    SOFT = "soft"
    STRICT = "strict"

    @classmethod
    def _missing_(cls, value: object) -> "Level | None":
        """Take YAML's reading of `off`, and the levels' names in older bot files."""
        older = {"none": cls.OFF, "masked": cls.SOFT, "blocked": cls.STRICT}
        return cls.OFF if value is False else older.get(str(value))


class Preset(StrEnum):
    FAMILY = "family"
    FRIENDS = "friends"
    OFF = "off"

    @classmethod
    def _missing_(cls, value: object) -> "Preset | None":
        return cls.OFF if value is False else None


LEVELS = {
    Preset.FAMILY: dict.fromkeys(Category, Level.STRICT),
    Preset.FRIENDS: dict(
        zip(Category, (Level.SOFT, Level.SOFT, Level.STRICT, Level.OFF), strict=True)
    ),
    Preset.OFF: dict.fromkeys(Category, Level.OFF),
}


class Policy(BaseModel):
    """What is done with replies that are obscene, insult, or tell what is private.

    preset       `family`: for a group with children or strangers. Mild words, likely insults,
                 what is private and every link block a reply.
                 `friends`: obscene words and slurs are starred out, what is private blocks a
                 reply. Mild words and links pass.
                 `off`: everything passes, as the chat said it. Only words of `deny` are starred
                 out
    profanity    `off`, `soft` or `strict` instead of the preset's level, for obscene words
    insult       the same for insults, slurs and threats
    private      the same for numbers of cards, phones and documents, for e-mail addresses, keys and
                 links with a token
    link         the same for links and invitations
    replacement  what the bot says when every candidate was blocked
    allow        words that this bot may say
    deny         words that it may not, whatever the level
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    preset: Preset = Preset.FRIENDS
    profanity: Level | None = None
    insult: Level | None = None
    private: Level | None = None
    link: Level | None = None
    replacement: str = Field(default="Лучше промолчу.", min_length=1, max_length=500)
    allow: tuple[_Word, ...] = ()
    deny: tuple[_Word, ...] = ()

    @classmethod
    def named(cls, name: str) -> "Policy":
        """Return the preset, or the policy with every category at that level.

        Raises ValueError where it is neither.
        """
        if name in set(Preset):
            return cls(preset=Preset(name))
        levels: dict[str, Any] = dict.fromkeys(Category, Level(name))
        return cls(**levels)

    def level(self, category: Category) -> Level:
        own: Level | None = getattr(self, category)
        return LEVELS[self.preset][category] if own is None else own
