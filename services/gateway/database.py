"""The SQLite file: opened durable, migrated before anything reads it.

A lock beside the file keeps a second gateway of the same bot away from it.
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, StaticPool, create_engine, event
from sqlalchemy.exc import DBAPIError

from contracts.refusal import Refusal
from services.gateway.errors import kind

_CHECK = "PRAGMA quick_check(1)"
_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000", "secure_delete=ON")


def migrate(connection: Connection) -> None:
    """Bring the database to the newest revision."""
    command.upgrade(alembic_config(connection), "head")


def alembic_config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    return config


def _set_pragmas(connection: Any, _record: object) -> None:
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


class Database:
    """A connection and the lock on its file. `open` raises Refusal when the file cannot be used."""

    def __init__(self, connection: Connection, lock: int) -> None:
        self.connection = connection
        self._lock = lock

    @classmethod
    def open(cls, path: Path) -> "Database":
        lock = _lock(path)
        engine = create_engine(
            f"sqlite:///{path}",
            hide_parameters=True,
            poolclass=StaticPool,
            connect_args={"check_same_thread": False},  # a thread flushes, one at a time
        )
        event.listen(engine, "connect", _set_pragmas)
        try:
            with engine.connect() as connection:
                found = connection.exec_driver_sql(_CHECK).scalar_one()
            if found != "ok":
                raise Refusal(f"{path}: damaged ({found}): restore a backup")
            with engine.begin() as connection:
                # sqlite3 begins none for changes of tables, and half a migration is none
                connection.exec_driver_sql("BEGIN IMMEDIATE")
                migrate(connection)
            return cls(engine.connect(), lock)
        except BaseException as error:
            engine.dispose()
            os.close(lock)
            if isinstance(error, DBAPIError):
                raise Refusal(f"{path}: not a usable database ({kind(error)})") from None
            raise

    def close(self) -> None:
        self.connection.close()
        self.connection.engine.dispose()
        os.close(self._lock)


def damage(path: Path) -> str | None:
    """What is wrong with the file, if anything; reads all of it, whoever else has it open."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            found = str(database.execute(_CHECK).fetchone()[0])
    except sqlite3.Error as error:
        return kind(error)
    return None if found == "ok" else found


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep gateways away from the file; raises Refusal when one runs on it."""
    lock = _lock(path)
    try:
        yield
    finally:
        os.close(lock)


def _lock(path: Path) -> int:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise Refusal(f"GATEWAY_DATA_DIR: {path.parent}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        raise Refusal(f"{path}: another gateway of this bot is running on it") from None
    return lock
