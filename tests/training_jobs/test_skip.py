"""The steps of learning, by their command lines: the second time they do nothing."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from extraction_jobs import build_dataset
from tests.conftest import BOT, Toy
from training_jobs import convert, evaluate, finetune, publish

APPS = (build_dataset.app, finetune.app, convert.app, evaluate.app, publish.app)
SETTINGS = """\
name: avtobus
extraction: {persona: Автобус}
training: {base: scratch, max_steps: 2, block_tokens: 64, weights: int8}
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
    file.write_text(SETTINGS, encoding="utf-8")
    return file


def learn(bot: Path) -> list[bool]:
    """Whether each step did nothing."""
    skipped = []
    for app in APPS:
        done = CliRunner().invoke(app, ["--bot", str(bot), "--skip-unchanged"])
        assert done.exit_code == 0, done.stderr
        skipped.append('"unchanged"' in done.stderr)
    return skipped


def test_a_step_whose_inputs_have_not_changed_is_skipped(bot: Path) -> None:
    assert learn(bot) == [False] * 5
    assert learn(bot) == [True] * 5
    bot.write_text(SETTINGS + "gateway: {names: [автобус]}\n", encoding="utf-8")
    assert learn(bot) == [True] * 5
    bot.write_text(SETTINGS + "sampling: {temperature: 0.5}\n", encoding="utf-8")
    assert learn(bot) == [True, True, True, False, False]
    bot.write_text(SETTINGS.replace("max_steps: 2", "max_steps: 3"), encoding="utf-8")
    assert learn(bot) == [True, False, False, False, False]
