"""The SQLite file: made, opened, brought up to this release's schema, checked for damage."""

import sqlite3
from contextlib import AbstractContextManager, closing, suppress
from pathlib import Path

from contracts.files import locked
from contracts.refusal import Refusal
from services.gateway.store.same_words import denial_key

MIGRATIONS = Path(__file__).parent / "migrations"
"""Each file brings the database of the one before up to date; a released one is never edited."""
_PRAGMAS = (
    "auto_vacuum=INCREMENTAL",  # of a new file: it comes first
    "journal_mode=WAL",
    "wal_autocheckpoint=2000",  # with a log of 8 MB, a commit moves it into the file
    "busy_timeout=5000",
    "secure_delete=ON",
)
NEWER = "written by a newer release"


def connect(path: Path, mode: str = "rwc") -> sqlite3.Connection:
    """Open a connection; raises sqlite3.Error."""
    address = f"{path.absolute().as_uri()}?mode={mode}"
    connection = sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
    connection.row_factory = sqlite3.Row
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    return connection


def read_only(path: Path) -> "closing[sqlite3.Connection]":
    """Open a connection that others need not know of, inside a `with`; raises sqlite3.Error."""
    return closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True))


def _migrations() -> list[Path]:
    return sorted(MIGRATIONS.glob("*.sql"))


def schema(connection: sqlite3.Connection) -> int:
    """Return how many migrations the database has had."""
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def migrate(connection: sqlite3.Connection, path: Path) -> int:
    """Run the migrations that the database has not had, each whole or not at all.

    Returns how many there are.
    """
    version = schema(connection)
    connection.create_function("denial_key", 1, denial_key)
    files = _migrations()
    if version > len(files):
        raise Refusal(
            f"{path}: {NEWER} (schema {version}, this one knows {len(files)}):"
            " run that one, or restore a copy of before the upgrade"
            " (services.gateway.backup restore FOLDER --force --date DAY)"
        )
    if not version and connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        raise Refusal(f"{path}: not a database of this release: move it away, or restore a backup")
    for number, file in enumerate(files[version:], version + 1):
        sql = file.read_text(encoding="utf-8")
        connection.executescript(f"BEGIN; {sql} PRAGMA user_version={number}; COMMIT;")
    return len(files)


def damage(connection: sqlite3.Connection) -> str | None:
    found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    return None if found == "ok" else f"damaged ({found})"


def find_damage(path: Path) -> str | None:
    """Return what is wrong with a gateway's database, None for a whole one.

    Reads all of it, whoever else has it open.
    """
    try:
        with read_only(path) as database:
            if not (found := schema(database)):
                return "no database of a gateway"
            return damage(database) or (NEWER if found > len(_migrations()) else None)
    except sqlite3.Error as error:
        return f"damaged ({error})"


def only_gateway(path: Path) -> AbstractContextManager[None]:
    """Keep other gateways away from the database inside the block.

    Raises Refusal when one runs on it, or its folder cannot be written.
    """
    return locked(path.parent, "another gateway of this bot is running on it")


def merge_log(path: Path) -> None:
    """Move what a killed gateway left in the write-ahead log into the file, if it can be read."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
