"""Whether training's packages are installed. Imports nothing heavy: it comes before torch."""

from importlib.util import find_spec

from contracts.refusal import Refusal, end_process


def require_training_packages() -> None:
    """End the process in one line where torch is missing: `make demo` installs only what serves."""
    if find_spec("torch") is None:
        end_process(Refusal("training needs packages that `make setup` installs"))
