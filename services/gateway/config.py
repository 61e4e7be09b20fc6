"""bot.yaml's `gateway` section: what the bot is called, whom it serves, how it talks."""

from typing import Annotated, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from services.gateway.texts import Text, Texts

Name = Annotated[str, Field(min_length=1, max_length=64)]
Ids = frozenset[int]


class GatewayConfig(Texts):
    """Beside what it says of itself:

    names            words by which the bot is called in a group, besides its @username
    owner_ids        people who may command everywhere, and hear of reports
    owner_only       nobody else is served
    allow_chats      when either list of these two is given, others are not served; a private
    allow_users      chat has its person's id
    deny_chats       not served, and nothing of theirs is kept
    deny_users       the same
    persona_user_id  the person imitated, who may silence the bot with /optout
    hourly_limit     answers a person gets in an hour, in all chats; owners any number
    budget           answers a minute in a chat to messages that are not for the bot
    bot_depth        most messages of bots in a row, its own among them, that it adds to
    time_zone        of quiet hours and of times that are told
    burst_seconds    how long it waits for more from the same person before it answers
    typing_speed     characters a second at which it seems to type; 0 sends at once
    wordless         answers to a sticker, a voice or a picture without words that is for the bot;
                     with none it keeps quiet
    allow_pings      whether an @name in an answer stays one that notifies its bearer
    retention_days   after how many days what was said is deleted
    """

    names: tuple[Name, ...] = ()
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
    time_zone: str = "Europe/Moscow"
    burst_seconds: float = Field(default=1.5, ge=0.0, le=30.0)
    typing_speed: float = Field(default=20.0, ge=0.0)
    wordless: tuple[Text, ...] = ()
    allow_pings: bool = False
    retention_days: int = Field(default=30, ge=1)

    @field_validator("time_zone")
    @classmethod
    def _known(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"no time zone is called {value!r}; Europe/Moscow is one") from None
        return value

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if self.owner_only and not self.owner_ids:
            raise ValueError("owner_only wants owner_ids: nobody would be served")
        return self

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    def serves(self, user: int, chat: int) -> bool:
        """Whether the lists let this person be served in this chat."""
        if user in self.owner_ids:
            return True
        if self.owner_only or user in self.deny_users or chat in self.deny_chats:
            return False
        chosen = bool(self.allow_chats or self.allow_users)
        return not chosen or chat in self.allow_chats or user in self.allow_users
