"""What can go wrong in the gateway, and what it means for the process.

    Refusal (contracts)   the process ends with one line and exit code 2: a token of nobody's, say
    CancelledError
    └── Stopping          a wait was cut short because the process ends
    Unreadable            (incoming) an update of a kind that we know lacks chat, sender or id

No text here ever holds the token: errors of the HTTP client name addresses, and the address of a
Bot API call holds it.
"""

import asyncio

from aiogram.exceptions import TelegramRetryAfter

from contracts.retry import RetryPolicy, backoff
from services.gateway.store.database import is_fault
from telemetry.logs import logger


class Stopping(asyncio.CancelledError):
    """The process ends; the next start takes the work up. No `except Exception` catches it."""


def pause_after(error: Exception, attempt: int, longest: float = 15.0) -> float:
    """Return a growing pause, but no shorter one than Telegram asks for."""
    wanted = error.retry_after if isinstance(error, TelegramRetryAfter) else 0.0
    return max(wanted, backoff(attempt, longest=longest))


def keep_trying(event: str) -> RetryPolicy:
    """Return a retry policy that logs `event` after each failure and never gives up.

    It says so where it is the store that failed.
    """

    def policy(error: Exception, attempt: int) -> float:
        cause = {"cause": "the database takes no writes"} if is_fault(error) else {}
        logger().error(event, error=error, attempt=attempt + 1, **cause)
        return pause_after(error, attempt)

    return policy
