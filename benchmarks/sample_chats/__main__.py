"""`python -m benchmarks.sample_chats`: compose the sample chats as Telegram Desktop exports them.

Without options it writes what is kept in `extraction_jobs/sample_chats`; the kept bots learned from
longer chats of the same banks (`make sample-bots`).
"""

import json
from pathlib import Path
from typing import Annotated, Any

import typer

import extraction_jobs.sample_chats
from benchmarks.sample_chats.chats import avtobus, polkson

BANKS, KEPT = Path(__file__).parent, Path(extraction_jobs.sample_chats.__file__).parent
EXCHANGES = 2000


def main(
    output: Annotated[Path | None, typer.Option(help="Folder, for <bot>/exports/.")] = None,
    exchanges: Annotated[int, typer.Option(help="Asks with answers in each chat.")] = EXCHANGES,
) -> None:
    """Compose the two sample chats from the phrase banks, the same bytes each time."""
    for chat in (avtobus, polkson):
        bot = chat.__name__
        path = output / bot / "exports" / "result.json" if output else KEPT / f"{bot}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(composed(bot, exchanges), encoding="utf-8")
        typer.echo(path)


def composed(bot: str, exchanges: int = EXCHANGES) -> str:
    """Return the export's text, a message a line."""
    chat = {"avtobus": avtobus, "polkson": polkson}[bot]
    export = chat(BANKS / f"{bot}.yaml", exchanges, garnish=0.12)
    messages: list[Any] = []
    for each in export["chats"]["list"] if "chats" in export else [export]:
        messages.append(each["messages"])
        each["messages"] = f"messages {len(messages) - 1}"
    text = json.dumps(export, ensure_ascii=False, indent=1)
    for number, said in enumerate(messages):
        lines = ",\n".join(f"  {json.dumps(line, ensure_ascii=False)}" for line in said)
        text = text.replace(f'"messages {number}"', f"[\n{lines}\n ]", 1)
    return text + "\n"


if __name__ == "__main__":
    typer.run(main)
