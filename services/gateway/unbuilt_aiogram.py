"""Imports aiogram without building its models: to be imported first, by the process alone.

The validators of its thousand models cost every gateway 115 MB and more than a second, and none is
used: what Telegram sends is read by `incoming`, and answers to calls are plain values.
"""

from typing import Any

from pydantic import BaseModel


def _import_aiogram() -> None:
    rebuild: Any = BaseModel.__dict__["model_rebuild"]
    BaseModel.model_rebuild = classmethod(lambda cls, **_: None)  # type: ignore[method-assign, assignment]
    BaseModel.model_config["defer_build"] = True
    try:
        import aiogram  # noqa: F401
    finally:
        BaseModel.model_rebuild = rebuild  # type: ignore[method-assign]
        del BaseModel.model_config["defer_build"]


_import_aiogram()
