"""The sample chats: the same each time, large enough, and with all that a real export holds."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from contracts.dataset import WHOLE_CHAT
from contracts.settings import Volumes
from extraction_jobs.build_dataset import ExtractionConfig, build
from extraction_jobs.messages import Message
from extraction_jobs.sample_chats.__main__ import main
from extraction_jobs.telegram_json import read_export
from moderation import Moderator, Policy

Entry = dict[str, Any]

PERSONAS = {"avtobus": WHOLE_CHAT, "polkson": "Полксон"}


@pytest.fixture(scope="module")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("samples")
    main(output=folder)
    return folder


@pytest.fixture(scope="module", params=sorted(PERSONAS))
def path(request: pytest.FixtureRequest, exports: Path) -> Path:
    """One bot's export."""
    return exports / str(request.param) / "exports" / "result.json"


@pytest.fixture(scope="module")
def entries(path: Path) -> list[Entry]:
    """Its entries as Telegram writes them."""
    content = json.loads(path.read_bytes())
    chats = content["chats"]["list"] if "chats" in content else [content]
    return [entry for chat in chats for entry in chat["messages"]]


@pytest.fixture(scope="module")
def messages(path: Path) -> list[Message]:
    """The same as the job reads them."""
    return list(read_export(path))


def test_another_process_makes_the_same_bytes_where_the_jobs_look(
    exports: Path, tmp_path: Path
) -> None:
    subprocess.run(
        [sys.executable, "-m", "extraction_jobs.sample_chats"],
        cwd=Path(__file__).parents[2],
        env=os.environ | {"PYTHONHASHSEED": "1", "DATA_DIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    for bot in PERSONAS:
        made = Volumes(data_dir=tmp_path).exports(bot) / "result.json"
        assert made.read_bytes() == (exports / bot / "exports" / "result.json").read_bytes()


def test_avtobus_is_a_single_chat_and_polkson_an_account(exports: Path) -> None:
    avtobus, polkson = (
        json.loads((exports / bot / "exports" / "result.json").read_bytes()) for bot in PERSONAS
    )
    assert avtobus["type"] == "private_supergroup"
    assert [chat["type"] for chat in polkson["chats"]["list"]] == [
        "saved_messages",
        "personal_chat",
        "private_group",
    ]


@pytest.mark.parametrize(("bot", "persona"), PERSONAS.items())
def test_a_sample_gives_enough_different_persona_messages(
    exports: Path, tmp_path: Path, bot: str, persona: str
) -> None:
    source = exports / bot / "exports" / "result.json"
    card = build(bot, ExtractionConfig(persona=persona), source, tmp_path)
    assert card.distinct_persona_messages >= 800
    assert card.heldout_records >= 100
    assert card.warnings == ()


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
def test_a_sample_has_what_real_exports_have(entries: list[Entry], name: str) -> None:
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


def test_a_sample_has_no_open_slots_or_stray_blanks(messages: list[Message]) -> None:
    texts = [message.text for message in messages]
    bad = ("{", "}", "  ", "//")
    assert [text for text in texts if any(mark in text for mark in bad)] == []
    assert [text for text in texts if text != text.strip()] == []


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
