"""Imports aiogram so that its models are built when they are first used: to be imported before it.

The validators of its thousand models cost a process 115 MB and four seconds. The stand-in for
Telegram uses twenty of them; a gateway none: what Telegram sends is read by its `incoming`, and
answers to calls are plain values.
"""

import sys
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
    _name_types()


def _name_types() -> None:
    """Tell the models of types that aiogram's modules import for a type checker alone."""
    from aiogram import methods, types
    from aiogram.client.default import Default

    names = {name: getattr(types, name) for name in types.__all__} | {"Default": Default}
    for module in (types, methods):
        for each in map(vars(module).get, module.__all__):
            if isinstance(each, type) and issubclass(each, BaseModel):
                each.__pydantic_parent_namespace__ = names


if "aiogram" not in sys.modules:
    _import_aiogram()
