"""Errors as Telegram words them.

ApiError           an answer with ok=false: code, description
├── bad_request    400, the caller's mistake
├── forbidden      403, nobody has written to the bot there
└── conflict       409, another poll took the place of this one
"""

from dataclasses import dataclass


@dataclass(eq=False)
class ApiError(Exception):
    code: int
    description: str

    def payload(self) -> dict[str, object]:
        return {"ok": False, "error_code": self.code, "description": self.description}


def bad_request(text: str) -> ApiError:
    return ApiError(400, f"Bad Request: {text}")


def forbidden(text: str) -> ApiError:
    return ApiError(403, f"Forbidden: {text}")


def conflict() -> ApiError:
    text = "terminated by other getUpdates request; make sure that only one bot instance is running"
    return ApiError(409, f"Conflict: {text}")
