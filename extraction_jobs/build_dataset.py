"""The extraction job: a chat export goes in, a data set comes out."""

import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import filterfalse
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from pydantic import BaseModel, ConfigDict, Field
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from contracts.dataset import CARD, HELDOUT, TRAIN, WHOLE_CHAT, Card, dataset_sha256, read_card
from contracts.files import LOCK, file_sha256, write_model
from contracts.refusal import Refusal
from contracts.settings import FORGET_FILE
from extraction_jobs.dialogues import named_persona, sessions, whole_chat
from extraction_jobs.messages import NOBODY, ForgetList, Traces, usable
from extraction_jobs.personas import Senders, pseudonym
from extraction_jobs.split import Written, write_split
from extraction_jobs.telegram_json import (
    file_identity,
    read_export,
    refuse_changed,
    rewrite_export,
)
from telemetry.job import BotOption, InputOption, JobReport, PersonaOption, SkipOption, job, job_app
from telemetry.logs import logger

FEW_MESSAGES = 300
STAMP, ASIDE = ".made-from", ".part"
OURS = {TRAIN, HELDOUT, CARD, STAMP, "", LOCK, "report.html"}
"""What a folder of a data set holds, and with ASIDE behind the name what a killed job left."""
UPLOAD_SECONDS = 3600
"""An upload to which nothing was added for so long is over."""
T = TypeVar("T")


class ExtractionConfig(BaseModel):
    """How messages become records.

    persona          `auto` (the most talkative sender), `whole-chat`, a name, or an id like
                     `user123`
    pause_minutes    silence after which a new session begins
    context_turns    turns before the answer, in the records of a whole chat
    heldout_share    share of the records, the latest ones, that is not learned but used to measure
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    persona: str = Field(default="auto", min_length=1)
    pause_minutes: float = Field(default=60.0, gt=0.0)
    context_turns: int = Field(default=4, ge=1, le=64)
    heldout_share: float = Field(default=0.1, ge=0.0, le=0.5)


def build(
    bot: str,
    config: ExtractionConfig,
    source: Path,
    folder: Path,
    forget_list: ForgetList = NOBODY,
    is_stored: bool = False,
) -> Card:
    """Read the export twice (who wrote, then what), write the data set and its card.

    is_stored  the export is the volume's own: it is written anew without what the people on the
               forget list wrote, if it holds any of that, once the data set is made

    Raises Refusal, and changes nothing, where there is nothing to learn; a persona who is to be
    forgotten included.
    """
    identity = file_identity(source) if source.is_file() else None
    whole = config.persona == WHOLE_CHAT
    senders, unusable, traces = Senders(), Counter[str](), Traces(forget_list)
    counted = traces.note(_tracked(read_export(source), "counting senders"))
    senders.add(usable(counted, unusable))
    personas = frozenset() if whole else senders.persona(config.persona, forget_list)

    _prepare(folder)
    aside, dropped = folder / ASIDE, Counter[str]()
    is_rewritten = is_stored and bool(traces)
    entries = _tracked(read_export(source), "building dialogues")
    if is_rewritten:
        entries = filterfalse(traces.include, entries)
    messages = usable(entries, dropped, forget_list)
    talks = sessions(messages, timedelta(minutes=config.pause_minutes))
    try:
        aside.mkdir()
        if whole:
            records = whole_chat(talks, config.context_turns, dropped)
        else:
            records = named_persona(talks, personas, dropped)
        written = write_split(aside, records, config.heldout_share, whole)
        if not written.train_records:
            raise Refusal(f"{source}: nothing usable of the persona (dropped: {dict(dropped)})")
        if is_rewritten:
            dropped["forgotten"] = rewrite_export(source, traces.include, identity)
        else:
            refuse_changed(source, identity)
        inputs = {source.name: file_sha256(source)}
        if forget_list.sha256:
            inputs[FORGET_FILE] = forget_list.sha256
        card = Card(
            bot=bot,
            persona=WHOLE_CHAT if whole else pseudonym(min(personas)),
            messages_read=senders.counts.total() + unusable.total(),
            dropped={reason: count for reason, count in sorted(dropped.items()) if count},
            inputs=inputs,
            forgets_until=forget_list.until,
            warnings=tuple(_warnings(written)),
            **vars(written),
        )
        _install(aside, folder, card)
    except OSError as error:
        raise Refusal(f"{folder}: cannot write the data set ({error.strerror})") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return card


def _tracked(items: Iterable[T], title: str) -> Iterator[T]:
    """Yield the items; on a terminal, show how many have passed."""
    console = Console(stderr=True)
    columns = (SpinnerColumn(), title, TextColumn("{task.completed}"), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        yield from progress.track(items)


def _remove_leftovers(export: Path) -> None:
    """Remove what killed jobs and uploads left of an export, since nobody is left out of that."""
    export.with_name(f"{export.name}.part").unlink(missing_ok=True)
    upload = export.with_name(f"{export.name}.upload")
    if upload.exists() and time.time() - upload.stat().st_mtime > UPLOAD_SECONDS:
        upload.unlink()


def _prepare(folder: Path) -> None:
    """Make the folder; one that holds something else than a data set is refused."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise Refusal(f"{folder}: cannot be made ({error.strerror})") from None
    names = [path.name for path in folder.iterdir()]
    strange = [name for name in names if name.removesuffix(ASIDE) not in OURS]
    if strange:
        raise Refusal(f"{folder}: holds {strange[0]!r}; give an empty folder or one of a data set")
    shutil.rmtree(folder / ASIDE, ignore_errors=True)


def _install(aside: Path, folder: Path, card: Card) -> None:
    """Put the new records in the place of the old; without its card it is no data set."""
    (folder / "report.html").unlink(missing_ok=True)
    (folder / CARD).unlink(missing_ok=True)
    for name in (TRAIN, HELDOUT):
        (aside / name).replace(folder / name)
    write_model(folder / CARD, card)


def _warnings(written: Written) -> Iterator[str]:
    if written.persona_messages < FEW_MESSAGES:
        yield (
            f"only {written.persona_messages} persona messages: expect the bot to repeat them"
            f" ({FEW_MESSAGES} and more are better)"
        )
    if not written.heldout_records:
        yield "too few records to hold any out: nothing to measure by"


def report_card(report: JobReport, card: Card) -> None:
    report.gauge("messages_read", "Messages read from the export.", card.messages_read)
    report.gauge("persona_messages", "Persona messages in the data set.", card.persona_messages)
    report.gauge("train_records", "Records to train on.", card.train_records)
    report.gauge("heldout_records", "Records held out.", card.heldout_records)


def _read_whole(folder: Path) -> Card | None:
    card = read_card(folder)
    return card if card.sha256 == dataset_sha256(folder) else None


def _read_forget_list(given: Path | None, usual: Path) -> ForgetList:
    """A bot may have no list, but one that is given must be there.

    It may lack people on the bot's own list, so it says nothing of those who wait.
    """
    if given is None:
        return ForgetList.read(usual)
    if not given.exists():
        raise Refusal(f"{given}: no such file; --forget wants a {FORGET_FILE}")
    return replace(ForgetList.read(given), until=0.0)


def main(
    bot: BotOption,
    input: InputOption = None,
    output: Annotated[Path | None, typer.Option(help="Folder [DATA_DIR/<bot>/dataset].")] = None,
    persona: PersonaOption = None,
    forget: Annotated[
        Path | None, typer.Option(help="Who is left out [DATA_DIR/<bot>/forget/forget.jsonl].")
    ] = None,
    skip_unchanged: SkipOption = False,
) -> None:
    """Build a data set from a chat export, without the people who asked to be forgotten."""
    with job("extraction", bot, output, skip_unchanged) as context:
        name, volumes = context.bot.name, context.volumes
        stored = volumes.exports(name) / "result.json"
        source = input or stored
        folder = output or volumes.dataset(name)
        config = context.bot.section("extraction", ExtractionConfig)
        if persona:
            config = config.model_copy(update={"persona": persona})
        forget_list = _read_forget_list(forget, volumes.forget(name))
        is_stored = input is None and forget is None
        _remove_leftovers(stored)
        export_sha256 = file_sha256(source) if source.is_file() else None
        card = context.make_if_changed(
            folder / STAMP,
            (export_sha256, forget_list.sha256, config),
            read=lambda: _read_whole(folder),
            make=lambda: build(name, config, source, folder, forget_list, is_stored),
            # the export may have been written anew
            made_from=lambda card: (card.inputs[source.name], forget_list.sha256, config),
        )
        report_card(context.report, card)
        shown = {"bot", "persona", "train_records", "heldout_records", "persona_messages"}
        shown |= {"distinct_persona_messages", "dropped"}
        logger().info("data set built", folder=str(folder), **card.model_dump(include=shown))
        for warning in card.warnings:
            logger().warning(warning, bot=name)


app = job_app(main)

if __name__ == "__main__":
    app()
