"""The answer in the persona's voice: waits for the rest of a burst, asks, and paces the lines."""

from dataclasses import dataclass

from aiogram import Bot
from aiogram.types import Message

from services.gateway.addressing import from_bot, sender_of, topic_of
from services.gateway.answer import Answer, Outgoing
from services.gateway.changes import decided, had, joined_are_answered
from services.gateway.config import GatewayConfig
from services.gateway.conversation import HISTORY_MESSAGES, chat_key, history
from services.gateway.decision import UNASKED, Reason
from services.gateway.errors import Unavailable
from services.gateway.indicator import typing
from services.gateway.pace import Pace
from services.gateway.raw import Place
from services.gateway.rhythm import pauses
from services.gateway.store import Store
from services.gateway.thinking import Thinking

LONG_AGO = 10.0
"""Seconds after which a message has waited long enough for its sender's next."""


@dataclass(frozen=True)
class Speech:
    bot_name: str
    bot: Bot
    config: GatewayConfig
    store: Store
    thinking: Thinking
    pace: Pace

    async def reply(self, message: Message, update_id: int, reason: Reason) -> Answer:
        """Answer; an outage is told to people, once, and not to bots. Raises Stopping."""
        chat, topic, sender = message.chat.id, topic_of(message), sender_of(message)
        began = self.pace.now()
        async with typing(self.bot, chat, topic, self.pace.clock):
            if await self.goes_on(message, update_id):
                return left_to_the_next(message, reason)
            made = (
                joined_are_answered(chat, topic, sender, message.date.timestamp()),
                decided(chat, message.message_id, reason),
            )
            try:
                lines = await self._lines(message, update_id)
            except Unavailable:
                told = not from_bot(message) and self.thinking.may_tell(chat)
                return Answer((self._line(message, self.config.unavailable),) if told else (), made)
        due = pauses(lines, self.config.typing_speed)
        spent = max(0.0, self.pace.now() - began)  # the clock may be set back
        said = [
            self._line(message, line, True, max(0.0, self.pace.scale * after - spent))
            for line, after in zip(lines, due, strict=True)
        ]
        counted = had(sender, chat, "unasked" if reason in UNASKED else "answer", self.pace.now())
        return Answer(tuple(said), (*made, counted))

    async def goes_on(self, message: Message, update_id: int) -> bool:
        """Wait a little, and see whether the sender wrote more that is answered with this."""
        if not self.config.burst_seconds or from_bot(message):
            return False
        if self.pace.now() - message.date.timestamp() < LONG_AGO:
            await self.pace.wait(self.pace.scale * self.config.burst_seconds)
        place = Place(message.chat.id, topic_of(message), sender_of(message))
        return await self.store.goes_on(update_id, place, message.date.timestamp())

    async def _lines(self, message: Message, update_id: int) -> list[str]:
        chat, topic = message.chat.id, topic_of(message)
        recall = await self.store.turns.recall(chat, topic, message.message_id, HISTORY_MESSAGES)
        name = chat_key(self.bot_name, chat, topic)
        turns = history(recall.messages, name)
        if not turns:  # its sender has been forgotten meanwhile
            return []
        request_id = f"{self.bot_name}-{update_id}"
        return await self.thinking.reply(turns, name, request_id, recall.lately, recall.denied)

    @staticmethod
    def _line(message: Message, text: str, spoken: bool = False, after: float = 0.0) -> Outgoing:
        return Outgoing(
            message.chat.id, text, topic_of(message),
            reply_to=0 if message.chat.type == "private" else message.message_id,
            spoken=spoken, after=after, asker=sender_of(message), to_bot=from_bot(message),
        )  # fmt: skip


def left_to_the_next(message: Message, reason: Reason) -> Answer:
    """It is answered with what its sender wrote after it: for that, if nobody asked, as well."""
    kept = Reason.NOT_ADDRESSED if reason in UNASKED else Reason.JOINED
    return Answer(changes=(decided(message.chat.id, message.message_id, kept),))
