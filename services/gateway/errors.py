"""What can go wrong in the gateway, and what it means for the process.

Refusal (contracts)    the process ends with one line and exit code 2
└── TokenRefused       the token is malformed, or Telegram does not know it

Stopping               the process ends while something waits; the next start takes the work up
Unavailable            generation gave no answer in the time that a person waits: `code` says why

No text here ever holds the token: errors of the HTTP client name addresses, and the address of a
Bot API call holds the token. `kind` is what may be logged of an error.
"""

import aiohttp
from aiogram.exceptions import ClientDecodeError, TelegramNetworkError, TelegramServerError

from contracts.refusal import Refusal


class TokenRefused(Refusal):
    """The token cannot be used; the text does not hold it."""


class Stopping(Exception):
    """A wait was cut short because the process ends."""


class Unavailable(Exception):
    def __init__(self, code: str) -> None:
        self.code = code
        super().__init__(f"generation is unavailable: {code}")


def kind(error: BaseException) -> str:
    """The error's name without its text."""
    return type(error).__name__


def may_have_arrived(error: Exception) -> bool:
    """Whether Telegram may have carried out the call that failed so.

    A connection that was never made carried nothing; one that broke may have. A gateway's error
    (5xx) or an answer that is not JSON says nothing either.
    """
    if isinstance(error, TelegramNetworkError):
        return not isinstance(error.__cause__, aiohttp.ClientConnectorError)
    return isinstance(error, TelegramServerError | ClientDecodeError)
