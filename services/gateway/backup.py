"""`python -m services.gateway.backup FILE`: a copy of the bot's database while the gateway runs.

The copy is whole as of one moment (SQLite's online backup), checked, and put in place by a rename.
It holds what people wrote: keep it no longer than /forgetme promises, two weeks.
"""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from contracts.refusal import Refusal, end_process
from contracts.settings import from_environment
from services.gateway.settings import Place

app = typer.Typer(add_completion=False)


@app.command()
def main(file: Annotated[Path, typer.Argument(help="where the copy goes; replaced")]) -> None:
    """Copy the database of BOT in GATEWAY_DATA_DIR, running or not."""
    try:
        source = from_environment(Place).database
        size = copy(source, file)
    except Refusal as refusal:
        end_process(refusal)
    typer.echo(f"{source} -> {file}: {size:,} bytes, whole")


def copy(source: Path, target: Path) -> int:
    """Copy a database; returns its size. Raises Refusal; the target stays as it was then."""
    if not source.is_file():
        raise Refusal(f"{source}: no database; set BOT and GATEWAY_DATA_DIR")
    part = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL, 0o600))
        with closing(sqlite3.connect(source)) as ours, closing(sqlite3.connect(part)) as theirs:
            ours.backup(theirs)
            found = theirs.execute("PRAGMA quick_check").fetchone()[0]
        if found != "ok":
            raise Refusal(f"{source}: damaged: {found}")
        part.replace(target)
    except (OSError, sqlite3.Error) as error:
        part.unlink(missing_ok=True)
        raise Refusal(f"{target}: {error}") from None
    return target.stat().st_size


if __name__ == "__main__":
    app()
