"""The evaluation job: whether a converted run answers and sounds like its persona; what it copies.

All figures are of the held-out part, which is later than everything that the run learned.
`evaluate` lists the steps.
"""

from training_jobs.model_libraries import require_training_packages

if __name__ == "__main__":
    require_training_packages()

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from jinja2 import Environment, StrictUndefined

from contracts.bot_file import BotFile
from contracts.dataset import dataset_sha256, read_card
from contracts.files import write_model, write_whole
from contracts.model_version import BotModels, read_manifest
from contracts.prompt import Encode, PromptFormat
from contracts.refusal import Refusal
from contracts.sampling import Sampling
from contracts.settings import Volumes, from_environment
from moderation.moderator import Moderator
from moderation.policy import Policy
from telemetry.job import BotOption, DatasetOption, JobReport, RunOption, SkipOption, job, job_app
from telemetry.logs import logger
from training_jobs import run_folder
from training_jobs.convert import export
from training_jobs.evaluation import text_figures
from training_jobs.evaluation.contexts import (
    BASE_TOKENS,
    BUDGET,
    MOST_CONTEXTS,
    EvaluationData,
    Scores,
    score,
)
from training_jobs.evaluation.hits import GROUP, Group, group_contexts, hits_at_1
from training_jobs.evaluation.relevance import FEWEST, LEAST, relevance
from training_jobs.evaluation.replies import Reply, generate_replies
from training_jobs.evaluation.results import Evaluation, figures, read_evaluation
from training_jobs.language_model import LanguageModel, find_base, load_model

TEMPLATE = Path(__file__).parent / "evaluation" / "report.html.j2"
FEWEST_CONTEXTS, EXAMPLES = 5, 10
ABSENT = {
    "hits": f"fewer than {GROUP} different answers are held out",
    "relevance": f"fewer than {FEWEST} answers to learn from",
    "unknown_words": "nothing that was learned is Russian",
}
"""Why a figure is absent."""


def evaluate(bot: BotFile, folder: Path, dataset: Path) -> Evaluation:
    """Measure how likely the run finds the real answers, and what its own replies are like.

    Writes evaluation.json and report.html into the run folder. Where too little is held out to
    measure by, which is no failure, there is no report. Raises Refusal where the run was not
    trained on this data set or is not converted.
    """
    run = run_folder.read_run(folder)
    if run.dataset_sha256 != dataset_sha256(dataset):
        raise Refusal(f"{folder}: was not trained on {dataset}; fine-tune again")
    run_folder.read_conversion(folder)
    tuned = load_model(folder / run_folder.MODEL)
    budget = min(BUDGET, tuned.context_length)
    data = EvaluationData.read(dataset, MOST_CONTEXTS, tuned.vocabulary.encode, budget)
    models = BotModels(from_environment(Volumes).models(bot.name))
    evaluation = Evaluation(contexts=len(data.contexts), current_id=models.current_id())
    if evaluation.contexts < FEWEST_CONTEXTS:
        logger().warning(f"{dataset}: only {evaluation.contexts} held-out answers: not measured")
    else:
        _measure(evaluation, bot, folder, tuned, data)
        page = Environment(autoescape=True, trim_blocks=True, undefined=StrictUndefined)
        template = page.from_string(TEMPLATE.read_text(encoding="utf-8"))
        write_whole(folder / run_folder.REPORT, template.render(run=run, evaluation=evaluation))
    write_model(folder / run_folder.EVALUATION, evaluation)
    return evaluation


def _measure(
    evaluation: Evaluation, bot: BotFile, folder: Path, tuned: LanguageModel, data: EvaluationData
) -> None:
    """Measure likelihood, then replies: whose they seem to be, how they look, what they copy."""
    scores, groups = score(tuned, data.contexts), group_contexts(data.contexts)
    evaluation.tuned = scores.likelihood
    _measure_hits(evaluation, "tuned", tuned, groups)
    learned = set(map(tuple, data.persona))
    is_new = [context.answer.messages not in learned for context in data.contexts]
    if any(is_new) and not all(is_new):
        evaluation.unseen = scores.only(is_new).likelihood
    volumes, sampling = from_environment(Volumes), bot.section("sampling", Sampling)
    _compare_with_current(evaluation, BotModels(volumes.models(bot.name)), scores, data, groups)
    replies = generate_replies(folder / run_folder.CONVERTED, tuned, data.contexts, sampling)
    _measure_replies(evaluation, replies, bot.section("moderation", Policy))
    answers: text_figures.Answers = {"tuned": [reply.messages for reply in replies]}
    base = load_model(find_base(run_folder.read_run(folder).base, volumes))
    evaluation.base = score(base, data.contexts).likelihood
    _measure_hits(evaluation, "base", base, groups)
    with TemporaryDirectory() as converted:
        export(base, Path(converted), 8)
        short = min(sampling.max_new_tokens, BASE_TOKENS)
        sampling = sampling.model_copy(update={"max_new_tokens": short})
        replies = generate_replies(Path(converted), base, data.contexts, sampling)
    answers["base"] = [reply.messages for reply in replies]
    answers["real"] = [context.answer.messages for context in data.contexts]
    _measure_texts(evaluation, answers, data, tuned.vocabulary.encode)


def _compare_with_current(
    evaluation: Evaluation, models: BotModels, tuned: Scores, data: EvaluationData,
    groups: Sequence[Group],
) -> None:  # fmt: skip
    """Score the version that serves now on the same contexts, or note why that is not possible."""
    version = evaluation.current_id
    if version is None:
        return
    try:
        if read_manifest(models.path(version)).prompt_format is not PromptFormat.TURNS_1:
            raise Refusal(f"{version} has prompts of its own")
        model = load_model(models.path(version))
        encode, budget = model.vocabulary.encode, min(BUDGET, model.context_length)
        if not all(context.fits(encode, budget) for context in data.contexts):
            raise Refusal(f"{version} cannot read all answers whole")
    except Refusal as refusal:
        evaluation.notes.append(f"not compared: {refusal}")
        return
    scores = score(model, data.contexts)
    evaluation.current = scores.likelihood
    evaluation.against_current = tuned.gain_over(scores)
    _measure_hits(evaluation, "current", model, groups)


def _measure_hits(
    evaluation: Evaluation, name: str, model: LanguageModel, groups: Sequence[Group]
) -> None:
    if (hits := hits_at_1(model, groups)) is not None:
        evaluation.hits[name] = hits


def _measure_replies(evaluation: Evaluation, replies: list[Reply], policy: Policy) -> None:
    moderator = Moderator(policy)
    verdicts = [moderator.check(reply.messages) for reply in replies]
    stopped = Counter((each.category, each.action) for each in verdicts if each.category)
    evaluation.cut = sum(reply.is_cut for reply in replies) / len(replies)
    evaluation.empty = sum(not reply.messages for reply in replies) / len(replies)
    evaluation.moderated = stopped.total() / len(replies)
    evaluation.moderated_by = {
        f"{category} {action}": count / len(replies)
        for (category, action), count in sorted(stopped.items())
    }


def _measure_texts(
    evaluation: Evaluation, answers: text_figures.Answers, data: EvaluationData, encode: Encode
) -> None:
    """Compare replies with what was learned, beside the real answers and those of the base."""
    evaluation.attribution, notes = text_figures.attribute(answers, data)
    evaluation.notes += notes
    for name, group in answers.items():
        evaluation.style_distance[name] = text_figures.style_distance(group, data.persona)
    compared = {name: answers[name] for name in ("tuned", "real")}
    evaluation.memorised = text_figures.memorised(compared, data.learned, encode)
    evaluation.diversity = text_figures.diversity(answers["tuned"], answers["real"])
    asked = [context.turns[-1].text for context in data.contexts]
    texts = {name: ["\n".join(each) for each in group] for name, group in answers.items()}
    evaluation.unknown_words = text_figures.unknown_words(texts, asked, data.learned)
    evaluation.relevance, evaluation.relevance_judge = relevance(texts, asked, data.pairs)
    for figure, why in ABSENT.items():
        if not getattr(evaluation, figure):
            evaluation.notes.append(f"no {figure.replace('_', ' ')}: {why}")
    if evaluation.relevance_judge.get("all", 1.0) < LEAST:
        evaluation.notes.append("relevance says little: its judge tells real answers badly")
    step = max(1, evaluation.contexts // EXAMPLES)
    for index in range(0, evaluation.contexts, step)[:EXAMPLES]:
        example = {name: list(group[index]) for name, group in answers.items()}
        context = [turn.text for turn in data.contexts[index].turns[-3:]]
        evaluation.examples.append({"context": context, **example})


def report_figures(report: JobReport, evaluation: Evaluation | None) -> None:
    """
    bits_per_character               of what the persona really said
    hits_at_1                        how often the model picks the real answer among ten, 0 to 1
    relevance_tuned                  how much the replies belong to what they answer, 0 to 1
    relevance_real                   how much the persona's real answers do, the ceiling
    relevance_shuffled               how much answers to something else do, the floor
    unknown_words_share              share of replies with a Russian word that nobody knows
    memorised_share                  share of replies with eight tokens in a row from the data
    attribution_tuned                how much the replies resemble the persona's, 0 to 1
    attribution_real                 how much the persona's real answers resemble it
    attribution_base                 how much the base model's replies resemble it
    attribution_others               how much other people's real answers resemble it
    """
    report.gauges("Of the last evaluated run, on the held-out part.", figures(evaluation))


def _compared_evaluation(folder: Path, models: BotModels) -> Evaluation | None:
    """Return the evaluation if it compares with the version that serves, or that is this run's."""
    evaluation = read_evaluation(folder)
    if evaluation is None:
        return None
    is_compared = evaluation.current_id == models.current_id()
    return evaluation if is_compared or run_folder.served(folder, models) else None


def main(
    bot: BotOption,
    run: RunOption = None,
    dataset: DatasetOption = None,
    skip_unchanged: SkipOption = False,
) -> None:
    """Measure whether a converted run answers, and how well it sounds like its persona."""
    with job("evaluation", bot, skip_unchanged) as context:
        file, volumes = context.bot, context.volumes
        folder, source = run or volumes.run(file.name), dataset or volumes.dataset(file.name)
        sections = file.section("sampling", Sampling), file.section("moderation", Policy)
        evaluation = context.make_if_changed(
            folder / "evaluation.made-from",
            (
                folder / run_folder.MODEL,
                folder / run_folder.CONVERTED,
                dataset_sha256(source),
                read_card(source).persona,
                *sections,
            ),
            read=lambda: _compared_evaluation(folder, BotModels(volumes.models(file.name))),
            make=lambda: evaluate(file, folder, source),
        )
        report_figures(context.report, evaluation)
        measured = {k: v for k, v in figures(evaluation).items() if v is not None}
        logger().info("evaluated", bot=file.name, folder=str(folder), **measured)


app = job_app(main)

if __name__ == "__main__":
    app()
