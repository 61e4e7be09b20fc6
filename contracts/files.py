"""Files: written whole or not at all, read into a model, hashed, locked."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, TypeVar

from pydantic import AfterValidator, BaseModel, ValidationError

from contracts.refusal import Refusal

LOCK = ".lock"
M = TypeVar("M", bound=BaseModel)


class Locked(Refusal):
    """Another process holds the folder."""


def sync(path: Path) -> None:
    """Have a file's content, or a folder's list of names, on disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """Yield a file aside to fill, which is synced and renamed to `path` unless the block fails.

    A crash leaves the old file or the new one. Raises OSError.
    """
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            yield file
        sync(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    sync(path.parent)


def write_whole(path: Path, content: str | bytes) -> None:
    with whole_file(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """Yield an empty folder to fill, which takes the place of `path` unless the block fails."""
    aside = path.with_name(f".{path.name}.part")
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
        shutil.rmtree(path, ignore_errors=True)
        aside.rename(path)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def up_to(known: int) -> AfterValidator:
    """Refuse a newer version of a format than the one that this release reads."""

    def check(version: int) -> int:
        if version > known:
            raise ValueError(f"{version} is newer than this release, which reads {known}")
        return version

    return AfterValidator(check)


def write_model(path: Path, value: BaseModel) -> None:
    write_whole(path, value.model_dump_json(by_alias=True, indent=2) + "\n")


def read_model(path: Path, model: type[M], missing: str) -> M:
    """Read a JSON file into `model`.

    Raises Refusal, with the text `missing` where there is no such file, else with the first value
    that is wrong; OSError where the file cannot be read now.
    """
    try:
        return model.model_validate_json(path.read_bytes())
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise Refusal(f"{path.parent}: {missing}") from None
    except ValidationError as error:
        first = error.errors()[0]
        where = "".join(f"{part}: " for part in first["loc"])
        raise Refusal(f"{path}: {where}{first['msg'].removeprefix('Value error, ')}") from None


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def locked(folder: Path, busy: str) -> Iterator[None]:
    """Hold the lock of a folder of ours, which is made if need be and closed to other users.

    Raises Locked, with the text `busy`, while another process has it, and Refusal where the folder
    cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with suppress(PermissionError):  # a volume's folder may be root's
            folder.chmod(0o700)
        file = (folder / LOCK).open("w")
    except (FileExistsError, NotADirectoryError):
        raise Refusal(f"{folder}: is a file; a folder is wanted") from None
    except OSError as error:
        raise Refusal(f"{folder}: cannot be written ({error.strerror})") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Locked(f"{folder}: {busy}") from None
        yield
