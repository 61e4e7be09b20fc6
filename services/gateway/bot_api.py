"""The Bot API: aiogram's client, which carries out calls and raises its errors.

Answers are plain values, so that a message with one unexpected field is still a message.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import aiohttp
from aiogram import Bot, exceptions
from aiogram.client.session.aiohttp import AiohttpSession
from aiogram.client.telegram import TelegramAPIServer
from aiogram.methods import TelegramMethod
from aiogram.utils.token import TokenValidationError

from contracts.refusal import Refusal
from services.gateway.settings import GatewaySettings

CALL_SECONDS = 30
_CODES = {
    exceptions.TelegramBadRequest: "400",
    exceptions.TelegramForbiddenError: "403",
    exceptions.TelegramNotFound: "404",
    exceptions.TelegramEntityTooLarge: "413",
}
REFUSED = tuple(_CODES)
"""Errors after which the same call fails again: it is not repeated."""
_UNCLEAR = (exceptions.TelegramServerError, exceptions.ClientDecodeError)
PASSING = (exceptions.TelegramNetworkError, exceptions.TelegramRetryAfter, *_UNCLEAR)
"""Errors that say nothing about the call: later it succeeds."""


@cache
def _call_class(method: str) -> type[TelegramMethod[Any]]:
    """Return an aiogram method that takes any parameters and returns the answer unread."""
    body = {"__returning__": Any, "__api_method__": method, "__module__": __name__}
    return type(method, (TelegramMethod[Any],), body)


class BotApi:
    """Calls of one bot."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot

    async def call(self, method: str, within: int = CALL_SECONDS, **parameters: Any) -> Any:
        """Return the call's `result` as JSON has it; `within` is in seconds.

        Parameters that are None are left out. Raises aiogram's TelegramAPIError and
        ClientDecodeError, whose texts are not to be logged: an address in them holds the token.
        """
        return await self._bot(_call_class(method)(**parameters), request_timeout=within)


@asynccontextmanager
async def open_bot_api(settings: GatewaySettings) -> AsyncIterator[BotApi]:
    """Yield a client; raises Refusal for a token or a proxy that cannot be used."""
    proxy = settings.telegram_proxy.get_secret_value() if settings.telegram_proxy else None
    server = TelegramAPIServer.from_base(settings.telegram_api)
    try:
        session = AiohttpSession(proxy=proxy, api=server)
        bot = Bot(settings.telegram_token.get_secret_value().strip(), session)
    except (RuntimeError, ValueError):
        raise Refusal("TELEGRAM_PROXY: not usable; give socks5:// or http://") from None
    except TokenValidationError:
        raise Refusal("TELEGRAM_TOKEN: not a bot's token (digits, a colon, letters)") from None
    async with bot:
        yield BotApi(bot)


def may_have_arrived(error: Exception) -> bool:
    """Whether Telegram may have carried out the call that failed so.

    A connection that was never made carried nothing; one that broke may have. An error of a server
    (5xx) or an answer that is not JSON says nothing either.
    """
    if isinstance(error, exceptions.TelegramNetworkError):
        return not isinstance(error.__cause__, aiohttp.ClientConnectorError)
    return isinstance(error, _UNCLEAR)


def failure_code(error: exceptions.TelegramAPIError) -> str:
    """The status of a refused call for metrics; `topic` where only the forum topic is gone."""
    return "topic" if "thread not found" in error.message else _CODES[type(error)]
