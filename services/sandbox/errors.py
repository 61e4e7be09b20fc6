"""Errors as Telegram words them.

Refused            an answer with ok=false: code, description, parameters
├── bad_request    400, the caller's mistake
└── forbidden      403, the bot was blocked or kicked
"""

from dataclasses import dataclass


@dataclass(eq=False)
class Refused(Exception):
    code: int
    description: str
    retry_after: int | None = None

    def payload(self) -> dict[str, object]:
        answer: dict[str, object] = {
            "ok": False,
            "error_code": self.code,
            "description": self.description,
        }
        if self.retry_after is not None:
            answer["parameters"] = {"retry_after": self.retry_after}
        return answer


def bad_request(text: str) -> Refused:
    return Refused(400, f"Bad Request: {text}")


def forbidden(text: str) -> Refused:
    return Refused(403, f"Forbidden: {text}")
