"""Faults switched on for tests: which call fails next, and how. Pure.

retry_after    429 with the seconds to wait
server_error   500
conflict       409, as when another process polls with the same token; meant for getUpdates
hold           no answer for `seconds`, then 504
drop           the connection is closed in the middle of the answer
slow           nothing fails, but it takes `seconds` more
"""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class Fault(BaseModel):
    """Which calls fail; a field that is not given does not narrow.

    method   Bot API method, letter case ignored
    bot      a bot's name
    token    a bot's token
    chat     chat_id of the call
    times    how many calls; not given: until switched off
    after    the call takes effect first, and only its answer is lost, or late if `slow`
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["retry_after", "server_error", "conflict", "hold", "drop", "slow"]
    method: str | None = None
    bot: str | None = None
    token: str | None = None
    chat: int | None = None
    times: int | None = Field(default=None, ge=1)
    retry_after: int = Field(default=1, ge=1)
    seconds: float = Field(default=3600.0, gt=0.0)
    after: bool = False

    def strikes(self, call: "Call") -> bool:
        return (
            (self.method is None or self.method.lower() == call.method.lower())
            and self.bot in (None, call.bot)
            and self.token in (None, call.token)
            and self.chat in (None, call.chat)
        )


@dataclass(frozen=True)
class Call:
    method: str
    bot: str
    token: str
    chat: object


@dataclass
class _Active:
    number: int
    fault: Fault
    left: int | None


class Faults:
    def __init__(self) -> None:
        self._active: list[_Active] = []
        self._last = 0

    def on(self, fault: Fault) -> int:
        """Switch on; answers the number under which to switch it off."""
        self._last += 1
        self._active.append(_Active(self._last, fault, fault.times))
        return self._last

    def off(self, number: int | None = None) -> None:
        """Switch one off, or all."""
        self._active = [a for a in self._active if number is not None and a.number != number]

    def take(self, call: Call) -> Fault | None:
        """The fault that strikes this call, counted; the one switched on first wins."""
        for active in self._active:
            if active.fault.strikes(call):
                if active.left is not None:
                    active.left -= 1
                    if not active.left:
                        self.off(active.number)
                return active.fault
        return None

    def listed(self) -> list[dict[str, object]]:
        return [{"id": a.number, "left": a.left, **a.fault.model_dump()} for a in self._active]
