"""The transactions of the SQLite file, and the room that it takes.

A killed process loses no committed transaction. A machine that loses power loses those since the
last flush; flushed are updates, before Telegram hears that they were taken, and a message's
`sending`, before it goes. So whatever the outside was told is on the disk, and all before it.

Whatever failed, the next transaction begins afresh: where the disk was full on the same connection,
else on a new one.

Rows hold what people wrote: they are personal data and never logged. A deleted one is overwritten
with zeros (`secure_delete`), and is out of the log after `shorten_log`. Where SQLite had moved rows
to another page before, a copy may be left, which only `rewrite` removes.
"""

import asyncio
import math
import shutil
import sqlite3
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from contracts.refusal import Refusal
from services.gateway.store import database_file
from telemetry.logs import logger
from telemetry.volume_usage import used_ratio

_PASSING = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY)
"""Faults after which the connection is as good as before."""
BATCH = 250
"""Rows of a table that one transaction changes, so that no other waits long for it; free pages that
one gives back to the volume, a megabyte."""
REWRITTEN_BYTES = 256 << 20
"""Size up to which a file is written anew: nobody is answered for these seconds."""

T = TypeVar("T")


class Database:
    """The one connection to the file, and the lock that keeps other gateways away from it.

    is_writable     False from a fault until something is written again
    is_rewrite_due  True from a start, or a deletion that must leave no trace, until a rewrite
    on_fault        called at each fault
    """

    def __init__(self, path: Path) -> None:
        """Open, check and migrate; raises Refusal when the file cannot be used."""
        self._path = path
        self._turn = asyncio.Lock()
        self._is_lost, self.is_writable, self.is_rewrite_due = False, True, True
        self.on_fault: Callable[[], None] = lambda: None
        with ExitStack() as held:
            held.enter_context(database_file.only_gateway(path))
            path.with_suffix(".part").unlink(missing_ok=True)  # of a restore that was killed
            try:
                self.connection = database_file.connect(path)
                held.callback(lambda: self.connection.close())
                if (found := database_file.damage(self.connection)) is not None:
                    raise Refusal(f"{path}: {found}: restore a backup")
                self._schema = database_file.migrate(self.connection, path)
            except sqlite3.Error as error:
                raise Refusal(f"{path}: cannot be used: {error}") from None
            self._open = held.pop_all()

    def close(self) -> None:
        self._open.close()

    def is_hopeless(self) -> bool:
        """Whether it cannot be opened anew though there is room, so that a restart may help."""
        return self._is_lost and not used_ratio(self._path.parent) > 0.999

    @asynccontextmanager
    async def transaction(
        self, flush: bool = False, writes: bool = False
    ) -> AsyncIterator[sqlite3.Connection]:
        """Commit what the block writes, or nothing of it where anything fails.

        One after another, since SQLite has one writer. Statements run in the event loop: handing
        them to a thread takes longer. `flush` has the transaction on disk when it ends, or it
        fails; a thread waits for the disk, and so does a caller that is cancelled meanwhile.
        With `writes`, and after a fault, it writes in any case, to show whether the disk takes it.
        """
        async with self._turn:
            try:
                self._begin(flush, writes or not self.is_writable)
                yield self.connection
                if flush:
                    await _uncancelled(self._commit)
                else:
                    self._commit()
            except BaseException as error:
                self._roll_back(error)
                raise
            if not self.is_writable:
                self.is_writable = True
                logger().warning("the database takes writes again")

    def read(self, query: Callable[[sqlite3.Connection], float]) -> float:
        """Return a number that the query finds beside the transactions; NaN where it finds none."""
        with suppress(sqlite3.Error), database_file.read_only(self._path) as beside:
            return query(beside)
        return math.nan

    async def work_off(
        self, step: Callable[[sqlite3.Connection], int], rewrite: bool = False
    ) -> None:
        """Repeat a step that changes some rows, and returns how many, until there are none.

        Each is a transaction of its own, in a thread, and others come in between; after a crash
        whoever asked asks again. Then free pages are given back. The log is emptied each time,
        since the volume may have no room for a longer one. With `rewrite` a rewrite is due then.
        """
        for each in (step, _free_pages):
            changed = 1
            while changed:
                async with self.transaction() as db:
                    changed = await _uncancelled(partial(each, db))
                await self.shorten_log()
        self.is_rewrite_due |= rewrite

    async def shorten_log(self) -> None:
        """Empty the log, unless somebody reads it: a backup."""
        async with self._turn:
            await _uncancelled(self._empty_log)

    async def rewrite(self) -> None:
        """Write the file anew where that is due, without what deleted rows left.

        Who is cancelled meanwhile does not wait for its end: it stays due.
        """
        if self.is_rewrite_due:
            async with self._turn:
                await _uncancelled(self._rewrite, self.connection.interrupt)

    def _pragma(self, name: str) -> int:
        return int(self.connection.execute(f"PRAGMA {name}").fetchone()[0])

    def _empty_log(self) -> None:
        with suppress(sqlite3.Error):
            try:
                self.connection.execute("PRAGMA busy_timeout=0")  # it waits for no reader
                self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                self.connection.execute("PRAGMA busy_timeout=5000")

    def _rewrite(self) -> None:
        """A copy goes to the temporary folder, then through the log. Says in the log why not."""
        folders = (self._path.parent, tempfile.gettempdir())
        room = min(shutil.disk_usage(folder).free for folder in folders)
        try:
            pages = self._pragma("page_count") - self._pragma("freelist_count")
            used = pages * self._pragma("page_size")
            if used > REWRITTEN_BYTES:
                self.is_rewrite_due = False
                logger().warning("database not rewritten: it is too large", bytes=used)
            elif room < 2 * used:
                logger().warning("database not rewritten: no room for two copies", bytes=used)
            else:
                self.connection.execute("VACUUM")
                self._empty_log()
                self.is_rewrite_due = False
        except sqlite3.Error as error:
            logger().warning("database not rewritten", error=error)

    def _begin(self, flush: bool, writes: bool) -> None:
        if self._is_lost:
            self._open_anew()
        self.connection.execute(f"PRAGMA synchronous={'FULL' if flush else 'NORMAL'}")
        self.connection.execute("BEGIN")
        if writes:
            self.connection.execute(f"PRAGMA user_version={self._schema}")

    def _open_anew(self) -> None:
        """Open the file, which a start alone makes or migrates; raises sqlite3.Error."""
        self.connection.close()
        self.connection = database_file.connect(self._path, "rw")
        if database_file.schema(self.connection) != self._schema:
            raise sqlite3.DatabaseError("of another release")
        self._is_lost = False

    def _roll_back(self, error: BaseException) -> None:
        """End the transaction that failed over the error, so that another one can begin."""
        try:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
        except sqlite3.Error as another:
            error = error if is_fault(error) else another
        if is_fault(error):
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
            self._is_lost = self._is_lost or code & 0xFF not in _PASSING
            if self.is_writable:
                logger().error("the database does not take writes", error=error, code=code)
            self.is_writable = False
            self.on_fault()

    def _commit(self) -> None:
        self.connection.execute("COMMIT")


def _free_pages(db: sqlite3.Connection) -> int:
    """Give some of the file's free pages back to the volume; return how many."""
    before: int = db.execute("PRAGMA freelist_count").fetchone()[0]
    for _ in range(min(before, BATCH)):
        db.execute("PRAGMA incremental_vacuum(1)")
    return before - int(db.execute("PRAGMA freelist_count").fetchone()[0])


async def _uncancelled(work: Callable[[], T], hasten: Callable[[], None] = lambda: None) -> T:
    """Run it in a thread to its end; raise CancelledError then if somebody cancelled meanwhile.

    `hasten` is called when somebody cancels.
    """
    task = asyncio.ensure_future(asyncio.to_thread(work))
    is_cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            is_cancelled = True
            hasten()
    if is_cancelled:
        task.exception()  # the caller hears of the cancellation instead
        raise asyncio.CancelledError
    return task.result()


def is_fault(error: BaseException) -> bool:
    """Whether the store failed: the disk, the file. Other errors of SQLite are our mistakes."""
    return isinstance(error, sqlite3.OperationalError) or type(error) is sqlite3.DatabaseError
