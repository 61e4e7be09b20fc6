"""The Bot API: methods that bots call, answered as Telegram answers them.

aiogram's own models read the parameters and build the answers. A method that is not here is
refused by name, and so is parse_mode, which has no effect here. Knows nothing of HTTP.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiogram import methods
from aiogram.methods.base import TelegramMethod
from aiogram.types import Message, User
from pydantic import ValidationError

from services.sandbox.errors import ApiError, bad_request
from services.sandbox.messages import accepted_markup
from services.sandbox.messenger import Messenger
from services.sandbox.rooms import BotAccount, Draft, Room
from services.sandbox.update_queue import MAX_LIMIT, QueuedUpdate, dump
from services.sandbox.world import Member


class Explain(TelegramMethod[bool]):
    """No method of Telegram's: why a bot said a message, answered it or left it (the gateway's
    `explanations`).
    """

    __returning__ = bool
    __api_method__ = "explain"
    chat_id: int
    message_id: int
    reason: str
    turns: list[dict[str, Any]]
    draws: list[dict[str, Any]]


class BotMethods:
    def __init__(self, messenger: Messenger) -> None:
        self._messenger, self._world = messenger, messenger.world
        table: dict[type[TelegramMethod[Any]], Callable[[BotAccount, Any], Awaitable[object]]] = {
            methods.GetMe: self._get_me,
            methods.GetUpdates: self._get_updates,
            methods.SendMessage: self._send_message,
            methods.EditMessageText: self._edit_message,
            methods.EditMessageReplyMarkup: self._edit_message,
            methods.AnswerCallbackQuery: self._answer_callback_query,
            methods.DeleteMessage: self._delete_message,
            methods.SendChatAction: self._send_chat_action,
            methods.GetChatMember: self._get_chat_member,
            methods.SetMyCommands: self._set_my_commands,
            methods.GetMyCommands: self._get_my_commands,
            methods.DeleteMyCommands: self._delete_my_commands,
            methods.DeleteWebhook: self._delete_webhook,
            Explain: self._explain,
        }
        self._methods = {model.__api_method__.lower(): (model, run) for model, run in table.items()}

    def bot(self, token: str) -> BotAccount:
        if token not in self._world.bots:
            raise ApiError(401, "Unauthorized")
        return self._world.bots[token]

    def check_known(self, name: str) -> None:
        """Raise if there is no such method."""
        if name.lower() not in self._methods:
            raise ApiError(404, f"Not Found: the sandbox has no method {name}")

    async def call(self, bot: BotAccount, name: str, params: Mapping[str, Any]) -> object:
        """Run a method by its name, in any letter case."""
        model, handler = self._methods[name.lower()]
        try:
            request = model.model_validate(dict(params))
        except ValidationError as error:
            raise _parameter_error(error) from None
        # where none was given aiogram puts a marker, which is no string
        if isinstance(getattr(request, "parse_mode", None), str):
            raise bad_request("unsupported parse_mode")
        return await handler(bot, request)

    async def _get_me(self, bot: BotAccount, _: methods.GetMe) -> User:
        abilities = {"can_join_groups": True, "supports_inline_queries": False}
        return bot.user.model_copy(update=abilities | {"can_read_all_group_messages": True})

    async def _get_updates(self, bot: BotAccount, params: methods.GetUpdates) -> list[QueuedUpdate]:
        offset, limit = params.offset or 0, params.limit or MAX_LIMIT
        queue = self._messenger.queues[bot.token]
        return await queue.poll(offset, limit, params.timeout or 0)

    async def _send_message(self, bot: BotAccount, params: methods.SendMessage) -> Message:
        reply = params.reply_parameters
        draft = Draft(
            params.text,
            reply.message_id if reply else params.reply_to_message_id,
            lenient=(reply or params).allow_sending_without_reply is True,
            markup=accepted_markup(params.reply_markup),
        )
        return self._messenger.post(self._room(bot, params.chat_id), bot.user, draft)

    async def _edit_message(
        self, bot: BotAccount, params: methods.EditMessageText | methods.EditMessageReplyMarkup
    ) -> Message:
        room = self._room(bot, params.chat_id)
        text = params.text or "" if isinstance(params, methods.EditMessageText) else None
        draft = Draft(text, markup=accepted_markup(params.reply_markup))
        return self._messenger.edit(room, bot.user, params.message_id or 0, draft)

    async def _answer_callback_query(
        self, bot: BotAccount, params: methods.AnswerCallbackQuery
    ) -> bool:
        query, alert = params.callback_query_id, bool(params.show_alert)
        self._messenger.answer_press(bot, query, params.text, alert)
        return True

    async def _delete_message(self, bot: BotAccount, params: methods.DeleteMessage) -> bool:
        self._messenger.delete(self._room(bot, params.chat_id), bot, params.message_id)
        return True

    async def _send_chat_action(self, bot: BotAccount, params: methods.SendChatAction) -> bool:
        self._messenger.show_action(self._room(bot, params.chat_id), bot, params.action)
        return True

    async def _get_chat_member(self, bot: BotAccount, params: methods.GetChatMember) -> Member:
        return self._world.member(self._world.room_of_bot(params.chat_id, bot), params.user_id)

    async def _set_my_commands(self, bot: BotAccount, params: methods.SetMyCommands) -> bool:
        self._messenger.set_menu(bot, params.commands, params.scope, params.language_code)
        return True

    async def _get_my_commands(
        self, bot: BotAccount, params: methods.GetMyCommands
    ) -> list[dict[str, str]]:
        found = self._world.menus[bot.token].get(params.scope, params.language_code)
        return [dump(command) for command in found]

    async def _delete_my_commands(self, bot: BotAccount, params: methods.DeleteMyCommands) -> bool:
        self._messenger.set_menu(bot, [], params.scope, params.language_code)
        return True

    async def _delete_webhook(self, bot: BotAccount, params: methods.DeleteWebhook) -> bool:
        return True  # there is none

    async def _explain(self, bot: BotAccount, params: Explain) -> bool:
        room = self._room(bot, params.chat_id)
        why = params.model_dump(include={"reason", "turns", "draws"})
        self._messenger.explain(room, params.message_id, bot, why)
        return True

    def _room(self, bot: BotAccount, chat_id: int | str | None) -> Room:
        """Find a chat in which the bot may write."""
        room = self._world.room_of_bot(chat_id, bot)
        room.check_started()
        return room


def _parameter_error(error: ValidationError) -> ApiError:
    first = error.errors()[0]
    name = str(first["loc"][0]) if first["loc"] else "request"
    if first["type"] == "missing":
        return bad_request("message text is empty" if name == "text" else f"{name} is empty")
    return bad_request(f"wrong parameter {name} in request")
