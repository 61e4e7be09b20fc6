"""An export as an input: which file it is, and written anew without some people."""

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from contracts.files import file_sha256, whole_file
from contracts.refusal import Refusal
from extraction_jobs import jsonl, sources
from extraction_jobs.messages import Found, Message
from telemetry.job import fingerprint

UPLOAD_SECONDS = 3600
"""An upload to which nothing was added for so long is over."""


@dataclass(frozen=True)
class Source:
    """A file or folder with an export.

    identity  size, inode and time of change of each file, by which another upload is noticed
    sha256    of a file, or of what a folder's texts are; None where there is none
    """

    path: Path
    identity: tuple[tuple[int, int, int], ...]
    sha256: str | None

    @classmethod
    def of(cls, path: Path) -> Self:
        identity = _identity(path)
        if path.is_dir():
            return cls(path, identity, fingerprint(sources.text_files(path)))
        return cls(path, identity, file_sha256(path) if path.is_file() else None)

    @property
    def size(self) -> int:
        return sum(size for size, *_ in self.identity)

    def read(self, found: Found, aside: Path) -> Iterator[Message]:
        """Yield the messages; raises Refusal. `aside` is a folder for what has to be unpacked."""
        return sources.read(self.path, found, aside)

    def refuse_changed(self) -> None:
        """Raise Refusal where another export was uploaded meanwhile."""
        if _identity(self.path) != self.identity:
            raise Refusal(f"{self.path}: changed meanwhile; start again")

    def rewrite(self, is_unwanted: Callable[[Message], bool], aside: Path) -> tuple[Self, int]:
        """Put the same messages but some in the file's place, as JSONL; return how many are gone.

        Raises Refusal, with the file as it was, where the disk does not take it and where the file
        is another one by now.
        """
        removed, found = 0, Found()

        def kept() -> Iterator[Message]:
            nonlocal removed
            for message in self.read(found, aside):
                if is_unwanted(message):
                    removed += 1
                else:
                    yield message

        try:
            with whole_file(self.path) as file:
                shutil.copymode(self.path, file.name)
                jsonl.write(file, kept(), found)
                self.refuse_changed()
        except OSError as error:
            raise Refusal(f"{self.path}: cannot be written anew ({error.strerror})") from None
        return self.of(self.path), removed


def _identity(path: Path) -> tuple[tuple[int, int, int], ...]:
    files = sources.text_files(path) if path.is_dir() else [path]
    found = [each.stat() for each in files if each.exists()]
    return tuple((each.st_size, each.st_ino, each.st_mtime_ns) for each in found)


def remove_leftovers(export: Path) -> None:
    """Remove what killed jobs and uploads left of an export, since nobody is left out of that."""
    export.with_name(f"{export.name}.part").unlink(missing_ok=True)
    upload = export.with_name(f"{export.name}.upload")
    if upload.exists() and time.time() - upload.stat().st_mtime > UPLOAD_SECONDS:
        upload.unlink()
