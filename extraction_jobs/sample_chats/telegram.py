"""Writes chats as Telegram Desktop exports them to JSON, with everything that may be in one."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import Any

_NOT_INCLUDED = "(File not included. Change data exporting settings to download.)"
_CHANNEL = "Вестник трамвайного парка"
_NEWS = (
    "Завтра трамвай пойдёт другим путём, но туда же.",
    "На кольцевой высадили тюльпаны, просьба объезжать их взглядом.",
    "Найден левый ботинок, правый может быть спокоен.",
    "Рельсы протёрли до блеска, теперь в них отражается утро.",
)
_STICKERS = "😂😎🥲🤔🙈🫠"
_REACTIONS = "👍❤🔥😁🤣"


@dataclass(frozen=True)
class Person:
    """A sender; a deleted account has no name in an export."""

    id: int
    name: str | None


@dataclass
class ChatWriter:
    """Collects one chat's messages. `garnish` is the share of them that have more than text."""

    name: str
    kind: str
    id: int
    random: Random
    garnish: float = 0.12
    messages: list[dict[str, Any]] = field(default_factory=list)

    def export(self) -> dict[str, Any]:
        return {"name": self.name, "type": self.kind, "id": self.id, "messages": self.messages}

    def service(self, at: datetime, actor: Person, action: str, **more: Any) -> None:
        """Add a service message, e.g. `create_group` or `pin_message`."""
        self.messages.append(
            {
                "id": self._next_id(),
                "type": "service",
                **_date(at),
                "actor": actor.name,
                "actor_id": f"user{actor.id}",
                "action": action,
                **more,
                "text": "",
                "text_entities": [],
            }
        )

    def say(self, at: datetime, sender: Person, text: str, reply_to: int | None = None) -> int:
        """Add a message, sometimes with a photo, an edit, entities or a reaction; return its id."""
        message = self._message(at, sender)
        if reply_to is not None:
            message["reply_to_message_id"] = reply_to
        message["text"] = text
        if self.random.random() < self.garnish:
            self._adorn(message, at)
        message["text_entities"] = _entities(message["text"])
        return int(message["id"])

    def oddment(self, at: datetime, sender: Person) -> None:
        """Add a sticker or a forwarded message: nothing that the sender wrote."""
        message = self._message(at, sender)
        if self.random.random() < 0.6:
            message |= {
                "file": _NOT_INCLUDED,
                "thumbnail": _NOT_INCLUDED,
                "media_type": "sticker",
                "sticker_emoji": self.random.choice(_STICKERS),
                "width": 512,
                "height": 512,
                "text": "",
            }
        else:
            message |= {"forwarded_from": _CHANNEL, "text": self.random.choice(_NEWS)}
        self.messages[-1] = {**message, "text_entities": _entities(message["text"])}

    def _next_id(self) -> int:
        return len(self.messages) + 1

    def _message(self, at: datetime, sender: Person) -> dict[str, Any]:
        message: dict[str, Any] = {
            "id": self._next_id(),
            "type": "message",
            **_date(at),
            "from": sender.name,
            "from_id": f"user{sender.id}",
        }
        self.messages.append(message)
        return message

    def _adorn(self, message: dict[str, Any], at: datetime) -> None:
        text = message["text"]
        kind = self.random.choice(("photo", "edit", "bold", "reaction", "reaction"))
        if kind == "photo":
            message |= {"photo": _NOT_INCLUDED, "width": 960, "height": 1280}
        elif kind == "edit":
            later = datetime.fromtimestamp(at.timestamp() + 30, UTC)
            message |= {f"edited{key[4:]}": value for key, value in _date(later).items()}
        elif kind == "bold" and " " in text:
            first, rest = text.split(" ", 1)
            message["text"] = [{"type": "bold", "text": first}, f" {rest}"]
        elif kind == "reaction":
            emoji = self.random.choice(_REACTIONS)
            message["reactions"] = [{"type": "emoji", "count": 1, "emoji": emoji}]


def _date(at: datetime) -> dict[str, str]:
    return {"date": at.strftime("%Y-%m-%dT%H:%M:%S"), "date_unixtime": str(int(at.timestamp()))}


def _entities(text: Any) -> list[dict[str, str]]:
    parts = text if isinstance(text, list) else [text] if text else []
    return [part if isinstance(part, dict) else {"type": "plain", "text": part} for part in parts]
