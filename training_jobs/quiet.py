"""Keeps the model libraries' own progress bars and notes out of the jobs' output."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager


def quieten() -> None:
    """Let transformers report nothing but errors; its errors reach us as exceptions."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()


@contextmanager
def without_library_logs() -> Iterator[None]:
    """Silence the standard library's loggers; ours write directly."""
    logging.disable(logging.ERROR)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)
