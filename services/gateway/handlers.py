"""What the bot does with an update: aiogram's router, whose handlers return an Answer.

They store what was said, and send nothing but the typing indicator: answers go out by the outbox.
Handlers get what they need by parameter name, from the dispatcher's data.
"""

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

from aiogram import Dispatcher, F, Router
from aiogram.filters import KICKED, LEFT, ChatMemberUpdatedFilter, MagicData
from aiogram.types import ChatMemberUpdated, Message, TelegramObject
from aiogram.types import Update as TelegramUpdate

from services.gateway import changes
from services.gateway.addressing import Identity, from_bot, sender_of, spoken_text, topic_of
from services.gateway.answer import Answer, Outgoing
from services.gateway.commands import add_commands
from services.gateway.config import GatewayConfig
from services.gateway.decision import NOT_TALK, Decision, Reason
from services.gateway.menu import add_menu
from services.gateway.metrics import Metrics
from services.gateway.pace import Pace
from services.gateway.policy import decide
from services.gateway.speech import Speech, left_to_the_next
from services.gateway.store import Store
from services.gateway.turn_store import Heard

Handler = Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]]


def build_dispatcher(**parts: Any) -> Dispatcher:
    """A dispatcher to be fed with `feed_update`; it answers with an Answer or UNHANDLED.

    parts   what handlers ask for by name: me, config, store, pace, metrics, speech, office
    """
    dispatcher = Dispatcher(disable_fsm=True, **parts)
    dispatcher.include_router(_router())
    return dispatcher


def _router() -> Router:
    router = Router()
    router.message.outer_middleware(_decided)
    router.edited_message.outer_middleware(_decided)
    router.message.register(migrated, F.migrate_to_chat_id | F.migrate_from_chat_id)
    router.my_chat_member.register(put_out, ChatMemberUpdatedFilter(KICKED | LEFT))
    for observer in (router.message, router.edited_message):
        observer.register(keep_quiet, MagicData(~F.decision.speaks))
        observer.register(tell_limit, MagicData(F.decision.reason == Reason.LIMIT_TOLD))
    router.message.register(wordless, MagicData(F.decision.reason == Reason.WORDLESS))
    router.message.register(reply, MagicData(~F.decision.command))  # before what is rarer
    add_menu(router.message, router.callback_query)
    add_commands(router.message)
    router.edited_message.register(reply)
    return router


async def _decided(handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
    """Decide, remember what was said, and hand the decision on."""
    if not isinstance(event, Message):
        return await handler(event, data)
    edited = data["event_update"].edited_message is not None
    store: Store = data["store"]
    now = data["pace"].now()
    heard = _heard(event, data["me"])
    view = await store.turns.view(heard, now)
    decision = decide(event, data["me"], view, data["config"], now, edited)
    data["metrics"].decided.labels(decision.reason.value).inc()
    if decision.reason not in NOT_TALK:
        # an edit counts as answered when it is, or a second attempt would take it for done
        kept = Reason.EDITED if edited else decision.reason
        await store.turns.remember(heard, kept, data["event_update"].update_id)
    answer = await handler(event, {**data, "decision": decision})
    if decision.command and isinstance(answer, Answer):
        counted = changes.had(heard.user_id, heard.chat, "command", now)
        return replace(answer, changes=(*answer.changes, counted))
    return answer


def _heard(message: Message, me: Identity) -> Heard:
    return Heard(
        chat=message.chat.id,
        topic=topic_of(message),
        message_id=message.message_id,
        user_id=sender_of(message),
        is_bot=from_bot(message),
        text=spoken_text(message, me),
        at=message.date.timestamp(),
        album=message.media_group_id,
    )


async def migrated(message: Message) -> Answer:
    """Telegram tells it in both chats, and either may be read first."""
    old = message.migrate_from_chat_id or message.chat.id
    return Answer(changes=(changes.migrated(old, message.migrate_to_chat_id or message.chat.id),))


async def put_out(event: ChatMemberUpdated, metrics: Metrics) -> Answer:
    """Blocked by a person or put out of a group."""
    metrics.put_out.inc()
    return Answer(changes=(changes.left(event.chat.id),))


async def keep_quiet(_message: Message) -> Answer:
    return Answer()


async def tell_limit(message: Message, config: GatewayConfig, pace: Pace) -> Answer:
    quoted = 0 if message.chat.type == "private" else message.message_id
    told = Outgoing(message.chat.id, config.limited, topic_of(message), quoted)
    had = changes.had(sender_of(message), message.chat.id, "limit_told", pace.now())
    return Answer((told,), (had,))


async def wordless(
    message: Message,
    event_update: TelegramUpdate,
    config: GatewayConfig,
    pace: Pace,
    speech: Speech,
) -> Answer:
    """One of the lines in turn, the same for the same message, unless words follow it."""
    if await speech.goes_on(message, event_update.update_id):
        return left_to_the_next(message, Reason.WORDLESS)
    text = config.wordless[message.message_id % len(config.wordless)]
    quoted = 0 if message.chat.type == "private" else message.message_id
    had = changes.had(sender_of(message), message.chat.id, "answer", pace.now())
    asker = sender_of(message)
    said = Outgoing(message.chat.id, text, topic_of(message), quoted, asker=asker)
    return Answer((said,), (had,))


async def reply(
    message: Message, event_update: TelegramUpdate, decision: Decision, speech: Speech
) -> Answer:
    return await speech.reply(message, event_update.update_id, decision.reason)
