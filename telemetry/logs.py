"""Structured logs: one JSON object a line, or coloured text on a terminal.

Texts of chats are personal data and are never logged above debug. Of an error its class is logged,
`error=error`: its text may hold a token, an address or what people wrote.
"""

import logging
import sys
from functools import partial
from typing import Literal

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from contracts.settings import Settings

Level = Literal["debug", "info", "warning", "error"]


class LogSettings(Settings):
    """What all processes and jobs read.

    log_level   the least important level that is logged; texts of chats are never above `debug`
    log_format  `auto`: text on a terminal, otherwise a JSON object on each line
    """

    log_level: Level = "info"
    log_format: Literal["auto", "json", "text"] = "auto"


def configure(settings: LogSettings, service: str) -> None:
    """Send our logs and those of libraries to standard error, each line with `service`."""
    renderer: Processor = structlog.processors.JSONRenderer(ensure_ascii=False)
    if {"auto": sys.stderr.isatty(), "json": False, "text": True}[settings.log_format]:
        renderer = structlog.dev.ConsoleRenderer()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        partial(_name_service, service),  # no context variable: threads do not inherit those
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        _name_errors,
    ]
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(processor=renderer, foreign_pre_chain=shared)
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)


def _name_service(service: str, _logger: object, _method: str, event: EventDict) -> EventDict:
    return {"service": service, **event}


def _name_errors(_logger: object, _method: str, event: EventDict) -> EventDict:
    return {
        key: type(value).__name__ if isinstance(value, BaseException) else value
        for key, value in event.items()
    }


def logger() -> FilteringBoundLogger:
    log: FilteringBoundLogger = structlog.get_logger()
    return log
