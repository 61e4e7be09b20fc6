"""The sample chats: the same each time, large enough, and with all that a real export holds."""

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
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


def texts(messages: list[Message]) -> Iterator[str]:
    return (message.text for message in messages if message.text)


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


def test_a_sample_is_as_large_as_training_needs(messages: list[Message]) -> None:
    assert len(messages) >= 4000


@pytest.mark.parametrize(("bot", "persona"), PERSONAS.items())
def test_a_sample_gives_enough_different_persona_messages(
    exports: Path, tmp_path: Path, bot: str, persona: str
) -> None:
    source = exports / bot / "exports" / "result.json"
    card = build(bot, ExtractionConfig(persona=persona), source, tmp_path)
    assert card.distinct_persona_messages >= 800
    assert card.heldout_records >= 100
    assert card.warnings == ()


@pytest.mark.parametrize(
    "occurs",
    [
        pytest.param(lambda entry: "reply_to_message_id" in entry, id="reply"),
        pytest.param(lambda entry: "edited_unixtime" in entry, id="edit"),
        pytest.param(lambda entry: "forwarded_from" in entry, id="forward"),
        pytest.param(lambda entry: entry.get("media_type") == "sticker", id="sticker"),
        pytest.param(lambda entry: "photo" in entry and entry["text"], id="photo with caption"),
        pytest.param(lambda entry: isinstance(entry["text"], list), id="text with entities"),
        pytest.param(lambda entry: "reactions" in entry, id="reaction"),
        pytest.param(lambda entry: entry["type"] == "service", id="service message"),
        pytest.param(lambda entry: entry.get("from", "") is None, id="deleted account"),
        pytest.param(
            lambda entry: max(str(entry["text"]), default="") > "\uffff", id="emoji beyond the BMP"
        ),
    ],
)
def test_a_sample_has_what_real_exports_have(
    entries: list[Entry], occurs: Callable[[Entry], object]
) -> None:
    assert sum(bool(occurs(entry)) for entry in entries) >= 10


def test_a_sample_has_bursts(messages: list[Message]) -> None:
    assert any(
        (before.sender, before.chat) == (after.sender, after.chat)
        for before, after in pairwise(messages)
    )


def test_a_sample_has_some_profanity_and_not_much(messages: list[Message]) -> None:
    moderator = Moderator(Policy())
    profane = sum(moderator.check(text).category != "" for text in texts(messages))
    assert 1 <= profane <= len(messages) / 50


def test_a_sample_has_no_open_slots_or_stray_blanks(messages: list[Message]) -> None:
    bad = ("{", "}", "  ", "//")
    assert [text for text in texts(messages) if any(mark in text for mark in bad)] == []
    assert [text for text in texts(messages) if text != text.strip()] == []


def test_replies_answer_an_earlier_message_of_their_chat(messages: list[Message]) -> None:
    seen = set()
    for message in messages:
        seen.add((message.chat, message.id))
        assert message.reply_to is None or message.reply_to < message.id
        assert message.reply_to is None or (message.chat, message.reply_to) in seen


def test_a_chats_ids_and_times_rise(messages: list[Message]) -> None:
    for before, after in pairwise(messages):
        assert before.chat != after.chat or (before.id < after.id and before.at <= after.at)
