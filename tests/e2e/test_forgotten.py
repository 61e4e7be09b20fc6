"""One person's words on their way through the whole system, until nothing holds them any more."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tokenizers.pre_tokenizers import ByteLevel
from typer.testing import CliRunner

from contracts.forget import read
from contracts.model_version import BotModels, Serving
from contracts.refusal import Refusal
from extraction_jobs import build_dataset
from services.gateway import backup
from tests.conftest import BOT
from tests.services.gateway.conftest import World, servers, world  # noqa: F401 (fixtures)
from tests.services.gateway.generation import candidate
from tests.services.gateway.telegram import group, private
from tests.tiny_base import make_model
from training_jobs import convert, evaluate, finetune, publish

WORD = "тайнопись"
LIST = f"data/{BOT}/forget/forget.jsonl"
APPS = (build_dataset.app, finetune.app, convert.app, evaluate.app, publish.app)
SETTINGS = f"""\
name: {BOT}
extraction: {{persona: Автобус}}
training: {{base: BASE, max_steps: 2, block_tokens: 64, weights: int8}}
"""
TALK = (("Нина", 7), f"где моя {WORD}?"), (("Борис", 8), "Долго стоим?"), (("Автобус", 2), "Едем.")


def export() -> dict[str, object]:
    messages = [
        {
            "id": 3 * number + place,
            "type": "message",
            "date_unixtime": str(1_735_725_600 + 7200 * number + 20 * place),
            "from": name,
            "from_id": f"user{user}",
            "text": f"{text} {number}",
        }
        for number in range(60)
        for place, ((name, user), text) in enumerate(TALK)
    ]
    return {"name": "Автобус", "type": "private_group", "id": 7, "messages": messages}


@pytest.fixture
def volumes(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:  # noqa: F811
    """All volumes in one folder, with an export; the gateway's is among them."""
    root = tmp_path / "volumes"
    folders = {"DATA_DIR": "data", "MODELS_DIR": "models", "GATEWAY_DATA_DIR": "gateway"}
    for name, folder in folders.items():
        monkeypatch.setenv(name, str(root / folder))
    monkeypatch.setenv("BOT", BOT)
    stored = root / "data" / BOT / "exports" / "result.json"
    stored.parent.mkdir(parents=True)
    stored.write_text(json.dumps(export(), ensure_ascii=False), encoding="utf-8")
    make_model([text for _, text in TALK if WORD not in text] * 20).save(tmp_path / "base")
    settings = SETTINGS.replace("BASE", str(tmp_path / "base"))
    (tmp_path / "bot.yaml").write_text(settings, encoding="utf-8")
    places = {"gateway_data_dir": root / "gateway", "forget_dir": (root / LIST).parent}
    world.settings = world.settings.model_copy(update=places)
    return root


def run(app: object, *arguments: object) -> str:
    done = CliRunner().invoke(app, [str(each) for each in arguments])  # type: ignore[arg-type]
    assert done.exit_code == 0, done.output
    return done.output


def learn(bot: Path) -> str:
    return "".join(run(app, "--bot", bot, "--skip-unchanged") for app in APPS)


def holders(root: Path, word: str) -> set[str]:
    """Return the files that hold the word, in any way in which one of ours writes it."""
    [(as_tokens, _)] = ByteLevel(add_prefix_space=False).pre_tokenize_str(word)
    forms = [each.encode() for each in (word, json.dumps(word).strip('"'), as_tokens)]

    def found() -> Iterator[Path]:
        for path in root.rglob("*"):
            if path.is_file() and any(form in path.read_bytes() for form in forms):
                yield path

    return {path.relative_to(root).as_posix() for path in found()}


async def test_after_forgetme_and_the_next_version_nothing_holds_a_persons_words(
    world: World,  # noqa: F811
    volumes: Path,
    tmp_path: Path,
) -> None:
    models, bot = BotModels(volumes / "models" / BOT), tmp_path / "bot.yaml"
    world.generation.candidates = [candidate("Едем.")]
    with capture_logs() as logged:
        output = learn(bot)
        old = models.current_id() or ""
        async with world.gateway():
            now = datetime.now(UTC)
            await world.ask(
                private(f"где моя {WORD}?", date=now.timestamp()),
                group(f"автобус, где моя {WORD}?", date=now.timestamp()),
            )
            output += run(backup.app, "save", volumes / "backups")
            before = holders(volumes, WORD)
            await world.ask(private("/forgetme", date=now.timestamp()))
        [entry] = read(volumes / LIST)
        output += learn(bot)
    places = {"/".join(path.split("/")[:3]) for path in before}
    assert {f"data/{BOT}/exports", f"data/{BOT}/dataset", f"data/{BOT}/run"} <= places
    assert any(place.startswith(f"gateway/{BOT}/gateway.sqlite3") for place in places)
    assert f"backups/{BOT}/{datetime.now(UTC):%F}" in places
    assert WORD not in output + str(logged)

    copies = {path for path in before if path.startswith("backups/")}
    assert holders(volumes, WORD) == copies
    assert models.current_id() != old
    assert models.forgets_until(models.current_id()) == entry.at
    with pytest.raises(Refusal, match="asked to be forgotten"):
        models.roll_back()
    now = datetime.now(UTC)
    serving = Serving(version=models.current_id() or "", at=now.timestamp())
    assert models.prune(now + timedelta(hours=25), serving) == [old]
    backup.expire(volumes / "backups" / BOT, [f"{datetime.now(UTC):%F}"])
    assert holders(volumes, WORD) == set()
    assert holders(volumes, entry.names[0]) == {LIST}  # an id and a name, so that it stays so
