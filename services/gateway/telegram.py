"""Values of Telegram's, read tolerantly: people, parts of a text, and what a message answers."""

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import (
    AliasPath,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core.core_schema import ValidationInfo

from contracts.bot_command import Command, read_command
from contracts.placeholder import NAMES as MEDIA
from contracts.placeholder import placeholder
from contracts.turn import single_line

Id = Annotated[int, Field(gt=-(1 << 63), lt=1 << 63)]
"""What SQLite's 64 bits hold."""


class Tolerant(BaseModel):
    """A value of Telegram's whose fields have their defaults where they cannot be read."""

    model_config = ConfigDict(frozen=True, strict=True, hide_input_in_errors=True)

    @field_validator("*", mode="wrap")
    @classmethod
    def _or_default(cls, value: Any, read: Callable[[Any], Any], info: ValidationInfo) -> Any:
        try:
            return read(value)
        except ValidationError:
            return cls.model_fields[info.field_name or ""].default


def at_path(default: Any, *path: str) -> Any:
    """A field that stands at the path."""
    return Field(default=default, validation_alias=AliasPath(*path))


class User(Tolerant):
    id: Id = 0
    is_bot: bool = False
    first_name: str = ""
    last_name: str = ""
    username: str = ""

    @property
    def name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()


class Entity(Tolerant):
    """A marked part of a text, in UTF-16 units; `user` is whom a text mention names."""

    type: str = ""
    offset: int = Field(default=0, ge=0)
    length: int = Field(default=0, ge=0)
    user: User = User()

    @property
    def part(self) -> slice:
        """Where it is in the text as UTF-16, of which a unit is two bytes."""
        return slice(2 * self.offset, 2 * (self.offset + self.length))


def _objects(values: Any) -> Any:
    return [each for each in values if isinstance(each, dict)] if type(values) is list else values


Entities = Annotated[list[Entity], BeforeValidator(_objects)]
"""Those that can be read."""


class RepliedTo(Tolerant):
    """A message that another one answers.

    at                    unix time at which it was written
    sender_chat           the chat or channel as which somebody writes, 0 none
    is_automatic_forward  a post that Telegram copied from the linked channel
    media                 the placeholder of what it carries besides words
    """

    message_id: Id = 0
    at: float = Field(default=0.0, validation_alias="date", ge=0, lt=1 << 40)
    user: User = at_path(User(), "from")
    sender_chat: Id = at_path(0, "sender_chat", "id")
    plain: str = at_path("", "text")
    caption: str = ""
    forum_topic_created: Any = None
    is_automatic_forward: bool = False
    media: str = ""

    @model_validator(mode="before")
    @classmethod
    def _name_media(cls, raw: Any) -> Any:
        kind = next((each for each in MEDIA if raw.get(each)), "") if isinstance(raw, dict) else ""
        if not kind:
            return raw
        told = raw[kind] if isinstance(raw[kind], dict) else {}
        words = told.get("emoji") or told.get("question") or ""
        return {**raw, "media": placeholder(kind, words if isinstance(words, str) else "")}

    @property
    def text(self) -> str:
        return self.plain or self.caption

    @property
    def said(self) -> str:
        """Its words, or the placeholder of what it carries without any."""
        return self.text if self.has_words else self.media

    @property
    def has_words(self) -> bool:
        return bool(single_line(self.text))

    @property
    def command(self) -> Command | None:
        return read_command(self.plain)

    @property
    def sender(self) -> int:
        """Who speaks: a person, a bot, or the chat or channel as which somebody writes."""
        return self.sender_chat or self.user.id

    @property
    def person(self) -> User:
        """The account that speaks, without an id where somebody writes as a chat or channel."""
        return User() if self.sender_chat else self.user

    @property
    def is_by_bot(self) -> bool:
        """People who write as a chat or channel do so under a bot's account, and are no bots."""
        return self.person.is_bot
