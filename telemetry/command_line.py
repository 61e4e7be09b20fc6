"""The command line of every process: typer, with plain help and without its own tracebacks."""

import os
from typing import Any

import typer


class CommandLine(typer.Typer):
    """What the process makes is for its own user alone: chats, and models that learned them."""

    def __init__(self) -> None:
        super().__init__(
            add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        os.umask(0o077)
        return super().__call__(*args, **kwargs)
