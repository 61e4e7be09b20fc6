"""A batch job as a step of several: alone on a bot's data, and not done again for nothing."""

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import BaseModel

from contracts.model_version import file_sha256
from contracts.refusal import Refusal

Input = Path | BaseModel | str | None


@contextmanager
def working(output: Path) -> Iterator[None]:
    """Hold the folder in which a job's output lies; raises Refusal while another job does.

    Of several processes that train one model the first alone holds it.
    """
    if os.environ.get("RANK", "0") != "0":
        yield
        return
    lock = output.parent / ".lock"
    try:
        lock.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("w")
    except (FileExistsError, NotADirectoryError):
        raise Refusal(f"{output.parent}: is a file; a folder is wanted for {output.name}") from None
    except OSError as error:
        raise Refusal(f"{lock}: cannot be written ({error.strerror})") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refusal(f"{output.parent}: another job works there; wait for its end") from None
        yield


class Stamp:
    """What an output was made from, beside it: the same again need not be made again.

    path    the stamp's file
    inputs  files and folders, by what they hold; settings; texts
    """

    def __init__(self, path: Path, *inputs: Input) -> None:
        self._path = path
        self._now = _fingerprint(inputs)

    def holds(self, is_whole: Callable[[], object]) -> bool:
        """Whether the output was made from the same; `is_whole` may raise Refusal for no."""
        with suppress(Refusal, OSError):
            return self._path.read_text(encoding="utf-8") == self._now and bool(is_whole())
        return False

    @contextmanager
    def renewed(self) -> Iterator[None]:
        """The output is made anew inside the block; one that fails leaves no stamp."""
        with suppress(OSError):  # where none can be, what makes the output says so
            self._path.unlink()
        yield
        self._path.write_text(self._now, encoding="utf-8")


def _fingerprint(inputs: tuple[Input, ...]) -> str:
    parts = []
    for each in inputs:
        if isinstance(each, Path):
            files = sorted(each.rglob("*")) if each.is_dir() else [each]
            parts += [f"{path.name} {file_sha256(path)}" for path in files if path.is_file()]
        else:
            parts.append(each.model_dump_json() if isinstance(each, BaseModel) else str(each))
        parts.append("")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()
