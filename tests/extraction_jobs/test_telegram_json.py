"""Telegram Desktop's JSON, with the oddities of ten years of exports."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from contracts.refusal import Refusal
from extraction_jobs.messages import Chat, Message
from extraction_jobs.telegram_json import read_export

Entry = dict[str, Any]
Read = Callable[[object], list[Message]]


@pytest.fixture
def read(save: Callable[[object], Path]) -> Read:
    return lambda content: list(read_export(save(content)))


@pytest.fixture
def read_one(read: Read, chat: Callable[..., Entry]) -> Callable[[Entry], Message]:
    def build(raw: Entry) -> Message:
        (message,) = read(chat(raw))
        return message

    return build


def without(raw: Entry, *fields: str) -> Entry:
    return {name: value for name, value in raw.items() if name not in fields}


def test_a_single_chat_gives_its_messages_in_order(
    read: Read, chat: Callable[..., Entry], entry: Callable[..., Entry]
) -> None:
    kitchen = Chat("77", "Kitchen", "private_group")
    assert read(chat(entry(1), entry(2, "Boris", "hi", minute=90))) == [
        Message(
            chat=kitchen,
            id=1,
            at=datetime(2025, 1, 1, 10, 1, tzinfo=UTC),
            kind="message",
            sender="user5012345671",
            sender_name="Anna",
            text="message 1",
        ),
        Message(
            chat=kitchen,
            id=2,
            at=datetime(2025, 1, 1, 11, 30, tzinfo=UTC),
            kind="message",
            sender="user5012345672",
            sender_name="Boris",
            text="hi",
        ),
    ]


def test_an_account_gives_its_chats_and_those_it_left(
    read: Read, chat: Callable[..., Entry], entry: Callable[..., Entry]
) -> None:
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
        (Chat("5", "Boris", "personal_chat"), 1),
        (Chat("5", "Boris", "personal_chat"), 2),
        (Chat("9", "saved_messages", "saved_messages"), 1),
        (Chat("6", "Old", "public_supergroup"), 1),
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
def test_a_chat_without_a_name_is_called_by_its_type(
    read: Read, entry: Callable[..., Entry], header: Entry, name: str
) -> None:
    (message,) = read({**header, "id": 1, "messages": [entry(1)]})
    assert message.chat.name == name


def test_chats_without_ids_are_told_apart(
    read: Read, chat: Callable[..., Entry], entry: Callable[..., Entry]
) -> None:
    chats = [without(chat(entry(1)), "id") for _ in range(3)]
    messages = read({"chats": {"list": chats}})
    assert len({message.chat.key for message in messages}) == 3


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("plain", "plain"),
        ("", ""),
        ([], ""),
        (["a ", {"type": "bold", "text": "b"}, " c"], "a b c"),
        ([{"type": "link", "text": "site.org"}], "site.org"),
        ([{"type": "text_link", "text": "here", "href": "https://site.org"}, "!"], "here!"),
        ([{"type": "mention_name", "text": "Boris", "user_id": 5}, ", hi"], "Boris, hi"),
        ([{"type": "custom_emoji", "text": "😁", "document_id": "s.webm"}, "\n"], "😁\n"),
        ([{"type": "custom_emoji", "text": "😁", "document_id": 5368324170671202286}], "😁"),
    ],
)
def test_text_is_a_string_or_a_list_with_entities(
    read_one: Callable[[Entry], Message],
    entry: Callable[..., Entry],
    written: object,
    text: str,
) -> None:
    assert read_one(entry(text=written)).text == text


@pytest.mark.parametrize(
    ("who", "sender", "name"),
    [
        ({"from": "Anna", "from_id": "user1"}, "user1", "Anna"),
        ({"from": "Anna", "from_id": 1}, "user1", "Anna"),  # before 2021
        ({"from": "Anna"}, "Anna", "Anna"),
        ({"from": None, "from_id": "user1"}, "user1", None),  # a deleted account
        ({"from_id": "user1"}, "user1", None),
        ({"from": "News", "from_id": "channel4"}, "channel4", "News"),
        ({"from": None}, None, None),
        ({}, None, None),
        ({"actor": "Anna", "actor_id": "user1"}, "user1", "Anna"),
        ({"actor": "Anna", "actor_id": 1}, "user1", "Anna"),
    ],
)
def test_the_sender_is_an_id_where_there_is_one(
    read_one: Callable[[Entry], Message],
    entry: Callable[..., Entry],
    who: Entry,
    sender: str | None,
    name: str | None,
) -> None:
    message = read_one(without(entry(), "from", "from_id") | who)
    assert (message.sender, message.sender_name) == (sender, name)


@pytest.mark.parametrize(
    ("time", "at"),
    [
        ({"date": "2025-01-01T13:00:00", "date_unixtime": "1735725600"}, "2025-01-01T10:00:00Z"),
        ({"date": "2019-05-31T21:28:30"}, "2019-05-31T21:28:30Z"),  # before 2022
    ],
)
def test_time_is_the_unix_time_or_else_the_date_taken_as_utc(
    read_one: Callable[[Entry], Message], entry: Callable[..., Entry], time: Entry, at: str
) -> None:
    message = read_one(without(entry(), "date", "date_unixtime") | time)
    assert message.at == datetime.fromisoformat(at)


def test_service_and_unsupported_entries_keep_their_kind(
    read: Read, chat: Callable[..., Entry], entry: Callable[..., Entry]
) -> None:
    created = without(entry(1, text=""), "from", "from_id") | {
        "type": "service",
        "actor": "Anna",
        "actor_id": "user1",
        "action": "create_group",
    }
    messages = read(chat(created, {"id": 2, "type": "unsupported"}, entry(3)))
    assert [message.kind for message in messages] == ["service", "unsupported", "message"]


@pytest.mark.parametrize(
    ("fields", "forwarded", "via_bot"),
    [
        ({}, False, False),
        ({"forwarded_from": "News"}, True, False),
        ({"forwarded_from": None}, True, False),
        ({"saved_from": "Boris"}, True, False),
        ({"via_bot": "@gif"}, False, True),
    ],
)
def test_what_the_sender_did_not_write_is_marked(
    read_one: Callable[[Entry], Message],
    entry: Callable[..., Entry],
    fields: Entry,
    forwarded: bool,
    via_bot: bool,
) -> None:
    message = read_one(entry() | fields)
    assert (message.forwarded, message.via_bot) == (forwarded, via_bot)


def test_a_reply_names_the_message_it_answers(
    read_one: Callable[[Entry], Message], entry: Callable[..., Entry]
) -> None:
    assert read_one(entry(5) | {"reply_to_message_id": 3}).reply_to == 3
    assert read_one(entry(5)).reply_to is None


def test_a_reply_to_another_chat_answers_nothing_in_this_one(
    read_one: Callable[[Entry], Message], entry: Callable[..., Entry]
) -> None:
    elsewhere = {"reply_to_message_id": 3, "reply_to_peer_id": "channel4"}
    assert read_one(entry(5) | elsewhere).reply_to is None


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
def test_an_entry_that_telegram_does_not_write_is_named(
    read_one: Callable[[Entry], Message], entry: Callable[..., Entry], fields: Entry
) -> None:
    with pytest.raises(Refusal, match=r"message .* of chat 'Kitchen'"):
        read_one(entry() | fields)


def test_an_export_is_refused_wherever_it_is_cut_off(
    read: Read, chat: Callable[..., Entry], entry: Callable[..., Entry]
) -> None:
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
def test_broken_json_is_refused_in_one_line(
    read: Read,
    chat: Callable[..., Entry],
    entry: Callable[..., Entry],
    spoil: Callable[[bytes], bytes],
) -> None:
    content = json.dumps(chat(entry(text="hello"))).encode()
    with pytest.raises(Refusal, match="JSON") as refusal:
        read(spoil(content))
    assert "\n" not in str(refusal.value)


def test_a_byte_order_mark_is_skipped(
    read: Read, chat: Callable[..., Entry], entry: Callable[..., Entry]
) -> None:
    assert len(read(b"\xef\xbb\xbf" + json.dumps(chat(entry())).encode())) == 1
