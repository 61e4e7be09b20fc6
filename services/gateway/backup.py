"""`python -m services.gateway.backup`: a bot's copies, a folder a day, and the way back from them.

save      FOLDER/<bot>/<date>/ gets the database as of one moment (SQLite's online backup, checked)
          and the list of the forgotten; the gateway may run
restore   puts a copy in the database's place, while no gateway runs

Copies hold what people wrote: they are deleted on their fourteenth day, within the two weeks that
/forgetme promises, also where no new one can be made. So are those of days to come, which a wrong
clock made. On the clock's word alone the last copy is not deleted: where all would go, the newest
message, which Telegram dated, has to be of these two weeks, else nothing is deleted and nothing
made. Nor where a message is dated after tomorrow: then the clock is behind.
"""

import re
import shutil
import sqlite3
from contextlib import ExitStack, closing, suppress
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated

import typer

from contracts.files import locked, sync, whole_folder, write_whole
from contracts.refusal import Refusal
from contracts.settings import Volumes, from_environment
from services.gateway.settings import DatabasePath
from services.gateway.store import database_file, history
from telemetry.job import JobReport, PushSettings, command, job_app, job_report

app = job_app()

KEEP_DAYS = 14
BUSY = "another backup works there; wait for its end"
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
DATABASE = "gateway.sqlite3"
Folder = Annotated[Path, typer.Argument(help="Where the copies lie, a folder a bot.")]
DateOption = Annotated[str, typer.Option("--date", help="Which copy, 2026-11-26 say.")]
ForceOption = Annotated[bool, typer.Option("--force", help="Also in place of a whole one.")]


@app.command()
def save(folder: Folder) -> None:
    """Copy the database of BOT in GATEWAY_DATA_DIR. Its gateway may run."""
    with command("backup"):
        source, push = from_environment(DatabasePath), from_environment(PushSettings)
        today = datetime.now(UTC).date()
        copies, target = folder / source.bot, folder / source.bot / f"{today}"
        with job_report("backup", source.bot, push) as report, locked(copies, BUSY):
            expired = _expired(copies, source.database, today)
            try:
                expire(copies, expired)
            finally:  # one that cannot be deleted keeps nobody from making the next
                size = copy(source, from_environment(Volumes), target)
            report_copy(report, size)
        typer.echo(f"{source.database} -> {target}: {size:,} bytes, whole")


@app.command()
def restore(folder: Folder, day: DateOption = "newest", force: ForceOption = False) -> None:
    """Put a copy in the place of BOT's database in GATEWAY_DATA_DIR."""
    with command("backup"):
        place = from_environment(DatabasePath)
        chosen = _chosen(folder / place.bot, day)
        put_back(chosen, place, from_environment(Volumes), force)
        typer.echo(f"{chosen / DATABASE} -> {place.database}")


def report_copy(report: JobReport, size: int) -> None:
    report.gauge("database_bytes", "Size of the database's copy.", size)


def copy(source: DatabasePath, volumes: Volumes, target: Path) -> int:
    """Return the database's size. Raises Refusal; a copy of that day stays as it was then."""
    if not source.database.is_file():
        raise Refusal(f"{source.database}: no database; set BOT and GATEWAY_DATA_DIR")
    try:
        with whole_folder(target) as aside:
            size = _copy_database(source.database, aside / DATABASE)
            with suppress(FileNotFoundError):
                forgotten = volumes.forget(source.bot)
                shutil.copyfile(forgotten, aside / forgotten.name)
    except (OSError, sqlite3.Error) as error:
        raise Refusal(f"{target}: {error}") from None
    return size


def _copy_database(source: Path, target: Path) -> int:
    with closing(sqlite3.connect(source)) as ours, closing(sqlite3.connect(target)) as theirs:
        ours.backup(theirs)
        theirs.execute("PRAGMA journal_mode=DELETE")  # a copy is one file
    if found := database_file.find_damage(target):
        raise Refusal(f"{source}: {found}")
    return target.stat().st_size


def expire(folder: Path, days: list[str]) -> None:
    """Delete these copies, and what runs that were killed left; nobody else copies.

    Raises OSError at the end where one of them cannot be deleted.
    """
    with ExitStack() as deletions:
        for each in (*(folder / day for day in days), *folder.glob(".*.part/")):
            deletions.callback(shutil.rmtree, each)


def _expired(folder: Path, database: Path, today: date) -> list[str]:
    """Return the days of the copies to delete. Raises Refusal where the clock seems wrong."""
    first, tomorrow = today - timedelta(days=KEEP_DAYS - 1), today + timedelta(days=1)
    copies, newest = _copies(folder), _newest_message(database)
    expired = [day for day in copies if not f"{first}" <= day <= f"{tomorrow}"]
    is_behind = newest is not None and newest > tomorrow
    is_ahead = newest is not None and newest < first and expired == copies
    if is_behind or (expired and is_ahead):
        raise Refusal(
            f"the clock says {today}, the newest message is of {newest or 'no day'}, and the newest"
            f" of the copies in {folder} of {max(copies, default='no day')}: set the clock, or"
            " delete the copies if it is right"
        )
    return expired


def _newest_message(database: Path) -> date | None:
    """Return the day on which Telegram dated it; None where the database tells none."""
    with suppress(sqlite3.Error, OSError, ValueError), database_file.read_only(database) as opened:
        if at := history.newest_date(opened):
            return datetime.fromtimestamp(at, UTC).date()
    return None


def _chosen(folder: Path, day: str) -> Path:
    held = [name for name in _copies(folder) if (folder / name / DATABASE).is_file()]
    if not held:
        raise Refusal(f"{folder}: holds no copy")
    if day not in ("newest", *held):
        raise Refusal(f"{folder}: holds no copy of {day!r}; there are {', '.join(held)}")
    tomorrow = f"{datetime.now(UTC).date() + timedelta(days=1)}"  # later ones a wrong clock made
    newest = max((name for name in held if name <= tomorrow), default=held[-1])
    return folder / (newest if day == "newest" else day)


def _copies(folder: Path) -> list[str]:
    """Return the days of the copies, the oldest first; what has another name is none."""
    found = (path for path in folder.glob("*") if _DAY.fullmatch(path.name) and path.is_dir())
    return sorted(path.name for path in found)


def put_back(chosen: Path, place: DatabasePath, volumes: Volumes, force: bool) -> None:
    """Raises Refusal while a gateway runs on it, and for a database that is whole unless forced.

    Whatever is killed when, the old database is there whole or the new one. The list of the
    forgotten comes back where there is none: the gateway goes by it at its start.
    """
    database, part = place.database, place.database.with_suffix(".part")
    if found := database_file.find_damage(chosen / DATABASE):
        raise Refusal(f"{chosen / DATABASE}: {found}; take another --date")
    with database_file.only_gateway(database):
        if (
            database.is_file()
            and not force
            and database_file.find_damage(database) in (None, database_file.NEWER)
        ):
            raise Refusal(f"{database}: is whole; --force replaces it all the same")
        try:
            shutil.copyfile(chosen / DATABASE, part)
            sync(part)
            # its log would be replayed into the new file
            database_file.merge_log(database)
            for log in ("-wal", "-shm"):
                database.with_name(database.name + log).unlink(missing_ok=True)
            part.replace(database)
            sync(database.parent)
            forgotten = volumes.forget(place.bot)
            if (chosen / forgotten.name).is_file() and not forgotten.exists():
                forgotten.parent.mkdir(parents=True, exist_ok=True)
                write_whole(forgotten, (chosen / forgotten.name).read_bytes())
        except OSError as error:
            raise Refusal(f"{database}: {error.strerror}") from None
        finally:
            part.unlink(missing_ok=True)


if __name__ == "__main__":
    app()
