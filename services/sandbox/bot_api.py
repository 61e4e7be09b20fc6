"""The Bot API: methods that bots call, answered as Telegram answers them.

Parameters are read and answers are built by aiogram's own models. A method that is not here is
refused by name; parse_mode, which is not honoured, is refused too. Knows nothing of HTTP.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiogram import methods
from aiogram.enums import ChatAction
from aiogram.methods.base import TelegramMethod
from aiogram.types import (
    AcceptedGiftTypes,
    BotCommand,
    ChatFullInfo,
    Message,
    User,
    WebhookInfo,
)
from pydantic import ValidationError

from services.sandbox.commands import Commands
from services.sandbox.content import edited
from services.sandbox.errors import Refused, bad_request
from services.sandbox.exchange import Exchange
from services.sandbox.keyboard import accepted_markup
from services.sandbox.members import Administrator, Member, administrators, member
from services.sandbox.rooms import BotAccount, Draft, Room

Handler = Callable[[BotAccount, Any], Awaitable[object]]
_ACTIONS = frozenset(action.value for action in ChatAction)
_GIFTS = AcceptedGiftTypes(
    unlimited_gifts=False,
    limited_gifts=False,
    unique_gifts=False,
    premium_subscription=False,
    gifts_from_channels=False,
)


class BotApi:
    def __init__(self, exchange: Exchange) -> None:
        self._exchange, self._world = exchange, exchange.world
        self._commands = Commands()
        table: list[tuple[type[TelegramMethod[Any]], Handler]] = [
            (methods.GetMe, self._get_me),
            (methods.GetUpdates, self._get_updates),
            (methods.SendMessage, self._send_message),
            (methods.EditMessageText, self._edit_message_text),
            (methods.EditMessageReplyMarkup, self._edit_message_reply_markup),
            (methods.AnswerCallbackQuery, self._answer_callback_query),
            (methods.DeleteMessage, self._delete_message),
            (methods.SendChatAction, self._send_chat_action),
            (methods.GetChat, self._get_chat),
            (methods.GetChatMember, self._get_chat_member),
            (methods.GetChatAdministrators, self._get_chat_administrators),
            (methods.SetMyCommands, self._set_my_commands),
            (methods.GetMyCommands, self._get_my_commands),
            (methods.DeleteWebhook, self._delete_webhook),
            (methods.GetWebhookInfo, self._get_webhook_info),
        ]
        self._methods = {model.__api_method__.lower(): (model, run) for model, run in table}

    def bot(self, token: str) -> BotAccount:
        if token not in self._world.bots:
            raise Refused(401, "Unauthorized")
        return self._world.bots[token]

    def known(self, name: str) -> None:
        """Raise if there is no such method."""
        if name.lower() not in self._methods:
            raise Refused(404, f"Not Found: the sandbox has no method {name}")

    async def call(self, bot: BotAccount, name: str, params: Mapping[str, Any]) -> object:
        """Run a method by its name, in any letter case."""
        model, run = self._methods[name.lower()]
        try:
            request = model.model_validate(dict(params))
        except ValidationError as error:
            raise _unreadable(error) from None
        return await run(bot, request)

    def _room(self, bot: BotAccount, chat_id: int | str | None) -> Room:
        if chat_id is None:
            raise bad_request("chat_id is empty")
        return self._world.room_of_bot(chat_id, bot)

    async def _get_me(self, bot: BotAccount, _: methods.GetMe) -> User:
        abilities = {
            "can_join_groups": True,
            "can_read_all_group_messages": not bot.privacy,
            "supports_inline_queries": False,
        }
        return bot.user.model_copy(update=abilities)

    async def _get_updates(
        self, bot: BotAccount, asked: methods.GetUpdates
    ) -> list[dict[str, Any]]:
        return await self._exchange.queues[bot.token].poll(
            asked.offset or 0,
            100 if asked.limit is None else asked.limit,
            asked.timeout or 0,
            asked.allowed_updates,
        )

    async def _send_message(self, bot: BotAccount, asked: methods.SendMessage) -> Message:
        _plain(asked.parse_mode)
        answered = asked.reply_parameters
        draft = Draft(
            asked.text,
            answered.message_id if answered else asked.reply_to_message_id,
            asked.message_thread_id,
            lenient=True
            in (
                answered.allow_sending_without_reply if answered else None,
                asked.allow_sending_without_reply,
            ),
            markup=accepted_markup(asked.reply_markup),
        )
        return self._exchange.bot_says(self._room(bot, asked.chat_id), bot, draft)

    async def _edit_message_text(self, bot: BotAccount, asked: methods.EditMessageText) -> Message:
        _plain(asked.parse_mode)
        room = self._room(bot, asked.chat_id)
        markup, text = accepted_markup(asked.reply_markup), asked.text or ""

        def change(found: Message) -> dict[str, Any]:
            return {**edited(found, text), "reply_markup": markup}

        return self._exchange.bot_edits(room, bot, asked.message_id or 0, change)

    async def _edit_message_reply_markup(
        self, bot: BotAccount, asked: methods.EditMessageReplyMarkup
    ) -> Message:
        change = {"reply_markup": accepted_markup(asked.reply_markup)}
        room = self._room(bot, asked.chat_id)
        return self._exchange.bot_edits(room, bot, asked.message_id or 0, lambda _: change)

    async def _answer_callback_query(
        self, bot: BotAccount, asked: methods.AnswerCallbackQuery
    ) -> bool:
        query, alert = asked.callback_query_id, asked.show_alert is True
        self._exchange.bot_answers(bot, query, asked.text, alert)
        return True

    async def _delete_message(self, bot: BotAccount, asked: methods.DeleteMessage) -> bool:
        self._exchange.bot_deletes(self._room(bot, asked.chat_id), bot, asked.message_id)
        return True

    async def _send_chat_action(self, bot: BotAccount, asked: methods.SendChatAction) -> bool:
        if asked.action not in _ACTIONS:
            raise bad_request("wrong parameter action in request")
        room = self._room(bot, asked.chat_id)
        room.thread(asked.message_thread_id)
        self._exchange.bot_acts(room, bot, asked.action)
        return True

    async def _get_chat(self, bot: BotAccount, asked: methods.GetChat) -> ChatFullInfo:
        chat = self._room(bot, asked.chat_id).chat
        return ChatFullInfo(
            id=chat.id,
            type=chat.type,
            title=chat.title,
            is_forum=chat.is_forum,
            first_name=chat.first_name,
            accent_color_id=0,
            max_reaction_count=11,
            accepted_gift_types=_GIFTS,
        )

    async def _get_chat_member(self, bot: BotAccount, asked: methods.GetChatMember) -> Member:
        return member(self._world, self._room(bot, asked.chat_id), asked.user_id)

    async def _get_chat_administrators(
        self, bot: BotAccount, asked: methods.GetChatAdministrators
    ) -> list[Administrator]:
        return administrators(self._world, self._room(bot, asked.chat_id))

    async def _set_my_commands(self, bot: BotAccount, asked: methods.SetMyCommands) -> bool:
        self._commands.put(bot, asked.commands, asked.scope, asked.language_code)
        return True

    async def _get_my_commands(
        self, bot: BotAccount, asked: methods.GetMyCommands
    ) -> list[BotCommand]:
        return self._commands.get(bot, asked.scope, asked.language_code)

    async def _delete_webhook(self, bot: BotAccount, asked: methods.DeleteWebhook) -> bool:
        if asked.drop_pending_updates:
            self._exchange.queues[bot.token].kept.clear()
        return True

    async def _get_webhook_info(self, bot: BotAccount, _: methods.GetWebhookInfo) -> WebhookInfo:
        waiting = len(self._exchange.queues[bot.token].kept)
        return WebhookInfo(url="", has_custom_certificate=False, pending_update_count=waiting)


def _plain(parse_mode: object) -> None:
    """aiogram puts a marker, not a string, where none was given."""
    if isinstance(parse_mode, str):
        raise bad_request("unsupported parse_mode")


def _unreadable(error: ValidationError) -> Refused:
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else "request"
    if first["type"] == "missing":
        return bad_request("message text is empty" if name == "text" else f"{name} is empty")
    return bad_request(f"wrong parameter {name} in request")
