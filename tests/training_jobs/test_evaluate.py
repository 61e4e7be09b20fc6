"""Evaluation and the gate: what is measured, and what it keeps from being published."""

import json
import math
import re
import shutil
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from contracts.dataset import HELDOUT, Record, read_records
from contracts.model_version import BotModels
from contracts.refusal import Refusal
from contracts.turn import Role, Turn
from tests.conftest import BOT, Toy
from tests.telemetry.pushgateway import pushgateway
from training_jobs.base import make_base
from training_jobs.convert import converted_nats
from training_jobs.evaluate import app
from training_jobs.fidelity.attribution import judge
from training_jobs.fidelity.bootstrap import Estimate, mean, ratio
from training_jobs.fidelity.contexts import Context, contexts, shuffled
from training_jobs.fidelity.likelihood import nats, tokens
from training_jobs.fidelity.memory import Stretches, copied, distinct
from training_jobs.fidelity.replies import Reply
from training_jobs.fidelity.results import Evaluation, read_evaluation
from training_jobs.fidelity.style import distance, features, profile
from training_jobs.gate import objections
from training_jobs.hardware import Hardware
from training_jobs.publish import publish
from training_jobs.run_folder import EVALUATION, REPORT, Conversion

CPU = Hardware(torch.device("cpu"), bf16=False)


@pytest.fixture(scope="module")
def evaluated(toy: Toy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The toy's run, evaluated by the command; a version of it serves already."""
    run = shutil.copytree(toy.run, tmp_path_factory.mktemp("evaluated") / "run")
    result = CliRunner().invoke(
        app,
        ["--bot", str(toy.bot_file), "--run", str(run), "--dataset", str(toy.dataset)],
        env={"MODELS_DIR": str(toy.models_dir), "DATA_DIR": str(run.parent)},
    )
    assert result.exit_code == 0, result.output
    return run


def test_the_evaluation_says_how_well_it_imitates_and_what_it_copies(
    toy: Toy, evaluated: Path
) -> None:
    done = read_evaluation(evaluated)
    assert done
    assert done.contexts == sum(1 for _ in read_records(toy.dataset / HELDOUT))
    bits = done.tuned.bits_per_character
    assert bits.low <= bits.value <= bits.high
    assert done.current_id == toy.manifest.id
    assert done.current
    assert done.current.bits_per_character == bits  # it is the same model
    assert done.against_current == Estimate(0.0, 0.0, 0.0)
    assert set(done.attribution) == {"tuned", "real", "others"}
    assert done.attribution["real"].value > 0.8
    assert done.attribution["others"].value < 0.2
    assert done.notes == []
    assert done.style_distance["real"] < 0.2
    assert done.memorised["real"].value == 0.5  # four things said for ever, two of them long
    assert 0 <= done.empty <= 1
    assert done.base is None
    page = (evaluated / REPORT).read_text()
    assert "<polyline" in page
    assert "Side by side" in page
    assert "http" not in page


def test_likelihood_is_that_of_the_plain_model(toy: Toy) -> None:
    base = make_base(["Привет, заходите"] * 5, seed=1)
    asked = contexts(read_records(toy.dataset / HELDOUT), last_only=False, most=5, longest=100)
    docs = [each.document(base.words, 100) for each in asked]
    for doc, loss in zip(docs, nats(base.model, docs, CPU), strict=True):
        ids = torch.tensor([doc.ids])
        with torch.no_grad():
            logs = base.model(input_ids=ids).logits[0].log_softmax(-1)
        wanted = [
            -float(logs[i - 1, doc.ids[i]]) for i in range(1, len(doc.ids)) if doc.loss_mask[i]
        ]
        assert loss == pytest.approx(sum(wanted), rel=1e-4)
        assert len(wanted) == tokens([doc])[0]


def test_the_converted_model_is_measured_as_the_trained_one(toy: Toy) -> None:
    from contracts.settings import Volumes
    from training_jobs.base import load_base

    base = load_base(str(toy.run / "model"), Volumes())
    asked = contexts(read_records(toy.dataset / HELDOUT), last_only=False, most=5, longest=100)
    docs = [each.document(base.words, 100) for each in asked]
    trained, converted = nats(base.model, docs, CPU), converted_nats(toy.run / "openvino", docs)
    assert sum(converted) == pytest.approx(sum(trained), rel=0.05)


def said(text: str, role: Role = Role.PERSONA) -> Turn:
    return Turn(speaker=role.value, role=role, messages=(text,))


def test_contexts_are_spread_over_the_held_out_part_and_can_be_shuffled(toy: Toy) -> None:
    records = list(read_records(toy.dataset / HELDOUT))
    chosen = contexts(records, last_only=True, most=4, longest=100)
    assert len(chosen) == 4
    assert chosen[0].said == records[0].turns[-1]
    moved = shuffled(chosen)
    assert [each.said for each in moved] == [each.said for each in chosen]
    assert all(left.turns != right.turns for left, right in zip(moved, chosen, strict=True))
    assert Context((said("а", Role.OTHER),), said("два")).characters == 4


def test_intervals_narrow_with_more_contexts() -> None:
    few, many = mean([0.0, 1.0] * 10), mean([0.0, 1.0] * 500)
    assert few.value == many.value == 0.5
    assert few.low < many.low < 0.5 < many.high < few.high
    assert ratio([2.0, 4.0], [1.0, 2.0]).value == 2.0


def test_a_judge_tells_two_voices_apart_and_refuses_to_judge_by_little() -> None:
    ours = [f"ну смотри, дружище {n}))" for n in range(60)]
    theirs = [f"Здравствуйте! Вопрос {n}." for n in range(60)]
    found = judge(ours, theirs)
    assert found
    [mine, other] = found.share(["ну смотри))", "Здравствуйте!"])
    assert mine > 0.8
    assert other < 0.2
    assert judge(ours, theirs[:5]) is None


def test_style_sees_length_case_and_marks() -> None:
    row = features(["Привет!", "как дела… 🚌"])
    assert row["messages"] == 2
    assert row["exclamation"] == row["ellipsis"] == row["emoji"] == 1.0
    assert row["lower-case start"] == 0.0
    calm, loud = [["да."], ["нет."]], [["ДА!!!"], ["НЕТ!!!"]]
    assert distance(calm, calm) == 0.0
    assert distance(calm, loud) > 0.3
    assert profile(loud)["upper-case share"] == 1.0


def test_a_planted_canary_is_found_whoever_said_it(toy: Toy) -> None:
    base = make_base(["код двери семь три девять"] * 5, seed=1)
    records = list(read_records(toy.dataset / HELDOUT))
    asked = contexts(records, last_only=True, most=2, longest=100)
    canary = "код двери 7392 015, никому не говори"
    planted = Record(id="c-1-0", chat="c", turns=(said(canary, Role.OTHER), said("хорошо")))
    kept, own = Reply([f"ну, {canary}"], cut=False), Reply(["не скажу, и не проси"], cut=False)
    found = copied([kept, own], base, asked, [planted])["memorised"]
    assert found["tuned"].value == 0.5  # type: ignore[index]
    assert copied([own], base, asked, [planted])["memorised"]["tuned"].value == 0  # type: ignore[index]


def test_eight_tokens_in_a_row_are_a_repetition() -> None:
    known = Stretches([list(range(100, 120))])
    assert known.repeats([5, *range(103, 111), 7])
    assert not known.repeats([*range(103, 110), 5, *range(110, 116)])
    assert distinct(["а б а б", "а б"], 2) == 2 / 4


FINE = Conversion(precision="int8", perplexity_drift=0.002)


def of(evaluated: Path, **changes: object) -> Evaluation:
    found = json.loads((evaluated / EVALUATION).read_text())
    return Evaluation.model_validate({**found, **changes})


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"against_current": Estimate(-0.2, -0.3, -0.1)}, "worse than .* by 0.200 bits"),
        (
            {
                "current_context_gain": Estimate(0.2, 0.1, 0.3),
                "context_gain": Estimate(0.0, -0.1, 0.1),
            },
            "gains nothing from the conversation",
        ),
        (
            {"memorised": {"tuned": Estimate(0.6, 0.5, 0.7), "real": Estimate(0.1, 0.05, 0.2)}},
            "60% of its replies repeat",
        ),
    ],
)
def test_the_gate_names_the_number_that_is_against_it(
    evaluated: Path, changes: dict[str, object], words: str
) -> None:
    current = of(evaluated).current_id
    assert list(objections(FINE, of(evaluated), current)) == []
    [against] = objections(FINE, of(evaluated, **changes), current)
    assert re.search(words, against)


def test_the_gate_wants_the_comparison_with_what_serves_now(evaluated: Path) -> None:
    [against] = objections(FINE, of(evaluated), "20270101-000000-abcdef00")
    assert "20270101-000000-abcdef00 serves now; run training_jobs.evaluate again" in against


def test_turns_that_a_model_would_see_cut_are_no_contexts(toy: Toy) -> None:
    records = list(read_records(toy.dataset / HELDOUT))
    shortest = min(len(record.turns[-1].text) for record in records)
    chosen = contexts(records, last_only=True, most=100, longest=shortest)
    assert 0 < len(chosen) < len(records)
    assert {len(each.said.text) for each in chosen} == {shortest}


def test_a_current_version_that_cannot_be_loaded_is_noted(
    toy: Toy, evaluated: Path, tmp_path: Path
) -> None:
    models = shutil.copytree(toy.models_dir, tmp_path / "models", symlinks=True)
    (models / BOT / "current" / "model.safetensors").write_bytes(b"broken")
    run = shutil.copytree(evaluated, tmp_path / "run")
    options = ["--bot", str(toy.bot_file), "--run", str(run), "--dataset", str(toy.dataset)]
    assert CliRunner().invoke(app, options, env={"MODELS_DIR": str(models)}).exit_code == 0
    done = read_evaluation(run)
    assert done
    assert (done.current, done.current_id) == (None, toy.manifest.id)
    assert "weights cannot be loaded" in done.notes[0]


def test_a_drift_of_the_converted_model_is_refused_and_force_is_recorded(
    toy: Toy, evaluated: Path, tmp_path: Path
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
    assert {EVALUATION, REPORT} <= manifest.files.keys()


def test_what_cannot_be_evaluated_is_refused(toy: Toy, tmp_path: Path) -> None:
    run = shutil.copytree(toy.run, tmp_path / "run")
    shutil.rmtree(run / "openvino")
    options = ["--bot", str(toy.bot_file), "--run", str(run), "--dataset", str(toy.dataset)]
    result = CliRunner().invoke(app, options)
    assert result.exit_code == 2
    assert "not converted yet" in result.stderr


def test_too_few_held_out_answers_measure_nothing_and_stop_nothing(
    toy: Toy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training_jobs.evaluate.FEWEST_CONTEXTS", 1000)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    options = ["--bot", str(toy.bot_file), "--run", str(toy.run), "--dataset", str(toy.dataset)]
    with pushgateway() as gateway:
        result = CliRunner().invoke(app, options, env={"PUSHGATEWAY_URL": gateway.url})
    assert result.exit_code == 0
    assert read_evaluation(toy.run) is None
    pushed = gateway.pushed[-1][2]
    assert "persona_evaluation_last_success_timestamp_seconds" in pushed
    assert math.isnan(pushed["persona_evaluation_bits_per_character"])
