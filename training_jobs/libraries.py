"""The model libraries: are they installed, and do they keep quiet? Importing this is cheap."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec

from contracts.refusal import Refusal, end_process


def require_training_packages() -> None:
    """End the process in one line where torch is missing: `make demo` installs only what serves."""
    if find_spec("torch") is None:
        end_process(Refusal("training needs packages that `make setup` installs"))


@contextmanager
def silence() -> Iterator[None]:
    """Keep the warnings, logs and progress bars of the conversion's libraries off the terminal."""
    import rich

    import_module("nncf")  # sets its logger's level when it is imported
    console, loggers = rich.get_console(), [logging.getLogger(name) for name in LOGGERS]
    was_quiet, levels = console.quiet, [logger.level for logger in loggers]
    console.quiet = True
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        console.quiet = was_quiet
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


LOGGERS = ("", "nncf", "torch", "optimum")
"""The standard library's root logger and those of libraries; ours write directly."""
