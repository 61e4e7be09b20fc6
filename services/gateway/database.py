"""The SQLite file: opened durable, migrated before anything reads it.

A lock beside the file keeps a second gateway of the same bot away from it.
"""

import fcntl
import os
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from contracts.refusal import Refusal
from services.gateway.errors import kind

_PRAGMAS = ("journal_mode=WAL", "synchronous=FULL", "busy_timeout=5000")


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
    """An engine and the lock on its file. `open` raises Refusal when the file cannot be used."""

    def __init__(self, engine: AsyncEngine, lock: int) -> None:
        self.engine = engine
        self._lock = lock

    @classmethod
    async def open(cls, path: Path) -> "Database":
        lock = _lock(path)
        engine = create_async_engine(f"sqlite+aiosqlite:///{path}", hide_parameters=True)
        event.listen(engine.sync_engine, "connect", _set_pragmas)
        try:
            async with engine.begin() as connection:
                found = (await connection.exec_driver_sql("PRAGMA quick_check(1)")).scalar_one()
                if found != "ok":
                    raise Refusal(f"{path}: damaged ({found}): put a backup in its place")
                await connection.run_sync(migrate)
        except BaseException as error:
            await engine.dispose()
            os.close(lock)
            if isinstance(error, DBAPIError):
                raise Refusal(f"{path}: not a usable database ({kind(error)})") from None
            raise
        return cls(engine, lock)

    async def close(self) -> None:
        await self.engine.dispose()
        os.close(self._lock)


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
