"""Faults switched on for tests: which Bot API calls fail next, and how.

error    the answer is an error: `code`, with `description` and `parameters` (retry_after, ...)
result   the answer is `result`, whatever Telegram would answer
hold     no answer for `seconds`, then 504
drop     the connection breaks instead of an answer
slow     nothing fails, but it takes `seconds` more
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal

from aiohttp import web
from pydantic import BaseModel, ConfigDict, Field

from services.sandbox.errors import ApiError
from services.sandbox.rooms import BotAccount


class Fault(BaseModel):
    """Which calls fail; a field that is not given does not narrow.

    method   Bot API method, letter case ignored
    bot      a bot's name
    chat     chat_id of the call
    times    how many calls; not given: until switched off
    after    the call takes effect first, and only its answer is lost, or late if `slow`
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["error", "result", "hold", "drop", "slow"]
    method: str | None = None
    bot: str | None = None
    chat: int | None = None
    times: int | None = Field(default=None, ge=1)
    code: int = Field(default=500, ge=400, le=599)
    description: str = ""
    parameters: dict[str, int] = {}
    result: Any = None
    seconds: float = Field(default=3600.0, gt=0.0)
    after: bool = False

    def strikes(self, call: "Call") -> bool:
        return (
            (self.method is None or self.method.lower() == call.method.lower())
            and self.bot in (None, call.bot.name)
            and self.chat in (None, call.parameters.get("chat_id"))
        )

    def error(self) -> web.Response:
        text = self.description or HTTPStatus(self.code).phrase
        answer = {**ApiError(self.code, text).payload(), "parameters": self.parameters}
        return web.json_response(answer, status=self.code)


@dataclass
class Call:
    """A call of a bot; `took_effect` is set once the method was carried out."""

    method: str
    bot: BotAccount
    parameters: dict[str, Any]
    took_effect: bool = False


class Faults:
    """The faults that are switched on are in `active`, in that order, by their numbers."""

    def __init__(self) -> None:
        self.active: dict[int, Fault] = {}
        self._last = 0

    def switch_on(self, fault: Fault) -> int:
        """Switch a fault on, and return the number by which to switch it off."""
        self._last += 1
        self.active[self._last] = fault
        return self._last

    def take(self, call: Call) -> Fault | None:
        """Return the first fault that strikes this call, which then has one time less to go."""
        for number, fault in self.active.items():
            if fault.strikes(call):
                if fault.times == 1:
                    del self.active[number]
                elif fault.times:
                    self.active[number] = fault.model_copy(update={"times": fault.times - 1})
                return fault
        return None
