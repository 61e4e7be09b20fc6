"""`python -m extraction_jobs.sample_chats`: write the sample exports where the jobs look."""

import json
from pathlib import Path
from typing import Annotated

import typer

from contracts.files import write_whole
from contracts.settings import Volumes, from_environment
from telemetry.job import command, job_app


def main(output: Annotated[Path | None, typer.Option(help="Folder [DATA_DIR].")] = None) -> None:
    """Write the sample chats as <bot>/exports/result.json, as Telegram Desktop would."""
    with command("sample_chats"):
        folder = output or from_environment(Volumes).data_dir
        for kept in sorted(Path(__file__).parent.glob("*.json")):
            path = folder / kept.stem / "exports" / "result.json"
            path.parent.mkdir(parents=True, exist_ok=True)
            export = json.loads(kept.read_bytes())
            write_whole(path, json.dumps(export, ensure_ascii=False, indent=1))
            typer.echo(path)


app = job_app(main)

if __name__ == "__main__":
    app()
