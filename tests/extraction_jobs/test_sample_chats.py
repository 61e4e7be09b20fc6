"""The sample chats: where the jobs look, large enough, and with all that a real export holds."""

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from contracts.dataset import WHOLE_CHAT
from contracts.settings import Volumes
from extraction_jobs.messages import Found, Message
from extraction_jobs.sample_chats.__main__ import app
from extraction_jobs.telegram_json import read
from moderation.moderator import Moderator
from moderation.policy import Policy
from tests.extraction_jobs.conftest import built

Entry = dict[str, Any]

PERSONAS = {"avtobus": WHOLE_CHAT, "polkson": "Полксон"}


@pytest.fixture(scope="module")
def volumes(tmp_path_factory: pytest.TempPathFactory) -> Volumes:
    """With the sample chats' exports where the jobs look."""
    folder = tmp_path_factory.mktemp("samples")
    assert CliRunner(env={"DATA_DIR": str(folder)}).invoke(app).exit_code == 0
    return Volumes(data_dir=folder)


@pytest.fixture(scope="module", params=sorted(PERSONAS))
def path(request: pytest.FixtureRequest, volumes: Volumes) -> Path:
    """One bot's export."""
    return volumes.exports(str(request.param)) / "result.json"


def chats(path: Path) -> list[Entry]:
    """Return the chats as Telegram writes them."""
    content = json.loads(path.read_bytes())
    return list(content["chats"]["list"]) if "chats" in content else [content]


@pytest.fixture(scope="module")
def messages(path: Path) -> list[Message]:
    """The messages as the job reads them."""
    return list(read(path, Found()))


@pytest.mark.parametrize(
    ("bot", "kinds"),
    [
        ("avtobus", ["private_supergroup"]),
        ("polkson", ["saved_messages", "personal_chat", "private_group"]),
    ],
)
def test_avtobus_is_a_single_chat_and_polkson_an_account(
    volumes: Volumes, bot: str, kinds: list[str]
) -> None:
    assert [chat["type"] for chat in chats(volumes.exports(bot) / "result.json")] == kinds


@pytest.mark.parametrize(("bot", "persona"), PERSONAS.items())
def test_a_sample_gives_enough_different_persona_messages(
    volumes: Volumes, tmp_path: Path, bot: str, persona: str
) -> None:
    source = volumes.exports(bot) / "result.json"
    card = built(tmp_path, persona, source)
    assert card.distinct_answers >= 800
    assert card.heldout_records >= 100
    assert all("word for word" in warning for warning in card.warnings)  # they repeat themselves


OCCURS: dict[str, Callable[[Entry], object]] = {
    "reply": lambda entry: "reply_to_message_id" in entry,
    "edit": lambda entry: "edited_unixtime" in entry,
    "forward": lambda entry: "forwarded_from" in entry,
    "sticker": lambda entry: entry.get("media_type") == "sticker",
    "photo with caption": lambda entry: "photo" in entry and entry["text"],
    "text with entities": lambda entry: isinstance(entry["text"], list),
    "reaction": lambda entry: "reactions" in entry,
    "service message": lambda entry: entry["type"] == "service",
    "deleted account": lambda entry: entry.get("from", "") is None,
    "emoji beyond the BMP": lambda entry: max(str(entry["text"]), default="") > "\uffff",
}


@pytest.mark.parametrize("name", OCCURS)
def test_a_sample_has_what_real_exports_have(path: Path, name: str) -> None:
    entries = [entry for chat in chats(path) for entry in chat["messages"]]
    assert sum(bool(OCCURS[name](entry)) for entry in entries) >= 10


def test_a_sample_is_large_and_has_bursts_and_a_little_profanity(messages: list[Message]) -> None:
    assert len(messages) >= 4000
    assert any(
        (before.sender, before.chat) == (after.sender, after.chat)
        for before, after in pairwise(messages)
    )
    moderator = Moderator(Policy())
    profane = sum(moderator.check(message.text).category != "" for message in messages)
    assert 1 <= profane <= len(messages) / 50


def test_ids_and_times_rise_and_replies_answer_an_earlier_message_of_their_chat(
    messages: list[Message],
) -> None:
    seen = set()
    for message in messages:
        seen.add((message.chat, message.id))
        assert message.reply_to is None or message.reply_to < message.id
        assert message.reply_to is None or (message.chat, message.reply_to) in seen
    for before, after in pairwise(messages):
        assert before.chat != after.chat or (before.id < after.id and before.at <= after.at)
