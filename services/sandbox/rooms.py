"""A chat: its messages, who is in it, and the rules of writing there. Pure.

Knows nothing of other chats, HTTP, queues or pages. The time comes in with each message.
"""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiogram.types import Chat, InlineKeyboardMarkup, Message, User

from services.sandbox.errors import bad_request, forbidden
from services.sandbox.messages import text_fields

GROUP = "group"
MOST_EXPLAINED = 200


@dataclass(frozen=True)
class BotAccount:
    name: str
    token: str
    user: User

    @property
    def mention(self) -> str:
        return f"@{self.user.username}"


@dataclass(frozen=True)
class Draft:
    """A message before it is accepted.

    text     None where only a keyboard is edited
    lenient  sent even if the message that it answers is gone
    """

    text: str | None
    reply_to: int | None = None
    lenient: bool = False
    markup: InlineKeyboardMarkup | None = None


@dataclass
class Room:
    """A chat; its key is `group` or `<bot>/<person's id>`.

    explanations  of the newest messages, by id: of each bot by its name, why it spoke or did not
    """

    key: str
    chat: Chat
    bots: list[BotAccount]
    last_id: int = 0
    messages: dict[int, Message] = field(default_factory=dict)
    explanations: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def is_private(self) -> bool:
        return self.chat.type == "private"

    def check_started(self) -> None:
        """Raise unless bots may write here."""
        if self.is_private and not self.messages:
            raise forbidden("bot can't initiate conversation with a user")

    def message(self, message_id: int, role: str) -> Message:
        """Return a message; the error names its role: `message to edit`, ..."""
        if message_id not in self.messages:
            raise bad_request(f"{role} not found")
        return self.messages[message_id]

    def post(self, author: User, draft: Draft, at: datetime) -> Message:
        """Accept a message of a person or a bot."""
        fields, answered = text_fields(draft.text or ""), self._replied_to(draft)
        self.last_id += 1
        self.messages[self.last_id] = Message(
            message_id=self.last_id,
            date=at,
            chat=self.chat,
            from_user=author,
            reply_to_message=answered,
            reply_markup=draft.markup,
            **fields,
        )
        return self.messages[self.last_id]

    def edit(self, author: User, message_id: int, draft: Draft, at: datetime) -> Message:
        """Change the author's own message: its text, unless there is none, and its keyboard."""
        found = self.message(message_id, "message to edit")
        if found.from_user != author:
            raise bad_request("message can't be edited")
        fields = {} if draft.text is None else text_fields(draft.text)
        changed = found.model_copy(update={**fields, "reply_markup": draft.markup})
        if changed == found:
            raise bad_request(
                "message is not modified: specified new message content and reply markup are "
                "exactly the same as a current content and reply markup of the message"
            )
        self.messages[message_id] = changed.model_copy(update={"edit_date": int(at.timestamp())})
        return self.messages[message_id]

    def explain(self, message_id: int, bot: BotAccount, why: dict[str, Any]) -> None:
        """Keep why a bot said a message, answered it or left it."""
        self.explanations.setdefault(message_id, {})[bot.name] = why
        if len(self.explanations) > MOST_EXPLAINED:
            del self.explanations[next(iter(self.explanations))]

    def delete(self, bot: BotAccount, message_id: int) -> None:
        """In a group a bot without rights deletes only what it wrote itself."""
        found = self.message(message_id, "message to delete")
        if not self.is_private and found.from_user != bot.user:
            raise bad_request("message can't be deleted")
        del self.messages[message_id]

    def receivers(self, message: Message) -> list[BotAccount]:
        """Return the bots that get the message as an update: bots get other bots' messages too."""
        return [bot for bot in self.bots if bot.user != message.from_user]

    def _replied_to(self, draft: Draft) -> Message | None:
        """Return the message answered, without the one that it answers."""
        if draft.reply_to is None:
            return None
        found = self.messages.get(draft.reply_to)
        if found is None and not draft.lenient:
            raise bad_request("message to be replied not found")
        return found and found.model_copy(update={"reply_to_message": None})
