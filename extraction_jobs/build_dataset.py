"""The extraction job: chat exports go in, a data set comes out."""

import json
import shutil
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from contracts.conversation import MOST_LINES, Conversation
from contracts.dataset import CARD, HELDOUT, TRAIN, WHOLE_CHAT, Card, dataset_sha256, read_card
from contracts.files import LOCK, write_model
from contracts.refusal import Refusal, one_line
from extraction_jobs.advice import warnings
from extraction_jobs.inputs import ExtractionConfig, Inputs, tracked
from extraction_jobs.messages import ForgetList, Found, Traces
from extraction_jobs.personas import Senders, pseudonym
from extraction_jobs.records import records
from extraction_jobs.report import REPORT, write_report
from extraction_jobs.scratch import Scratch
from extraction_jobs.split import write_split
from extraction_jobs.stored_export import Source, remove_leftovers
from moderation.policy import Policy
from telemetry.job import BotOption, InputOption, JobReport, PersonaOption, SkipOption, job, job_app
from telemetry.logs import logger

STAMP, ASIDE = ".made-from", ".part"
OURS = {TRAIN, HELDOUT, CARD, STAMP, "", LOCK, REPORT}
"""What a folder of a data set holds, and with ASIDE behind the name what a killed job left."""


def build(inputs: Inputs, folder: Path) -> tuple[Card, Inputs]:
    """Read the sources once and write the data set; return its card, and the inputs as they are
    then.

    Raises Refusal, and changes nothing, where there is nothing to learn; a persona who is to be
    forgotten included.
    """
    with _aside(folder) as aside, closing(Scratch(aside / "scratch.sqlite3")) as scratch:
        card, traces = _make(inputs, aside, scratch)
        if inputs.is_stored and traces:
            rewritten = [source.rewrite(traces.include, aside) for source in inputs.sources]
            inputs = replace(inputs, sources=[source for source, _ in rewritten])
            card.dropped["forgotten"] = sum(removed for _, removed in rewritten)
        for source in inputs.sources:
            source.refuse_changed()
        card = card.model_copy(update=inputs.described())
        _install(aside, folder, card)
    return card, inputs


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """Yield a folder for what is not whole yet, in that of the data set, which is made."""
    _prepare(folder)
    aside = folder / ASIDE
    try:
        aside.mkdir()
        yield aside
    except OSError as error:
        raise Refusal(f"{folder}: cannot write the data set ({error.strerror})") from None
    except sqlite3.Error as error:
        raise Refusal(f"{folder}: cannot write the data set ({error})") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _make(inputs: Inputs, aside: Path, scratch: Scratch) -> tuple[Card, Traces]:
    """Write the records; return the card, without its inputs, and what is to be forgotten."""
    config, rules, found = inputs.config, inputs.rules, Found()
    senders, filters, traces = inputs.read(scratch, found, aside)
    dropped = scratch.dropped()
    ids = frozenset[str]()
    if WHOLE_CHAT not in config.wanted:
        ids = senders.persona(config.wanted, found.owner, inputs.forget_list)
    persona, name = min(ids, default=None), senders.called(*ids) if ids else WHOLE_CHAT
    if (console := Console(stderr=True)).is_terminal:
        console.print(f"persona: {name}", markup=False, highlight=False)
    told = (records(place, persona, rules.context_turns) for place in scratch.join(rules, ids))
    answers = tracked(chain.from_iterable(told), "building records")
    split = write_split(aside, scratch.db, answers, config.heldout_share, dropped)
    dropped = Counter({reason: count for reason, count in sorted(dropped.items()) if count})
    if not split.train_records:
        raise inputs.without_use(scratch.read, dropped + found.counts)
    card = Card(
        bot=inputs.bot,
        persona=WHOLE_CHAT if persona is None else pseudonym(persona),
        context_turns=rules.context_turns,
        messages_read=scratch.read,
        config={**vars(rules), **config.model_dump(exclude={"persona"})},
        messages_used=scratch.count("messages WHERE reason IS NULL"),
        turns=scratch.count("turns"),
        cut_turns=scratch.count(f"turns WHERE lines = {MOST_LINES}"),
        dropped=dropped,
        repaired=dict(found.counts),
        replaced=dict(filters.replaced),
        inputs={},
        forgets_until=inputs.forget_list.until,
        **vars(split),
    )
    card = card.model_copy(update={"warnings": tuple(warnings(card))})
    write_report(aside, card, name, ids, scratch.db)
    return card, traces


def count_senders(inputs: Inputs) -> Senders:
    """Read the sources, for a look at who wrote in them."""
    with tempfile.TemporaryDirectory() as name, closing(Scratch(Path(name) / "scratch")) as scratch:
        return inputs.read(scratch, Found(), Path(name))[0]


def _line(messages: int, id: str, name: str, bot: bool, chats: list[str]) -> str:
    told = f"{name} (bot)" if bot else name
    return one_line(f"{messages:>8}  {id}  {told}  in {', '.join(chats)}")


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
    (folder / REPORT).unlink(missing_ok=True)
    (folder / CARD).unlink(missing_ok=True)
    for name in (TRAIN, HELDOUT, REPORT):
        (aside / name).replace(folder / name)
    write_model(folder / CARD, card)


def report_card(report: JobReport, card: Card) -> None:
    report.gauge("messages_read", "Messages read from the export.", card.messages_read)
    report.gauge("persona_messages", "Persona messages in the data set.", card.persona_messages)
    report.gauge("train_records", "Records to train on.", card.train_records)
    report.gauge("heldout_records", "Records held out.", card.heldout_records)


def _read_whole(folder: Path, inputs: Inputs) -> tuple[Card, Inputs] | None:
    card = read_card(folder)
    return (card, inputs) if card.sha256 == dataset_sha256(folder) else None


def main(
    bot: BotOption,
    input: InputOption = None,
    output: Annotated[Path | None, typer.Option(help="Folder [DATA_DIR/<bot>/dataset].")] = None,
    persona: PersonaOption = None,
    list_senders: Annotated[
        bool, typer.Option("--list-senders", help="Show who wrote how much, and do nothing else.")
    ] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --list-senders: a JSON object a line.")
    ] = False,
    skip_unchanged: SkipOption = False,
) -> None:
    """Build a data set from chat exports, without the people who asked to be forgotten."""
    with job("extraction", bot, skip_unchanged) as context:
        name, volumes = context.bot.name, context.volumes
        stored = volumes.exports(name) / "result.json"
        remove_leftovers(stored)
        config = context.bot.section("extraction", ExtractionConfig)
        if persona:
            config = config.model_copy(update={"persona": tuple(persona)})
        inputs = Inputs(
            name,
            config,
            context.bot.section("conversation", Conversation),
            tuple(Source.of(path) for path in input or [stored]),
            ForgetList.read(volumes.forget(name)),
            is_stored=not input,
            policy=context.bot.section("moderation", Policy) if config.moderate else None,
        )
        if list_senders:
            for row in count_senders(inputs).table():
                print(json.dumps(row) if as_json else _line(**row))
            return
        folder = output or volumes.dataset(name)
        card, _ = context.make_if_changed(
            folder / STAMP,
            inputs.made_from,
            read=lambda: _read_whole(folder, inputs),
            make=lambda: build(inputs, folder),
            made_from=lambda made: made[1].made_from,  # an export may have been written anew
        )
        report_card(context.report, card)
        shown = {"bot", "persona", "train_records", "heldout_records", "persona_messages"}
        shown |= {"distinct_answers", "dropped", "repaired", "replaced"}
        logger().info("data set built", folder=str(folder), **card.model_dump(include=shown))
        for warning in card.warnings:
            logger().warning(warning, bot=name)


app = job_app(main)

if __name__ == "__main__":
    app()
