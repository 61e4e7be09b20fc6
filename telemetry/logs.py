"""Structured logs: one JSON object a line, or coloured text on a terminal.

Texts of chats are personal data and are never logged above debug. Of an error its class is logged,
`error=error`, and its traceback where a library gives it: its text may hold a token, an address or
what people wrote.
"""

import logging
import sys
import traceback
from functools import partial
from typing import Literal, TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, FilteringBoundLogger, Processor

from contracts.settings import Settings

Level = Literal["debug", "info", "warning", "error"]


class LogSettings(Settings):
    """What all processes and jobs read.

    log_level   the least important level that is logged; texts of chats are never above `debug`
    log_format  `auto`: text on a terminal, otherwise a JSON object on each line
    """

    log_level: Level = "info"
    log_format: Literal["auto", "json", "text"] = "auto"


def configure(settings: LogSettings, service: str, file: TextIO | None = None) -> None:
    """Send our logs and those of libraries to standard error or a file, with `service` in each."""
    stream = file or sys.stderr
    renderer: Processor = structlog.processors.JSONRenderer(ensure_ascii=False)
    if {"auto": stream.isatty(), "json": False, "text": True}[settings.log_format]:
        renderer = structlog.dev.ConsoleRenderer()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        partial(_name_service, service),  # no context variable: threads do not inherit those
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.ExceptionRenderer(_traceback),
        _name_errors,
    ]
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared)
    )
    handler.addFilter(_name_errors_of_library)
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)


def _name_service(service: str, _logger: object, _method: str, event: EventDict) -> EventDict:
    return {"service": service, **event}


def _name(value: object) -> object:
    return type(value).__name__ if isinstance(value, BaseException) else value


def _name_errors(_logger: object, _method: str, event: EventDict) -> EventDict:
    return {key: _name(value) for key, value in event.items()}


def _name_errors_of_library(record: logging.LogRecord) -> bool:
    record.msg = str(_name(record.msg))
    if isinstance(record.args, tuple):
        record.args = tuple(map(_name, record.args))
    if record.exc_info and (error := record.exc_info[1]):  # asyncio puts it into the message too
        record.msg = record.msg.replace(repr(error), type(error).__name__)
    return True


def _traceback(exc_info: ExcInfo) -> str:
    return "".join((*traceback.format_tb(exc_info[2]), exc_info[0].__name__))


def logger() -> FilteringBoundLogger:
    log: FilteringBoundLogger = structlog.get_logger()
    return log
