"""Errors as Telegram words them.

ApiError           an answer with ok=false: code, description, parameters
├── bad_request    400, the caller's mistake
├── forbidden      403, the bot was blocked or kicked
├── upgraded       400, the group has another id now
├── conflict       409, another poll took the place of this one
└── too_many       429, with the seconds to wait
"""

from dataclasses import dataclass, field


@dataclass(eq=False)
class ApiError(Exception):
    code: int
    description: str
    parameters: dict[str, int] = field(default_factory=dict)

    def payload(self) -> dict[str, object]:
        answer = {"ok": False, "error_code": self.code, "description": self.description}
        return {**answer, "parameters": self.parameters} if self.parameters else answer


def bad_request(text: str) -> ApiError:
    return ApiError(400, f"Bad Request: {text}")


def forbidden(text: str) -> ApiError:
    return ApiError(403, f"Forbidden: {text}")


def upgraded(chat_id: int) -> ApiError:
    text = "Bad Request: group chat was upgraded to a supergroup chat"
    return ApiError(400, text, {"migrate_to_chat_id": chat_id})


def conflict() -> ApiError:
    text = "terminated by other getUpdates request; make sure that only one bot instance is running"
    return ApiError(409, f"Conflict: {text}")


def too_many(seconds: int) -> ApiError:
    return ApiError(429, f"Too Many Requests: retry after {seconds}", {"retry_after": seconds})
