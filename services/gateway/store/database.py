"""The SQLite file: opened and checked, its schema brought up to date, its transactions.

A killed process loses no committed transaction. A machine that loses power loses those since the
last flush; flushed are updates, before Telegram hears that they were taken, and a message's
`sending`, before it goes. So whatever the outside was told is on the disk, and all before it.

Rows hold what people wrote: they are personal data and never logged.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager, closing, suppress
from pathlib import Path

from contracts.files import locked
from contracts.refusal import Refusal

MIGRATIONS = Path(__file__).parent / "migrations"
"""Each file brings the database of the one before up to date; a released one is never edited."""
_PRAGMAS = (
    "journal_mode=WAL",
    "wal_autocheckpoint=2000",  # with a log of 8 MB, a commit moves it into the file
    "busy_timeout=5000",
    "secure_delete=ON",
)


class Database:
    """The one connection to the file, and the lock that keeps other gateways away from it."""

    def __init__(self, path: Path) -> None:
        """Open, check and migrate; raises Refusal when the file cannot be used."""
        self._turn = asyncio.Lock()
        self._open = ExitStack()
        self._open.enter_context(only_gateway(path))
        try:
            connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self.connection = self._open.enter_context(closing(connection))
            self.connection.row_factory = sqlite3.Row
            for pragma in _PRAGMAS:
                self.connection.execute(f"PRAGMA {pragma}")
            if (found := _damage(self.connection)) is not None:
                raise Refusal(f"{path}: damaged ({found}): restore a backup")
            _migrate(self.connection, path)
        except BaseException as error:
            self._open.close()
            if isinstance(error, sqlite3.Error):
                raise Refusal(f"{path}: not a usable database ({type(error).__name__})") from None
            raise

    def close(self) -> None:
        self._open.close()

    @asynccontextmanager
    async def transaction(self, flush: bool = False) -> AsyncIterator[sqlite3.Connection]:
        """Commit what the block writes, or nothing of it where anything fails.

        One after another, since SQLite has one writer. Statements run in the event loop: handing
        them to a thread takes longer. `flush` has the transaction on disk when it ends, or it
        fails; a thread waits for the disk, and so does a caller that is cancelled meanwhile.
        """
        async with self._turn:
            before = self.connection.total_changes
            self.connection.execute(f"PRAGMA synchronous={'FULL' if flush else 'NORMAL'}")
            self.connection.execute("BEGIN")
            try:
                yield self.connection
                if flush and self.connection.total_changes != before:
                    await _uncancelled(self._commit)
                else:
                    self.connection.execute("COMMIT")
            except BaseException:
                if self.connection.in_transaction:
                    self.connection.execute("ROLLBACK")
                raise

    def _commit(self) -> None:
        self.connection.execute("COMMIT")


async def _uncancelled(work: Callable[[], None]) -> None:
    """Run it in a thread to its end; raise CancelledError then if somebody cancelled meanwhile."""
    task = asyncio.ensure_future(asyncio.to_thread(work))
    is_cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            is_cancelled = True
    if is_cancelled:
        task.exception()  # the caller hears of the cancellation instead
        raise asyncio.CancelledError
    task.result()


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Run the migrations that the database has not had, each whole or not at all."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    files = sorted(MIGRATIONS.glob("*.sql"))
    if version > len(files):
        raise Refusal(f"{path}: written by a newer release (schema {version})")
    if not version and connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        raise Refusal(f"{path}: not a database of this release: move it away, or restore a backup")
    for number, file in enumerate(files[version:], version + 1):
        sql = file.read_text(encoding="utf-8")
        connection.executescript(f"BEGIN; {sql} PRAGMA user_version={number}; COMMIT;")


def _damage(connection: sqlite3.Connection) -> str | None:
    found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    return None if found == "ok" else found


def find_damage(path: Path) -> str | None:
    """Return what is wrong with a gateway's database, None for a whole one.

    Reads all of it, whoever else has it open.
    """
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            if not database.execute("PRAGMA user_version").fetchone()[0]:
                return "no database of a gateway"
            return _damage(database)
    except sqlite3.Error as error:
        return type(error).__name__


def only_gateway(path: Path) -> AbstractContextManager[None]:
    """Keep other gateways away from the database inside the block.

    Raises Refusal when one runs on it, or its folder cannot be written.
    """
    return locked(path.parent, "another gateway of this bot is running on it", mode=0o700)


def merge_log(path: Path) -> None:
    """Move what a killed gateway left in the write-ahead log into the file, if it can be read."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
