"""The extraction job: a chat export goes in, a data set comes out.

`main` lists the steps. Exit codes: 0 done, 2 refused (one line on standard error says why).
"""

from collections import Counter
from pathlib import Path
from typing import Annotated

import typer

from contracts.dataset import (
    CARD,
    HELDOUT,
    TRAIN,
    WHOLE_CHAT,
    Card,
    dataset_sha256,
    read_card,
    write_card,
)
from contracts.files import LOCK, file_sha256
from contracts.refusal import Refusal
from contracts.settings import FORGET_FILE
from extraction_jobs.config import ExtractionConfig
from extraction_jobs.dialogues import named_persona, whole_chat
from extraction_jobs.filters import usable
from extraction_jobs.forgotten import NOBODY, People, read_people
from extraction_jobs.personas import Senders
from extraction_jobs.privacy import pseudonym
from extraction_jobs.progress import tracked
from extraction_jobs.split import PART, RECORDS, Written, discard, put_in_place, write_split
from extraction_jobs.telegram_json import read_export
from telemetry.job import BotOption, InputOption, JobReport, PersonaOption, SkipOption, job, job_app
from telemetry.logs import logger

FEW_MESSAGES = 300
STAMP = ".made-from"


def build(
    bot: str, config: ExtractionConfig, source: Path, folder: Path,
    forgotten: People = NOBODY,
) -> Card:  # fmt: skip
    """Read the export twice (who wrote, then what), write the data set and its card.

    Raises Refusal where there is nothing to learn, a persona who is `forgotten` included.
    """
    senders = Senders()
    read: Counter[str] = Counter()
    senders.add(usable(tracked(read_export(source), "counting senders", read), Counter()))
    personas = frozenset() if config.persona == WHOLE_CHAT else senders.persona(config.persona)
    senders.refuse_forgotten(personas, config.persona, forgotten)

    _prepare(folder)
    dropped: Counter[str] = Counter()
    messages = usable(tracked(read_export(source), "building dialogues"), dropped, forgotten)
    if config.persona == WHOLE_CHAT:
        records = whole_chat(messages, config.pause, config.context_turns, pseudonym, dropped)
    else:
        records = named_persona(messages, config.pause, personas, pseudonym, dropped)
    whole = config.persona == WHOLE_CHAT
    try:
        written = write_split(folder, records, config.heldout_share, whole)
        if not written.train:
            raise Refusal(f"{source}: nothing usable of the persona (dropped: {dict(dropped)})")
        persona = WHOLE_CHAT if whole else pseudonym(min(personas))
        inputs = _inputs(source, forgotten)
        card = _card(bot, persona, inputs, written, read.total(), dropped)
        put_in_place(folder)
        write_card(folder, card)
    except OSError as error:
        raise Refusal(f"{folder}: cannot write the data set ({error.strerror})") from None
    finally:
        discard(folder)
    return card


def _prepare(folder: Path) -> None:
    """Make the folder; one that holds something else than a data set is refused."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise Refusal(f"{folder}: is a file; --output wants a folder") from None
    except OSError as error:
        raise Refusal(f"{folder}: cannot be made ({error.strerror})") from None
    ours = {TRAIN, HELDOUT, CARD, STAMP, LOCK, "report.html"}
    parts = {f"{name}{PART}" for name in (RECORDS, TRAIN, HELDOUT, CARD)}
    strange = [path.name for path in folder.iterdir() if path.name not in ours | parts]
    if strange:
        raise Refusal(f"{folder}: holds {strange[0]!r}; give an empty folder or one of a data set")


def _inputs(source: Path, forgotten: People) -> dict[str, str]:
    """Hashes of what the data set is made from: the export, and the list of the forgotten."""
    listed = {FORGET_FILE: forgotten.sha256} if forgotten.sha256 else {}
    return {source.name: file_sha256(source)} | listed


def _card(
    bot: str, persona: str, inputs: dict[str, str], written: Written, read: int,
    dropped: Counter[str],
) -> Card:  # fmt: skip
    warnings = []
    if written.persona_messages < FEW_MESSAGES:
        warnings.append(
            f"only {written.persona_messages} persona messages: expect the bot to repeat them"
            f" ({FEW_MESSAGES} and more are better)"
        )
    if not written.heldout:
        warnings.append("too few records to hold any out: nothing to measure by")
    return Card(
        bot=bot,
        persona=persona,
        chats=len(written.chats),
        messages_read=read,
        messages_used=written.messages,
        persona_messages=written.persona_messages,
        distinct_persona_messages=len(written.distinct),
        train_records=written.train,
        heldout_records=written.heldout,
        split_at=written.split_at,
        dropped={reason: count for reason, count in sorted(dropped.items()) if count},
        inputs=inputs,
        sha256=written.sha256,
        warnings=tuple(warnings),
    )


def report_card(report: JobReport, card: Card) -> None:
    report.gauge("messages_read", "Messages read from the export.", card.messages_read)
    report.gauge("persona_messages", "Persona messages in the data set.", card.persona_messages)
    report.gauge("train_records", "Records to train on.", card.train_records)
    report.gauge("heldout_records", "Records held out.", card.heldout_records)


def _whole_card(folder: Path) -> Card | None:
    card = read_card(folder)
    return card if card.sha256 == dataset_sha256(folder) else None


def _forgotten(given: Path | None, usual: Path) -> People:
    """A bot may have no list, but one that is given must be there."""
    if given and not given.exists():
        raise Refusal(f"{given}: no such file; --forget wants a {FORGET_FILE}")
    return read_people(given or usual)


def main(
    bot: BotOption,
    input: InputOption = None,
    output: Annotated[
        Path | None, typer.Option(help="Folder for the data set [DATA_DIR/<bot>/dataset].")
    ] = None,
    persona: PersonaOption = None,
    forget: Annotated[
        Path | None,
        typer.Option(help="Who is left out [DATA_DIR/<bot>/forget/forget.jsonl]."),
    ] = None,
    skip_unchanged: SkipOption = False,
) -> None:
    """Build a data set from a chat export, without the people who asked to be forgotten."""
    with job("extraction", bot, output, skip_unchanged) as context:
        name, volumes = context.bot.name, context.volumes
        source = input or volumes.exports(name) / "result.json"
        folder = output or volumes.dataset(name)
        config = context.bot.section("extraction", ExtractionConfig)
        if persona:
            config = config.model_copy(update={"persona": persona})
        forgotten = _forgotten(forget, volumes.forget(name))
        card = context.make_if_changed(
            folder / STAMP,
            (source, forgotten.sha256, config),
            read=lambda: _whole_card(folder),
            make=lambda: build(name, config, source, folder, forgotten),
        )
        report_card(context.report, card)
        _log(name, folder, card)


def _log(bot: str, folder: Path, card: Card) -> None:
    logger().info(
        "data set built",
        bot=bot,
        folder=str(folder),
        persona=card.persona,
        train_records=card.train_records,
        heldout_records=card.heldout_records,
        persona_messages=card.persona_messages,
        distinct=card.distinct_persona_messages,
        dropped=card.dropped,
    )
    for warning in card.warnings:
        logger().warning(warning, bot=bot)


app = job_app(main)

if __name__ == "__main__":
    app()
