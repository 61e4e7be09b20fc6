"""The model libraries: are they installed, do they share, do they keep quiet? This is cheap."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib.util import find_spec
from io import StringIO
from warnings import catch_warnings

from contracts.refusal import Refusal, end_process


def require_training_packages() -> None:
    """End the process in one line where they are missing: `make demo` installs only what serves.

    Comes before torch, whose threads else spin while they wait for each other: where others work on
    the same cores, as generation does, it trains several times as fast when they sleep.
    """
    if find_spec("torch") is None:
        end_process(Refusal("this needs packages that `make setup` installs"))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


@contextmanager
def silence() -> Iterator[None]:
    """Keep what the conversion's libraries say off the terminal; what fails they raise."""
    unheard, handlers = StringIO(), logging.root.handlers
    logging.root.handlers = []  # one of the libraries undoes logging.disable
    try:
        with redirect_stdout(unheard), redirect_stderr(unheard), catch_warnings(action="ignore"):
            yield
    finally:
        logging.root.handlers = handlers
