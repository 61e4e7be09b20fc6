"""Telegram Desktop's JSON, with the oddities of ten years of exports."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from contracts.refusal import Refusal
from extraction_jobs.messages import Chat, Message
from extraction_jobs.telegram_json import read_export
from tests.extraction_jobs.conftest import Entry, Save, chat, entry

Read = Callable[[object], list[Message]]


@pytest.fixture
def read(save: Save) -> Read:
    return lambda content: list(read_export(save(content)))


def without(raw: Entry, *fields: str) -> Entry:
    return {name: value for name, value in raw.items() if name not in fields}


def test_a_single_chat_gives_its_messages_in_order(read: Read) -> None:
    kitchen, noon = Chat("77", "Kitchen"), datetime(2025, 1, 1, 12, tzinfo=UTC)
    assert read(chat(entry(1, minute=120), entry(2, "Boris", "hi", minute=120))) == [
        Message(kitchen, 1, noon, "message", "user5012345671", "Anna", "message 1"),
        Message(kitchen, 2, noon, "message", "user5012345672", "Boris", "hi"),
    ]


def test_an_account_gives_its_chats_and_those_it_left(read: Read) -> None:
    account = {
        "about": "Here is the data you requested.",
        "personal_information": {"user_id": 9, "first_name": "Anna", "id": 8, "name": "Me"},
        "frequent_contacts": {"list": [{"id": 5, "type": "user", "name": "Boris"}]},
        "chats": {
            "about": "This page lists all chats.",
            "list": [
                chat(entry(1), entry(2), name="Boris", type="personal_chat", id=5),
                without(chat(entry(1), type="saved_messages", id=9), "name"),
            ],
        },
        "left_chats": {"list": [chat(entry(1), name="Old", type="public_supergroup", id=6)]},
    }
    assert [(message.chat, message.id) for message in read(account)] == [
        (Chat("5", "Boris"), 1),
        (Chat("5", "Boris"), 2),
        (Chat("9", "saved_messages"), 1),
        (Chat("6", "Old"), 1),
    ]


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ({"name": "Kitchen", "type": "private_group"}, "Kitchen"),
        ({"name": None, "type": "saved_messages"}, "saved_messages"),
        ({"name": "", "type": "personal_chat"}, "personal_chat"),
        ({"type": "replies"}, "replies"),
        ({}, "chat"),
    ],
)
def test_a_chat_without_a_name_is_called_by_its_type(read: Read, header: Entry, name: str) -> None:
    (message,) = read({**header, "id": 1, "messages": [entry(1)]})
    assert message.chat.name == name


def test_chats_without_ids_are_told_apart(read: Read) -> None:
    chats = [without(chat(entry(1)), "id") for _ in range(3)]
    messages = read({"chats": {"list": chats}})
    assert len({message.chat.key for message in messages}) == 3


EMOJI = {"type": "custom_emoji", "text": "😁", "document_id": 5368324170671202286}
ENTRIES: list[tuple[Entry, Entry]] = [
    # text is a string or a list with entities
    *(({"text": written}, {"text": text}) for written, text in (
        ("plain", "plain"),
        ("", ""),
        ([], ""),
        (["a ", {"type": "bold", "text": "b"}, " c"], "a b c"),
        ([{"type": "text_link", "text": "here", "href": "https://site.org"}, "!"], "here!"),
        ([{"type": "mention_name", "text": "Boris", "user_id": 5}, ", hi"], "Boris, hi"),
        ([{**EMOJI, "document_id": "s.webm"}, "\n"], "😁\n"),
        ([EMOJI], "😁"),
    )),
    # the sender is an id where there is one: a number before 2021, no name for a deleted account
    *((who, {"sender": sender, "sender_name": name}) for who, sender, name in (
        ({"from": "Anna", "from_id": "user1"}, "user1", "Anna"),
        ({"from": "Anna", "from_id": 1}, "user1", "Anna"),
        ({"from": "Anna"}, "Anna", "Anna"),
        ({"from": None, "from_id": "user1"}, "user1", None),
        ({"from_id": "user1"}, "user1", None),
        ({"from": "News", "from_id": "channel4"}, "channel4", "News"),
        ({"from": None}, None, None),
        ({}, None, None),
        ({"actor": "Anna", "actor_id": "user1"}, "user1", "Anna"),
        ({"actor": "Anna", "actor_id": 1}, "user1", "Anna"),
    )),
    ({"date_unixtime": "1735725600"}, {"at": datetime(2025, 1, 1, 10, tzinfo=UTC)}),
    # what the sender did not write is marked
    ({}, {"forwarded": False, "via_bot": False}),
    ({"forwarded_from": "News"}, {"forwarded": True, "via_bot": False}),
    ({"forwarded_from": None}, {"forwarded": True}),
    ({"saved_from": "Boris"}, {"forwarded": True}),
    ({"via_bot": "@gif"}, {"forwarded": False, "via_bot": True}),
    # a reply names the message it answers, unless that is in another chat
    ({"reply_to_message_id": 3}, {"reply_to": 3}),
    ({"reply_to_message_id": 3, "reply_to_peer_id": "channel4"}, {"reply_to": None}),
    ({"type": "service", "actor": "Anna", "action": "create_group"}, {"kind": "service"}),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "expected"), ENTRIES)
def test_an_entry_is_read_whatever_year_it_was_exported_in(
    read: Read, fields: Entry, expected: Entry
) -> None:
    (found,) = read(chat({"id": 1, "type": "message", "date_unixtime": "0"} | fields))
    assert {name: getattr(found, name) for name in expected} == expected


def test_before_2022_the_date_is_taken_as_utc_and_unsupported_entries_have_none(read: Read) -> None:
    old = {"id": 1, "type": "message", "date": "2019-05-31T21:28:30"}
    dated, unsupported = read(chat(old, {"id": 2, "type": "unsupported"}))
    assert dated.at == datetime(2019, 5, 31, 21, 28, 30, tzinfo=UTC)
    assert unsupported.kind == "unsupported"


@pytest.mark.parametrize(
    "fields",
    [
        {"id": "first"},
        {"id": None},
        {"date_unixtime": "yesterday"},
        {"date_unixtime": "999999999999"},
        {"date_unixtime": "9" * 20},
        {"text": None},
        {"text": [{"type": "bold"}]},
    ],
)
def test_an_entry_that_telegram_does_not_write_is_named(read: Read, fields: Entry) -> None:
    with pytest.raises(Refusal, match=r"message .* of chat 'Kitchen'"):
        read(chat(entry() | fields))


def test_an_export_is_refused_wherever_it_is_cut_off(read: Read) -> None:
    content = json.dumps(chat(entry(1), entry(2))).encode()
    for length in range(1, len(content), 5):
        with pytest.raises(Refusal, match="broken or cut off JSON"):
            read(content[:length])


@pytest.mark.parametrize(
    "spoil",
    [
        lambda content: content + b" and more",
        lambda content: content + b"\\",
        lambda content: content.replace(b"hello", "привет".encode("cp1251")),
        lambda content: content.replace(b"hello", rb"\xZZ"),
        lambda content: content.replace(b'"hello"', b"hello"),
    ],
    ids=["trailing text", "trailing backslash", "not UTF-8", "unknown escape", "unquoted text"],
)
def test_broken_json_is_refused_in_one_line(read: Read, spoil: Callable[[bytes], bytes]) -> None:
    content = json.dumps(chat(entry(text="hello"))).encode()
    with pytest.raises(Refusal, match="JSON") as refusal:
        read(spoil(content))
    assert "\n" not in str(refusal.value)


def test_a_byte_order_mark_is_skipped(read: Read) -> None:
    assert len(read(b"\xef\xbb\xbf" + json.dumps(chat(entry())).encode())) == 1
