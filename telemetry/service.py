"""The frame of a service's process: its command line, its logs, and what ends it."""

import asyncio
import gc
import signal
from collections.abc import Awaitable, Callable
from typing import TypeVar

import typer

from contracts.settings import Settings, from_environment
from telemetry.command_line import CommandLine
from telemetry.job import command

S = TypeVar("S", bound=Settings)


def service_app(
    name: str,
    about: str,
    settings: type[S],
    run: Callable[[S, asyncio.Event], Awaitable[None]],
    *others: Callable[..., None],
) -> typer.Typer:
    """Return the command line that runs a service; SIGTERM and Ctrl-C set the event.

    others  what it does instead when their names are given
    """
    app = CommandLine()

    async def run_until_told(given: S) -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await run(given, stop)

    def main(context: typer.Context) -> None:
        if context.invoked_subcommand:
            return
        with command(name):
            gc.freeze()  # what was imported stays: looking through it again takes time
            gc.set_threshold(50_000)
            asyncio.run(run_until_told(from_environment(settings)))

    if others:
        app.callback(invoke_without_command=True, help=about)(main)
    else:
        app.command(help=about)(main)
    for other in others:
        app.command()(other)
    return app
