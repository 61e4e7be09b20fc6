"""The command line of every process: typer, with plain help and without its own tracebacks."""

import typer


def command_line() -> typer.Typer:
    return typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)
