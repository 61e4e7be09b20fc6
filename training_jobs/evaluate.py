"""The evaluation job: how well a converted run sounds like its persona, and what it copies.

All figures are of the held-out part, which is later than all that was learned. `evaluate` lists
them. Exit codes: 0 done, 2 refused (one line on standard error says why).
"""

from training_jobs.libraries import require_training_packages

if __name__ == "__main__":
    require_training_packages()

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from contracts.bot_file import BotFile
from contracts.dataset import HELDOUT, TRAIN, Record, dataset_sha256, read_card, read_records
from contracts.files import write_model
from contracts.model_version import BotModels, read_manifest
from contracts.prompt import PromptFormat
from contracts.refusal import Refusal
from contracts.sampling import Sampling
from contracts.settings import Volumes, from_environment
from contracts.turn import Turn
from moderation import Policy
from telemetry.job import BotOption, DatasetOption, JobReport, RunOption, SkipOption, job, job_app
from telemetry.logs import logger
from training_jobs.base import SCRATCH, Base, load_base
from training_jobs.convert import export
from training_jobs.fidelity.attribution import FEWEST, judge
from training_jobs.fidelity.bootstrap import Estimate, mean
from training_jobs.fidelity.contexts import Context, contexts, shuffled
from training_jobs.fidelity.memory import copied
from training_jobs.fidelity.replies import Reply, draw, faults
from training_jobs.fidelity.report import write_report
from training_jobs.fidelity.results import Evaluation, figures, read_evaluation
from training_jobs.fidelity.style import distance, profile
from training_jobs.fidelity.subject import BUDGET, Subject, gain
from training_jobs.hardware import Hardware, hardware
from training_jobs.libraries import quieten
from training_jobs.run_folder import (
    CONVERTED,
    EVALUATION,
    MODEL,
    read_conversion,
    read_run,
    served,
)

MOST_CONTEXTS = 300
FEWEST_CONTEXTS = 5


class TooFewAnswers(Refusal):
    """The held-out part is too small to measure by; the run may be published all the same."""


def evaluate(
    bot: BotFile, run_folder: Path, dataset: Path, against: Path | None, machine: Hardware
) -> Evaluation:
    """Likelihood, replies, whose they seem to be, how they look, what they copy."""
    run, card = read_run(run_folder), read_card(dataset)
    if run.dataset_sha256 != dataset_sha256(dataset):
        raise Refusal(f"{run_folder}: was not trained on {dataset}; fine-tune again")
    read_conversion(run_folder)
    held, learned = list(read_records(dataset / HELDOUT)), list(read_records(dataset / TRAIN))
    model = load_base(str(run_folder / MODEL), from_environment(Volumes))
    longest = min(BUDGET, model.context)
    asked = contexts(held, card.whole_chat, MOST_CONTEXTS, longest)
    if len(asked) < FEWEST_CONTEXTS:
        raise TooFewAnswers(f"{dataset}: only {len(asked)} held-out answers: nothing is measured")
    found: dict[str, object] = {"contexts": len(asked)}
    tuned = Subject(model, asked, machine)
    other = Subject(tuned.base, shuffled(asked), machine)
    found |= {
        "tuned": tuned.likelihood,
        "shuffled": other.likelihood,
        "context_gain": gain(other.nats, tuned.nats, asked),
    }
    compared, notes = _against_current(bot.name, tuned, asked, machine)
    found |= compared
    base = None if run.base == SCRATCH else load_base(run.base, from_environment(Volumes))
    if base is not None:
        found["base"] = Subject(base, asked, machine).likelihood
    sampling = bot.section("sampling", Sampling)
    drawn = {"tuned": _drawn(run_folder / CONVERTED, tuned.base, asked, sampling)}
    if base is not None:
        with tempfile.TemporaryDirectory() as folder:
            export(base, Path(folder) / "ov", 8)
            drawn["base"] = _drawn(Path(folder) / "ov", base, asked, sampling)
    persona = [turn for record in learned for turn in _persona(record.turns, card.whole_chat)]
    others = [
        _others(records, card.whole_chat, against and against / name)
        for records, name in ((learned, TRAIN), (held, HELDOUT))
    ]
    look, doubts = _look(drawn, asked, persona, *others)
    found |= look | {"notes": [*notes, *doubts]}
    found |= copied(drawn["tuned"], tuned.base, asked, learned)
    found |= faults(drawn["tuned"], bot.section("moderation", Policy))
    found["examples"] = _examples(asked, drawn)
    return Evaluation.model_validate(found)


def _examples(
    asked: Sequence[Context], drawn: dict[str, list[Reply]]
) -> list[dict[str, list[str]]]:
    """Ten, evenly over the held-out part."""
    return [
        {
            "asked": [turn.text for turn in asked[place].turns[-3:]],
            "really": list(asked[place].said.messages),
            **{name: replies[place].messages for name, replies in drawn.items()},
        }
        for place in range(0, len(asked), max(1, len(asked) // 10))
    ][:10]


def _against_current(
    bot: str, tuned: Subject, asked: Sequence[Context], machine: Hardware
) -> tuple[dict[str, object], list[str]]:
    """The version that serves now, measured anew on the same contexts; or why it was not."""
    models = BotModels(from_environment(Volumes).models(bot))
    version = models.current_id()
    if version is None:
        return {}, []
    try:
        if read_manifest(models.path(version)).prompt_format is not PromptFormat.TURNS_1:
            return {"current_id": version}, [f"{version} has prompts of its own: not compared"]
        base = load_base(str(models.path(version)), from_environment(Volumes))
    except Refusal as refusal:
        return {"current_id": version}, [f"not compared: {refusal}"]
    current = Subject(base, asked, machine)
    elsewhere = Subject(base, shuffled(asked), machine)
    return {
        "current": current.likelihood,
        "current_id": version,
        "against_current": gain(current.nats, tuned.nats, asked),
        "current_context_gain": gain(elsewhere.nats, current.nats, asked),
    }, []


def _drawn(model: Path, base: Base, asked: Sequence[Context], sampling: Sampling) -> list[Reply]:
    longest = min(sampling.max_new_tokens, base.context // 2)
    sampling = sampling.model_copy(update={"max_new_tokens": longest})
    budget = min(BUDGET, base.context - longest)
    prompts = [each.prompt(base.words, budget) for each in asked]
    return draw(model, prompts, sampling, base.words.eos, _decoder(base))


def _decoder(base: Base) -> Callable[[list[int]], str]:
    def decode(ids: list[int]) -> str:
        return str(base.tokenizer.decode(ids))

    return decode


def _persona(turns: Sequence[Turn], last_only: bool) -> list[Turn]:
    chosen = turns[-1:] if last_only else turns
    return [turn for turn in chosen if turn.is_persona]


def _others(records: Sequence[Record], whole_chat: bool, against: Path | None) -> list[Turn]:
    """Whom the persona is told from: who talked to it, or for a whole chat another data set."""
    if against is not None:
        return [turn for record in read_records(against) for turn in _persona(record.turns, True)]
    if whole_chat:
        return []
    return [turn for record in records for turn in record.turns if not turn.is_persona]


def _look(
    drawn: dict[str, list[Reply]],
    asked: Sequence[Context],
    persona: Sequence[Turn],
    others: Sequence[Turn],
    others_held: Sequence[Turn],
) -> tuple[dict[str, object], list[str]]:
    """Attribution and style: replies beside the real ones (ceiling) and the base's (floor)."""
    texts = {name: [reply.messages for reply in replies] for name, replies in drawn.items()}
    texts["real"] = [list(each.said.messages) for each in asked]
    learned = [list(turn.messages) for turn in persona]
    attribution, doubts = _attribution(texts, persona, others, others_held)
    figures: dict[str, object] = {
        "attribution": attribution,
        "style_distance": {name: distance(replies, learned) for name, replies in texts.items()},
        "profiles": {name: profile(replies) for name, replies in texts.items()},
    }
    return figures, doubts


def _attribution(
    texts: dict[str, list[list[str]]],
    persona: Sequence[Turn],
    others: Sequence[Turn],
    others_held: Sequence[Turn],
) -> tuple[dict[str, Estimate], list[str]]:
    """By whom the texts seem to be, and what is to be thought of that.

    Only first messages are judged: a base does not know where a turn ends, and would be judged by
    its length.
    """
    if not others:
        return {}, ["no attribution: a whole chat is told from another data set (--against)"]
    judged = judge(*([turn.messages[0] for turn in side] for side in (persona, others)))
    if judged is None:
        return {}, [f"no attribution: fewer than {FEWEST} turns on a side to learn from"]
    asked = {**texts, "others": [list(turn.messages) for turn in others_held]}
    found = {
        name: mean(judged.share([each[0] if each else "" for each in said]))
        for name, said in asked.items()
        if said
    }
    if "others" in found and found["others"].high >= found["real"].low:
        return found, [
            "attribution says little: real turns of the persona and of others look alike"
        ]
    return found, []


def report_figures(report: JobReport, done: Evaluation | None) -> None:
    report.gauges("Of the last evaluated run, on the held-out part.", figures(done))


def _compared(folder: Path, bot: str) -> Evaluation | None:
    """The evaluation, if it was with the version that serves now, or that one is the run's own."""
    models, done = BotModels(from_environment(Volumes).models(bot)), read_evaluation(folder)
    if done is None or done.current_id == models.current_id() or served(folder, models) is not None:
        return done
    return None


def _measured(bot: BotFile, folder: Path, dataset: Path, against: Path | None) -> Evaluation | None:
    """None, which is no failure, where there is too little to measure by."""
    try:
        with hardware("auto") as machine:
            done = evaluate(bot, folder, dataset, against, machine)
    except TooFewAnswers as few:
        logger().warning(str(few))
        return None
    write_model(folder / EVALUATION, done)
    write_report(folder, bot.name, read_run(folder), done.model_dump())
    return done


def main(
    bot: BotOption,
    run: RunOption = None,
    dataset: DatasetOption = None,
    against: Annotated[
        Path | None, typer.Option(help="Data set of somebody else, to tell a whole chat from.")
    ] = None,
    skip_unchanged: SkipOption = False,
) -> None:
    """Measure how well a converted run sounds like its persona."""
    with job("evaluation", bot, run, skip_unchanged) as context:
        quieten()
        file, volumes = context.bot, context.volumes
        folder, source = run or volumes.run(file.name), dataset or volumes.dataset(file.name)
        sections = file.section("sampling", Sampling), file.section("moderation", Policy)
        done = context.make_if_changed(
            folder / "evaluation.made-from",
            (folder / MODEL, folder / CONVERTED, source, against, *sections),
            read=lambda: _compared(folder, file.name),
            make=lambda: _measured(file, folder, source, against),
        )
        report_figures(context.report, done)
        if done is not None:
            measured = {k: v for k, v in figures(done).items() if v is not None}
            logger().info("evaluated", bot=file.name, folder=str(folder), **measured)


app = job_app(main)

if __name__ == "__main__":
    app()
