"""The steps of learning, by their command lines: the second time they do nothing."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from contracts.forget import Forgotten, append
from contracts.model_version import BotModels
from extraction_jobs import build_dataset
from tests.conftest import BOT, Toy
from tests.training_jobs.conftest import EXTRA_ROWS, write_gpt2
from training_jobs import convert, evaluate, finetune, publish

APPS = (build_dataset.app, finetune.app, convert.app, evaluate.app, publish.app)
SETTINGS = """\
name: avtobus
extraction: {persona: Автобус}
training: {base: BASE, max_steps: 2, block_tokens: 64, weights: auto}
"""


@pytest.fixture
def bot(toy: Toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bot's file, on volumes of its own."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("MODELS_DIR", str(tmp_path / "models"))
    exports = tmp_path / "data" / BOT / "exports"
    exports.mkdir(parents=True)
    os.link(toy.export, exports / "result.json")
    file = tmp_path / "avtobus.yaml"
    base = write_gpt2(tmp_path / "base", extra_rows=EXTRA_ROWS)
    file.write_text(SETTINGS.replace("BASE", str(base)), encoding="utf-8")
    return file


def learn(bot: Path) -> list[bool]:
    """Whether each step did nothing."""
    skipped = []
    for app in APPS:
        done = CliRunner().invoke(app, ["--bot", str(bot), "--skip-unchanged"])
        assert done.exit_code == 0, done.stderr
        if app is finetune.app:
            assert all(name in done.stderr for name in ("train_loss", "heldout_perplexity"))
        skipped.append('"unchanged"' in done.stderr)
    return skipped


def test_a_step_whose_inputs_have_not_changed_is_skipped(bot: Path, tmp_path: Path) -> None:
    settings = bot.read_text(encoding="utf-8")
    assert learn(bot) == [False] * 5
    assert learn(bot) == [True] * 5
    models = BotModels(tmp_path / "models" / BOT)
    first = models.current_id()
    append(tmp_path / "data" / BOT / "forget" / "forget.jsonl", Forgotten(user_id=5, at=7.0))
    assert learn(bot) == [False, True, True, True, True]  # they wrote nothing
    assert (models.current_id(), models.forgets_until(first)) == (first, 7.0)
    bot.write_text(settings + "gateway: {names: [автобус]}\n", encoding="utf-8")
    assert learn(bot) == [True] * 5
    bot.write_text(settings + "sampling: {temperature: 0.5}\n", encoding="utf-8")
    assert learn(bot) == [True, True, True, False, False]
    bot.write_text(settings.replace("max_steps: 2", "max_steps: 3"), encoding="utf-8")
    assert learn(bot) == [True, False, False, False, False]
