"""Keeps the model libraries' own progress bars and notes out of the jobs' output."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


def quieten() -> None:
    """Let transformers report nothing but errors; its errors reach us as exceptions."""
    import transformers

    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers.logging.disable_progress_bar()  # type: ignore[no-untyped-call]


@contextmanager
def without_library_logs(*names: str) -> Iterator[None]:
    """Silence the standard library's root logger and those named; ours write directly."""
    loggers = [logging.getLogger(name) for name in ("", *names)]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
