"""Tells why the bot spoke or kept quiet to a server that has a method for it: the demo's page.

What it tells holds what people wrote. It stays in memory until newer updates take its place, never
on disk, in logs or metrics; without EXPLAIN_ANSWERS nothing is kept and nothing told.
"""

from contextlib import suppress
from functools import partial
from typing import Any

from aiogram.exceptions import AiogramError
from google.protobuf.json_format import MessageToDict

from services.gateway.bot_api import BotApi

MOST_KEPT = 200
WITHIN_SECONDS = 2
_to_dict = partial(
    MessageToDict, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
)


class Explanations:
    """What is known of the newest updates, as parameters of the method `explain`.

    chat_id, message_id  the message that came, or the one of the bot's that `tell` is given
    reason               of `reasons.Reason`: why it was answered or not
    turns, draws         what generation was asked, and each answer of its, as in the proto
    """

    def __init__(self, api: BotApi, is_wanted: bool) -> None:
        self._api = api
        self._is_wanted = is_wanted
        self._known: dict[int, dict[str, Any]] = {}

    def note(self, update_id: int, **facts: Any) -> None:
        """Add to what is known of an update, or change it."""
        if self._is_wanted:
            self._known.setdefault(update_id, {}).update(facts)
            if len(self._known) > MOST_KEPT:
                del self._known[next(iter(self._known))]

    async def tell(self, update_id: int, **where: int) -> None:
        """Tell what is known of the update; that it fails is in nobody's way."""
        if known := self._known.get(update_id):
            lists = {key: list(map(_to_dict, known.get(key, ()))) for key in ("turns", "draws")}
            with suppress(AiogramError):
                await self._api.call("explain", WITHIN_SECONDS, **{**known, **lists, **where})

    def forget(self) -> None:
        self._known.clear()
