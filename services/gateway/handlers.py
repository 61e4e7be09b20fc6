"""What the bot does with a message: aiogram's router, whose handlers return an Answer.

They store what was said, and send nothing but the typing indicator: answers go out by the outbox.
Handlers get what they need by parameter name, from the dispatcher's data.
"""

from collections.abc import Awaitable, Callable
from typing import Any

from aiogram import Bot, Dispatcher, F, Router
from aiogram.enums import ChatMemberStatus
from aiogram.filters import MagicData
from aiogram.types import Message, TelegramObject
from aiogram.types import Update as TelegramUpdate

from services.gateway.addressing import (
    ChatState,
    Identity,
    Reason,
    decide,
    from_bot,
    spoken_text,
    topic_of,
)
from services.gateway.config import GatewayConfig
from services.gateway.conversation import HISTORY_MESSAGES, chat_key, history
from services.gateway.errors import Unavailable
from services.gateway.indicator import typing
from services.gateway.metrics import Metrics
from services.gateway.pace import Pace
from services.gateway.store import Answer, Store
from services.gateway.thinking import Thinking

Handler = Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]]
_ADMINISTRATORS = (ChatMemberStatus.CREATOR, ChatMemberStatus.ADMINISTRATOR)
_NOT_TALK = frozenset(
    {
        Reason.OWN,
        Reason.CHANNEL,
        Reason.NO_TEXT,
        Reason.COMMAND,
        Reason.FOREIGN_COMMAND,
        Reason.BOTS_COMMAND,
    }
)


def build_dispatcher(
    *, me: Identity, bot_name: str, config: GatewayConfig, store: Store, thinking: Thinking,
    pace: Pace, metrics: Metrics,
) -> Dispatcher:  # fmt: skip
    """A dispatcher to be fed with `feed_update`; it answers with an Answer or UNHANDLED."""
    dispatcher = Dispatcher(
        disable_fsm=True, me=me, bot_name=bot_name, config=config, store=store,
        thinking=thinking, pace=pace, metrics=metrics,
    )  # fmt: skip
    dispatcher.include_router(_router())
    return dispatcher


def _router() -> Router:
    router = Router()
    router.message.outer_middleware(_decided)
    router.message.register(migrated, F.migrate_to_chat_id | F.migrate_from_chat_id)
    router.message.register(keep_quiet, MagicData(~F.decision.speaks))
    router.message.register(start, MagicData(F.decision.command == "start"))
    router.message.register(tell_help, MagicData(F.decision.command == "help"))
    router.message.register(insanity, MagicData(F.decision.command == "insanity"))
    router.message.register(reply)
    return router


async def _decided(handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
    """Decide, remember what was said, and hand the decision on."""
    if not isinstance(event, Message):
        return await handler(event, data)
    store: Store = data["store"]
    chat, topic = event.chat.id, topic_of(event)
    row = await store.bots_in_a_row(chat, topic, event.message_id)
    state = ChatState(await store.insane(chat), row)
    decision = decide(event, data["me"], state, data["config"].bot_depth)
    data["metrics"].decided.labels(decision.reason.value).inc()
    if decision.reason not in _NOT_TALK:
        await store.remember(
            chat=chat,
            topic=topic,
            message_id=event.message_id,
            user_id=_sender(event),
            is_bot=from_bot(event),
            text=spoken_text(event, data["me"]),
            at=event.date.timestamp(),
        )
    return await handler(event, {**data, "decision": decision})


def _sender(message: Message) -> int:
    """Who speaks: a chat or channel, where somebody writes as one."""
    if message.sender_chat is not None:
        return message.sender_chat.id
    return message.from_user.id if message.from_user is not None else 0


def _to(message: Message, *lines: str, **more: Any) -> Answer:
    """An answer to the message: quoted in groups, where others talk in between."""
    quoted = 0 if message.chat.type == "private" else message.message_id
    return Answer(lines, message.chat.id, topic_of(message), quoted, **more)


async def migrated(message: Message, store: Store) -> Answer:
    """Telegram tells it in both chats, and either may be read first."""
    old = message.migrate_from_chat_id or message.chat.id
    await store.migrate(old, message.migrate_to_chat_id or message.chat.id)
    return Answer()


async def keep_quiet(_message: Message) -> Answer:
    return Answer()


async def start(message: Message, config: GatewayConfig) -> Answer:
    return _to(message, config.start)


async def tell_help(message: Message, config: GatewayConfig) -> Answer:
    return _to(message, config.help)


async def insanity(message: Message, bot: Bot, config: GatewayConfig, store: Store) -> Answer:
    """Turn the mode over; the change is committed with the answer that tells it."""
    if message.chat.type == "private":
        return _to(message, config.insanity_private)
    if not await _may_command(message, bot):
        return _to(message, config.insanity_refused)
    insane = not await store.insane(message.chat.id)
    text = config.insanity_on if insane else config.insanity_off
    return _to(message, text, insane=insane)


async def _may_command(message: Message, bot: Bot) -> bool:
    """In groups administrators alone, the anonymous ones too, who write as the group itself."""
    if message.sender_chat is not None:
        return message.sender_chat.id == message.chat.id
    if message.from_user is None:
        return False
    member = await bot.get_chat_member(message.chat.id, message.from_user.id)
    return member.status in _ADMINISTRATORS


async def reply(
    message: Message,
    event_update: TelegramUpdate,
    bot: Bot,
    bot_name: str,
    config: GatewayConfig,
    store: Store,
    thinking: Thinking,
    pace: Pace,
) -> Answer:
    """Answer in the persona's voice; an outage is told to people, once, and not to bots."""
    chat, topic = message.chat.id, topic_of(message)
    said = await store.history(chat, topic, message.message_id, HISTORY_MESSAGES)
    key = chat_key(bot_name, chat, topic)
    try:
        async with typing(bot, chat, topic, pace.clock):
            request_id = f"{bot_name}-{event_update.update_id}"
            lines = await thinking.reply(history(said, key), key, request_id)
    except Unavailable:
        if from_bot(message) or not thinking.may_tell(chat):
            return Answer()
        return _to(message, config.unavailable)
    return _to(message, *lines, spoken=True)
