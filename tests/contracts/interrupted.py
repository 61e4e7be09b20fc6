"""Publish or roll back with an accident at the n-th change of the file system, for every n.

    python -m tests.contracts.interrupted killed|disk-full BOT_FOLDER COPIES [VERSION]

Works on a copy of BOT_FOLDER for each n, COPIES/<n>, and leaves it as the accident left it; the
last n is the first that meets no accident. With a version it publishes that, else it rolls back.
A process of its own, since it forks, and pytest's has threads.
"""

import errno
import itertools
import os
import shutil
import sys
from pathlib import Path
from typing import IO, Any, NoReturn

from contracts.model_version import BotModels
from contracts.refusal import Refusal
from tests.contracts.versions import publish

EXIT_CODES = {"killed": 9, "disk-full": errno.ENOSPC}
REMOVALS = ("os.remove", "os.rmdir")
CHANGES = ("os.mkdir", "os.rename", "os.symlink", "os.fsync", *REMOVALS)


class Accident:
    """Counts changes; before the n-th the process dies, or the disk is full from then on."""

    def __init__(self, kind: str, at: int) -> None:
        self.kind = kind
        self.left = at

    def arm(self) -> None:
        sync = os.fsync

        def fsync(fd: int | IO[Any]) -> None:  # the only change without an audit event
            self.watch("os.fsync", ())
            sync(fd)

        os.fsync = fsync  # type: ignore[assignment]
        sys.addaudithook(self.watch)

    def watch(self, event: str, arguments: tuple[Any, ...]) -> None:
        writes = event == "open" and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if not writes and event not in CHANGES:
            return
        self.left -= 1
        if self.left > 0:
            return
        if self.kind == "killed":
            os._exit(EXIT_CODES["killed"])
        if event not in REMOVALS:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def run_with(accident: Accident, models: BotModels, version_id: str | None) -> NoReturn:
    code = 1
    try:
        accident.arm()
        publish(models, version_id) if version_id else models.roll_back()
        code = 0
    except OSError as error:
        code = error.errno or 1
    except Refusal:  # the lock could not be taken
        code = EXIT_CODES["disk-full"]
    finally:
        os._exit(code)


def main(kind: str, folder: str, copies: str, version_id: str | None = None) -> None:
    for n in itertools.count(1):
        copy = Path(copies) / str(n)
        shutil.copytree(folder, copy, symlinks=True)
        child = os.fork()
        if child == 0:
            run_with(Accident(kind, n), BotModels(copy), version_id)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        if code == 0:
            return
        if code != EXIT_CODES[kind]:
            sys.exit(f"step {n}: unexpected exit code {code}")


if __name__ == "__main__":
    main(*sys.argv[1:])
