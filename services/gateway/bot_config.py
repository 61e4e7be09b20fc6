"""bot.yaml's `gateway` section: what the bot is called, whom it serves, how it talks."""

from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from services.gateway.arguments import read_hours
from services.gateway.reasons import ChatSettings, Minutes
from services.gateway.texts import Text, Texts

Name = Annotated[str, Field(pattern=r"\S", max_length=64)]
Ids = frozenset[int]
WORDLESS = (
    "Я понимаю только слова. Напишете текстом?",
    "Тут я бессилен: читать умею, а смотреть и слушать — нет.",
    "Интересно, наверное. А словами можно?",
)


def _hours(value: object) -> Minutes | None:
    if value is None or value is False:  # YAML reads `off` as false
        return None
    if (hours := read_hours(str(value))) is None:
        raise ValueError("must be hours such as 23-8 or 22:30-7:15, or off")
    return hours


def _zone(value: object) -> ZoneInfo:
    try:
        return ZoneInfo(str(value))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f"no time zone is called {value!r}; Europe/Moscow is one") from None


class GatewayConfig(BaseModel):
    """What the bot is called, whom it serves and how it talks.

    names            words by which the bot is called in groups, besides its @username; their
                     Russian case forms count as well
    names_at         where in a sentence they call it: `anywhere`, or at its `edge`, which is its
                     beginning or end. Take `edge` for a name that is a common word
    insanity         whether the bot answers everything in new groups, until an administrator
                     changes that
    chattiness       percentage of the messages of new groups that it answers without being called
    quiet            hours such as `23-8` in which it speaks in new groups only when called
    owner_ids        ids of people who may give every command in every chat, receive reports and
                     have no hourly limit
    owner_only       whether only the owners are served
    allow_chats      ids; if this list or `allow_users` is given, only the chats and people on them
                     are served. A private chat has the id of its person
    allow_users      ids; see `allow_chats`
    deny_chats       ids of chats that are not served; nothing of them is kept
    deny_users       ids of people who are not served; nothing of theirs is kept
    persona_user_id  id of the person imitated, who may silence the bot with /optout
    hourly_limit     answers that a person gets in an hour, in all chats together
    budget           answers a minute in a chat to messages that are not for the bot
    bot_depth        most messages of bots in a row, its own included, to which it adds another
    time_zone        of quiet hours and of the times that the bot names
    burst_seconds    seconds that it waits for more from the same person before it answers
    typing_speed     characters a second at which it seems to type, up to six seconds for a message;
                     0 sends at once
    wordless         answers to a sticker, a voice message, a place or a picture without words that
                     is for the bot; with an empty list it keeps silent
    allow_pings      whether an @name in an answer notifies that person
    retention_days   days after which messages are deleted
    texts            see below
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    names: tuple[Name, ...] = ()
    names_at: Literal["anywhere", "edge"] = "anywhere"
    insanity: bool = False
    chattiness: int = Field(default=0, ge=0, le=100)
    quiet: Annotated[Minutes | None, BeforeValidator(_hours)] = None
    owner_ids: Ids = frozenset()
    owner_only: bool = False
    allow_chats: Ids = frozenset()
    allow_users: Ids = frozenset()
    deny_chats: Ids = frozenset()
    deny_users: Ids = frozenset()
    persona_user_id: int | None = None
    hourly_limit: int = Field(default=60, ge=1)
    budget: int = Field(default=6, ge=0)
    bot_depth: int = Field(default=5, ge=0, le=100)
    time_zone: Annotated[ZoneInfo, BeforeValidator(_zone)] = ZoneInfo("Europe/Moscow")
    burst_seconds: float = Field(default=1.5, ge=0.0, le=30.0)
    typing_speed: float = Field(default=20.0, ge=0.0)
    wordless: tuple[Text, ...] = WORDLESS
    allow_pings: bool = False
    retention_days: int = Field(default=30, ge=1)
    texts: Texts = Texts()

    @model_validator(mode="after")
    def _serves_somebody(self) -> Self:
        if self.owner_only and not self.owner_ids:
            raise ValueError("owner_only wants owner_ids: nobody would be served")
        return self

    @property
    def new_chat(self) -> ChatSettings:
        """The settings of a chat for which nobody has set any."""
        return ChatSettings(insane=self.insanity, chattiness=self.chattiness, quiet=self.quiet)

    def serves(self, user: int, chat: int) -> bool:
        """Whether the lists let this person be served in this chat."""
        if user in self.owner_ids:
            return True
        if self.owner_only or user in self.deny_users or chat in self.deny_chats:
            return False
        is_limited = bool(self.allow_chats or self.allow_users)
        return not is_limited or chat in self.allow_chats or user in self.allow_users
