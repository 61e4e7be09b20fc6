"""Evaluation and the gate: what is measured, and what it keeps from being published."""

import json
import math
import re
import shutil
from pathlib import Path

import pytest
import torch
from click.testing import Result
from typer.testing import CliRunner

from contracts.dataset import HELDOUT, read_records
from contracts.model_version import BotModels
from contracts.refusal import Refusal
from contracts.turn import Role, Turn
from moderation.policy import Level, Policy
from tests.conftest import BOT, Toy
from tests.telemetry.pushgateway import pushgateway
from training_jobs.convert import converted_losses
from training_jobs.evaluate import _compare_with_current, _measure_replies, app
from training_jobs.evaluation import text_figures
from training_jobs.evaluation.contexts import (
    Context,
    EvaluationData,
    Messages,
    Scores,
    select_contexts,
)
from training_jobs.evaluation.replies import Reply
from training_jobs.evaluation.results import Estimate, Evaluation, Hits, mean, ratio
from training_jobs.hardware import detect_hardware
from training_jobs.language_model import load_model
from training_jobs.loss import document_losses
from training_jobs.publish import publish
from training_jobs.quality_gate import objections
from training_jobs.run_folder import EVALUATION, REPORT, Conversion


def evaluate(toy: Toy, run: Path, **environment: str) -> Result:
    """Run the command with the run's folder as the volume of data."""
    command = ["--bot", str(toy.bot_file), "--run", str(run), "--dataset", str(toy.dataset)]
    volumes = {"MODELS_DIR": str(toy.models_dir), "DATA_DIR": str(run.parent)}
    return CliRunner().invoke(app, command, env={**volumes, **environment})


@pytest.fixture(scope="module")
def evaluated(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy's run, evaluated; a version of it serves already."""
    run = shutil.copytree(toy.run, tmp_path_factory.mktemp("evaluated") / "run")
    result = evaluate(toy, run)
    assert result.exit_code == 0, result.output
    return run


def read(run: Path, **changes: object) -> Evaluation:
    return Evaluation.model_validate({**json.loads((run / EVALUATION).read_text()), **changes})


def test_the_evaluation_says_how_well_it_imitates_and_what_it_copies(
    toy: Toy, evaluated: Path
) -> None:
    done = read(evaluated)
    assert done.contexts == sum(1 for _ in read_records(toy.dataset / HELDOUT))
    assert done.tuned
    bits = done.tuned.bits_per_character
    assert bits.low <= bits.value <= bits.high
    assert done.current_id == toy.manifest.id
    assert done.current
    assert done.current.bits_per_character == bits  # it is the same model
    assert done.against_current == Estimate(0.0, 0.0, 0.0)
    assert done.hits.keys() == {"tuned", "base", "current"}
    assert done.hits["current"] == done.hits["tuned"]
    assert done.hits["tuned"].relative.value > done.hits["base"].relative.value
    assert done.attribution["others"].value < 0.2 < 0.8 < done.attribution["real"].value
    assert done.attribution.keys() == {"tuned", "real", "base", "others"}
    assert done.notes == ["no relevance: fewer than 500 answers to learn from"]
    assert done.style_distance["real"] < 0.2
    assert done.memorised["real"].value == 14 / 16  # the same ones again and again, most are long
    assert 0 <= done.empty <= 1
    page = (evaluated / REPORT).read_text()
    assert "<polyline" in page
    assert "Side by side" in page
    assert "http" not in page


def ords(text: str) -> list[int]:
    return [*map(ord, text)]


def contexts(toy: Toy, budget: int = 200) -> list[Context]:
    records = read_records(toy.dataset / HELDOUT)
    return select_contexts(records, most=9, encode=ords, budget=budget)


def test_document_losses_are_those_of_the_plain_model_and_of_the_converted_one(toy: Toy) -> None:
    tuned = load_model(toy.run / "model")
    documents = [each.document(tuned.vocabulary, 100) for each in contexts(toy)]
    losses = document_losses(tuned.model, documents, detect_hardware("fp32"))
    for document, loss in zip(documents, losses, strict=True):
        with torch.no_grad():
            logs = tuned.model(input_ids=torch.tensor([document.ids])).logits[0].log_softmax(-1)
        places = [i for i in range(1, len(document.ids)) if document.loss_mask[i]]
        wanted = -sum(float(logs[i - 1, document.ids[i]]) for i in places)
        assert loss == pytest.approx(wanted, rel=1e-4)
        assert document.loss_tokens == len(places)
    converted = converted_losses(toy.run / "openvino", documents)
    assert sum(converted) == pytest.approx(sum(losses), rel=0.05)


def test_contexts_are_spread_over_the_held_out_part(toy: Toy) -> None:
    data = EvaluationData.read(toy.dataset, most=4, encode=ords, budget=200)
    assert len(data.contexts) == 4
    assert data.contexts[0].answer == next(read_records(toy.dataset / HELDOUT)).turns[-1]


def test_replies_that_moderation_stops_are_counted_by_category_and_action() -> None:
    texts = (["ну хуйня"], ["пиз", "дец"], ["заходи на https://x.ru"], ["привет"])
    evaluation = Evaluation(contexts=4)
    _measure_replies(evaluation, [Reply(text, False) for text in texts], Policy(link=Level.STRICT))
    assert evaluation.moderated == 0.75
    assert evaluation.moderated_by == {"link blocked": 0.25, "profanity masked": 0.5}
    assert "replies, profanity masked: 50.0%" in evaluation.lines()


def test_some_answers_can_be_measured_by_themselves() -> None:
    scores = Scores([2.0, 4.0, 9.0], [1, 2, 3], [2, 4, 6]).only([True, False, True])
    assert scores == Scores([2.0, 9.0], [1, 3], [2, 6])


def test_answers_that_a_model_would_see_cut_are_left_out(toy: Toy) -> None:
    lengths = [len(each.answer.text) for each in contexts(toy)]
    chosen = contexts(toy, budget=2 * min(lengths) + 4)
    assert max(len(each.answer.text) for each in chosen) == min(lengths) < max(lengths)


def test_a_version_that_would_see_answers_cut_is_not_compared(toy: Toy) -> None:
    emoji = Turn(speaker="p", role=Role.PERSONA, messages=("🙂" * 100,))  # four tokens each
    data = EvaluationData([Context(contexts(toy)[0].turns, emoji)], [], [], [], [], [])
    evaluation = Evaluation(contexts=1, current_id=toy.manifest.id)
    _compare_with_current(evaluation, toy.models, Scores([], [], []), data, [])
    assert evaluation.notes == [f"not compared: {toy.manifest.id} cannot read all answers whole"]
    assert evaluation.current is None


def test_a_whole_chat_has_nobody_to_be_told_from(toy: Toy, tmp_path: Path) -> None:
    chat = shutil.copytree(toy.dataset, tmp_path / "chat")
    card = json.loads((chat / "dataset.json").read_text())
    (chat / "dataset.json").write_text(json.dumps({**card, "persona": "whole-chat"}))
    found, [note] = text_figures.attribute({}, EvaluationData.read(chat, 4, ords, 200))
    assert (found, "everybody is the persona" in note) == ({}, True)


def test_intervals_narrow_with_more_contexts() -> None:
    few, many = mean([0.0, 1.0] * 10), mean([0.0, 1.0] * 500)
    assert few.value == many.value == 0.5
    assert few.low < many.low < 0.5 < many.high < few.high
    assert ratio([2.0, 4.0], [1.0, 2.0]).value == 2.0


def test_style_sees_length_case_and_marks() -> None:
    row = text_figures.features(["Привет!", "как дела… 🚌"])
    assert row["messages"] == 2
    assert row["exclamation"] == row["ellipsis"] == row["emoji"] == 1.0
    assert row["lower-case start"] == 0.0
    calm, loud = [["да."], ["нет."]], [["ДА!!!"], ["НЕТ!!!"]]
    assert text_figures.style_distance(calm, calm) == 0.0
    assert text_figures.style_distance(calm, loud) > 0.3
    assert text_figures.features(loud[0])["upper-case share"] == 1.0


def test_a_classifier_tells_two_voices_apart_if_it_has_enough_of_both() -> None:
    ours: list[Messages] = [[f"ну смотри, дружище {n}))", "да"] for n in range(60)]
    theirs: list[Messages] = [[f"Здравствуйте! Вопрос {n}."] for n in range(60)]
    answers: text_figures.Answers = {"tuned": [["ну смотри))"], []], "real": [["ну смотри))"]]}
    found, notes = text_figures.attribute(answers, EvaluationData([], [], [], ours, theirs, theirs))
    assert found["others"].value < 0.2 < 0.8 < found["real"].value
    assert notes == []
    [note] = text_figures.attribute(answers, EvaluationData([], [], [], ours, ours, ours))[1]
    assert "attribution says little" in note
    assert (
        text_figures.attribute(answers, EvaluationData([], [], [], ours, theirs[:5], []))[0] == {}
    )


def test_eight_tokens_in_a_row_of_what_was_learned_are_a_repetition() -> None:
    answers: text_figures.Answers = {
        "tuned": [["щбвгдежзиц"], ["бвгд", "ежзи"]],
        "real": [["щбвгдежз"]],
    }
    found = text_figures.memorised(answers, ["ладно", "абвгдежзий"], ords)
    assert {name: each.value for name, each in found.items()} == {"tuned": 0.5, "real": 0.0}
    assert text_figures.distinct_share(["а б а б", "а б"], 2) == 2 / 4


FINE = Conversion(precision="int8", perplexity_drift=0.002)
FEW, MANY = (
    Hits(contexts=50, relative=Estimate(at, at - 0.1, at + 0.1), plain=Estimate(0, 0, 0))
    for at in (0.1, 0.5)
)
NO_ANSWERS: dict[str, dict[str, Hits]] = {"hits": {"tuned": FEW, "current": MANY}}
COPIES = {"memorised": {"tuned": Estimate(0.6, 0.5, 0.7), "real": Estimate(0.1, 0.05, 0.2)}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"against_current": Estimate(-0.2, -0.3, -0.1)}, "worse than .* by 0.200 bits"),
        (NO_ANSWERS, "picks the real answer among ten less often"),
        (COPIES, "60% of its replies repeat"),
        ({"current_id": "other"}, "serves now; run training_jobs.evaluate again"),
    ],
)
def test_the_gate_names_the_number_that_is_against_it(
    toy: Toy, evaluated: Path, changes: dict[str, object], words: str
) -> None:
    assert list(objections(FINE, read(evaluated), toy.manifest.id)) == []
    [against] = objections(FINE, read(evaluated, **changes), toy.manifest.id)
    assert re.search(words, against)


def test_picks_among_few_answers_are_no_objection(toy: Toy, evaluated: Path) -> None:
    hits = {
        name: each.model_copy(update={"contexts": 40}) for name, each in NO_ANSWERS["hits"].items()
    }
    assert list(objections(FINE, read(evaluated, hits=hits), toy.manifest.id)) == []


def test_what_forgets_more_is_no_worse_than_the_version_that_has_to_go(
    toy: Toy, evaluated: Path
) -> None:
    worse = read(evaluated, **NO_ANSWERS, against_current=Estimate(-0.2, -0.3, -0.1))
    assert len([*objections(FINE, worse, toy.manifest.id)]) == 2
    assert [*objections(FINE, worse, toy.manifest.id, forgets_more=True)] == []
    copies = read(evaluated, **COPIES)
    assert len([*objections(FINE, copies, toy.manifest.id, forgets_more=True)]) == 1


def test_a_current_version_that_cannot_be_loaded_is_noted(
    toy: Toy, evaluated: Path, tmp_path: Path
) -> None:
    models = shutil.copytree(toy.models_dir, tmp_path / "models", symlinks=True)
    (models / BOT / "current" / "model.safetensors").write_bytes(b"broken")
    run = shutil.copytree(evaluated, tmp_path / "run")
    assert evaluate(toy, run, MODELS_DIR=str(models)).exit_code == 0
    assert (read(run).current, read(run).current_id) == (None, toy.manifest.id)
    assert "weights cannot be loaded" in read(run).notes[0]


def test_a_drift_of_the_converted_model_is_refused_and_force_is_recorded(
    evaluated: Path, tmp_path: Path
) -> None:
    run = shutil.copytree(evaluated, tmp_path / "run")
    drifted = Conversion(precision="int4", perplexity_drift=0.04)
    (run / "conversion.json").write_text(drifted.model_dump_json())
    models = BotModels(tmp_path / BOT)
    with pytest.raises(Refusal, match=r"\+4\.0% .*--force"):
        publish(BOT, run, models)
    assert models.current_id() is None
    manifest = publish(BOT, run, models, force=True)
    assert any(note.startswith("published by force") for note in manifest.notes)
    assert EVALUATION in manifest.files


def test_no_words_of_the_chat_are_published(toy: Toy, evaluated: Path, tmp_path: Path) -> None:
    models = BotModels(tmp_path / BOT)
    version = models.path(publish(BOT, evaluated, models, compared=False).id)
    report = (evaluated / REPORT).read_text()
    real = {context.answer.messages[0] for context in contexts(toy)}
    real = {answer for answer in real if answer in report}
    assert real
    published = b"".join(path.read_bytes() for path in version.rglob("*") if path.is_file())
    for answer in real:  # JSON may escape it
        assert answer.encode() not in published
        assert json.dumps(answer).strip('"').encode() not in published


def test_what_cannot_be_evaluated_is_refused(toy: Toy, tmp_path: Path) -> None:
    run = shutil.copytree(toy.run, tmp_path / "run")
    shutil.rmtree(run / "openvino")
    result = evaluate(toy, run)
    assert (result.exit_code, "not converted yet" in result.stderr) == (2, True)
    summary = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**summary, "dataset_sha256": "other"}))
    assert "was not trained on" in evaluate(toy, run).stderr


def test_too_few_held_out_answers_are_noted_and_stop_nothing(
    toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training_jobs.evaluate.FEWEST_CONTEXTS", 1000)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    run = shutil.copytree(toy.run, tmp_path / "run")
    with pushgateway() as gateway:
        assert evaluate(toy, run, PUSHGATEWAY_URL=gateway.url).exit_code == 0
    pushed = gateway.pushed[-1][2]
    assert "persona_evaluation_last_success_timestamp_seconds" in pushed
    assert math.isnan(pushed["persona_evaluation_bits_per_character"])
    models = BotModels(tmp_path / BOT)
    [note] = publish(BOT, run, models).notes
    assert note == f"not judged: only {read(run).contexts} held-out answers"
    assert note in (models.path(models.current_id() or "") / "README.md").read_text()
