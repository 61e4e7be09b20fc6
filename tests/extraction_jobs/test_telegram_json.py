"""Telegram Desktop's JSON, with the oddities of ten years of exports."""

import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from contracts.refusal import Refusal
from extraction_jobs.messages import ELSEWHERE, Chat, Found, Message
from extraction_jobs.telegram_json import read as read_export
from tests.extraction_jobs.conftest import Entry, Save, chat, entry

Read = Callable[[object], list[Message]]


@pytest.fixture
def found() -> Found:
    return Found()


@pytest.fixture
def read(save: Save, found: Found) -> Read:
    return lambda content: list(read_export(save(content), found))


def without(raw: Entry, *fields: str) -> Entry:
    return {name: value for name, value in raw.items() if name not in fields}


def plain(text: str) -> Entry:
    return {"type": "plain", "text": text}


def command(text: str) -> Entry:
    return {"type": "bot_command", "text": text}


def test_a_single_chat_gives_its_messages_in_order(read: Read) -> None:
    kitchen, noon = Chat("77", "Kitchen", "private_group"), 1735732800.0
    assert read(chat(entry(1, minute=120), entry(2, "Boris", "hi", minute=120))) == [
        Message(kitchen, 1, noon, "message", "user5012345671", "Anna", "message 1"),
        Message(kitchen, 2, noon, "message", "user5012345672", "Boris", "hi"),
    ]


def test_an_account_gives_its_owner_its_chats_and_those_it_left(read: Read, found: Found) -> None:
    account = {
        "about": "Here is the data you requested.",
        "personal_information": {"user_id": 9, "first_name": "Anna", "id": 8, "name": "Me"},
        "frequent_contacts": {"list": [{"id": 5, "type": "user", "name": "Boris"}]},
        "chats": {
            "about": "This page lists all chats.",
            "list": [
                chat(entry(1), entry(2), name="Boris", type="personal_chat", id=5),
                without(chat(entry(1), type="saved_messages", id=9), "name"),
                {"name": "Nothing written", "type": "bot_chat", "id": 3},
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
    assert found == Found(owner="user9")


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ({"name": "Kitchen", "type": "private_group"}, ("Kitchen", "private_group")),
        ({"name": None, "type": "saved_messages"}, ("saved_messages", "saved_messages")),
        ({"name": "", "type": "personal_chat"}, ("personal_chat", "personal_chat")),
        ({"type": "replies"}, ("replies", "replies")),
        ({"name": "a\x01b\ud800", "type": ["odd"]}, ("ab", "")),
        ({}, ("chat", "")),
    ],
)
def test_a_chat_without_a_name_is_called_by_its_kind(
    read: Read, header: Entry, expected: tuple[str, str]
) -> None:
    content = json.dumps({**header, "id": 1, "messages": [entry(1)]}, indent=1).encode()
    (message,) = read(content)
    assert (message.chat.name, message.chat.kind) == expected


def test_chats_without_ids_are_told_apart(read: Read) -> None:
    chats = [without(chat(entry(1)), "id") for _ in range(3)]
    messages = read({"chats": {"list": chats}})
    assert len({message.chat.key for message in messages}) == 3


def test_chats_of_two_exports_without_ids_are_told_apart_by_their_names(read: Read) -> None:
    exports = [without(chat(entry(1), name=name), "id") for name in ("Kitchen", "Yard", "Yard")]
    keys = [message.chat.key for export in exports for message in read(export)]
    assert keys[0] != keys[1] == keys[2]


def test_of_a_chat_whose_header_follows_its_messages_nothing_is_known(read: Read) -> None:
    (message,) = read({"messages": [entry(1)], "name": "Kitchen", "id": 77})
    assert message.chat == Chat("chat 1", "chat")


EMOJI = {"type": "custom_emoji", "text": "😁", "document_id": 5368324170671202286}
FORWARDED = {"from": "Anna", "from_id": "user1"}
SERVICE = {"type": "service", "actor": "Anna", "actor_id": "user1"}
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
        ("a\tb\nc", "a\tb\nc"),
        ("a\x00b\x0bc\x1fd\re", "abcde"),
    )),
    # the sender is an id where there is one: a number before 2021, no name for a deleted account
    *((who, {"sender": sender, "sender_name": name}) for who, sender, name in (
        ({"from": "Anna", "from_id": "user1"}, "user1", "Anna"),
        ({"from": "Anna", "from_id": 1}, "user1", "Anna"),
        ({"from": "Anna"}, "Anna", "Anna"),
        ({"from": "An\x07na"}, "Anna", "Anna"),
        ({"from": None, "from_id": "user1"}, "user1", None),
        ({"from_id": "user1"}, "user1", None),
        ({"from": "News", "from_id": "channel4"}, "channel4", "News"),
        ({"from": None}, None, None),
        ({}, None, None),
        ({"actor": "Anna", "actor_id": "user1"}, "user1", "Anna"),
        ({"actor": "Anna", "actor_id": 1}, "user1", "Anna"),
    )),
    *((fields, {"at": at}) for fields, at in (
        ({"date_unixtime": "1735725600"}, 1735725600.0),
        ({"date_unixtime": 1735725600}, 1735725600.0),
        ({"date_unixtime": None, "date": "2025-01-01T10:00:00"}, 1735725600.0),
    )),
    # what the sender did not write is marked, but not what is the sender's own
    *((FORWARDED | fields, {"forwarded": is_forwarded, "forwarded_from": origin})
      for fields, is_forwarded, origin in (
        ({}, False, None),
        ({"forwarded_from": "News"}, True, "News"),
        ({"forwarded_from": None}, True, None),
        ({"saved_from": "Boris"}, True, "Boris"),
        ({"forwarded_from": "News", "saved_from": "Boris"}, True, "News"),
        ({"forwarded_from": "Anna"}, False, "Anna"),
        ({"forwarded_from": "Anna", "saved_from": "Kitchen"}, False, "Anna"),
        ({"forwarded_from": "Anna Blog"}, True, "Anna Blog"),
        ({"forwarded_from": "Anna", "from_id": "channel5"}, True, "Anna"),
        ({"forwarded_from": None, "from": None}, True, None),
    )),
    ({}, {"via_bot": False, "is_bot": False, "opens_topic": False, "media": ""}),
    ({"via_bot": "@gif"}, {"forwarded": False, "via_bot": True}),
    ({"inline_bot_buttons": [[{"type": "url", "text": "open"}]]}, {"is_bot": True}),
    # a reply names the message it answers, unless that is in another chat
    ({"reply_to_message_id": 3}, {"reply_to": 3}),
    ({"reply_to_message_id": -999999995, "id": -999999994}, {"reply_to": -999999995}),
    ({"reply_to_message_id": 3, "reply_to_peer_id": "channel4"}, {"reply_to": ELSEWHERE}),
    ({"reply_to_message_id": "three"}, {"reply_to": None}),
    # service messages, and kinds to come
    (SERVICE | {"action": "create_group"}, {"kind": "service", "opens_topic": False}),
    (SERVICE | {"action": "topic_created", "title": "Tea"}, {"opens_topic": True}),
    (SERVICE | {"action": "edit_group_photo", "photo": "a.jpg"}, {"media": ""}),
    ({"action": "topic_created"}, {"opens_topic": False}),
    ({"type": "hologram"}, {"kind": "unsupported"}),
    # a command is what the first entity says, or a slash where there are no entities
    *(({"text": text} | ({} if entities is None else {"text_entities": entities}),
       {"is_command": is_command}) for text, entities, is_command in (
        ([command("/start"), " now"], [command("/start"), plain(" now")], True),
        ([command("/start"), " now"], None, True),
        ("/start", None, True),
        ("/start@some_bot", None, True),
        ("/дом стоит", None, False),
        ("see /start", None, False),
        ("", None, False),
        ("/start", [plain("/start")], False),
        ("/start", [], False),
        (["see ", command("/start")], [plain("see "), command("/start")], False),
        (["/", command("/start")], None, False),
    )),
    # a placeholder stands for what is not words
    *((fields, {"media": media}) for fields, media in (
        ({"photo": "photos/1.jpg", "photo_file_size": 5}, "[фото]"),
        ({"file": "a.webp", "media_type": "sticker", "sticker_emoji": "😀"}, "[стикер 😀]"),
        ({"file": "a.webp", "media_type": "sticker"}, "[стикер]"),
        ({"file": "a.ogg", "media_type": "voice_message"}, "[голосовое]"),
        ({"file": "a.mp4", "media_type": "video_message"}, "[кружок]"),
        ({"file": "a.mp4", "media_type": "video_file"}, "[видео]"),
        ({"file": "a.mp4", "media_type": "animation"}, "[гифка]"),
        ({"file": "a.mp3", "media_type": "audio_file", "title": "Tea"}, "[аудио]"),
        ({"file": "a.pdf", "mime_type": "application/pdf"}, "[файл]"),
        ({"file": "a.pdf", "media_type": ["odd"]}, "[файл]"),
        ({"poll": {"question": "Чай\nили кофе?", "answers": []}}, "[опрос: Чай или кофе?]"),
        ({"poll": {"question": ["Чай ", EMOJI, "?"]}}, "[опрос: Чай 😁?]"),
        ({"poll": None}, "[опрос]"),
        ({"location_information": {"latitude": 1, "longitude": 2}}, "[место]"),
        ({"place_name": "Bar", "location_information": {"latitude": 1}}, "[место]"),
        ({"contact_information": {"first_name": "Boris"}}, "[контакт]"),
        ({"game_title": "Chess", "game_description": "a game"}, "[игра]"),
    )),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "expected"), ENTRIES)
def test_an_entry_is_read_whatever_year_it_was_exported_in(
    read: Read, fields: Entry, expected: Entry
) -> None:
    (message,) = read(chat({"id": 1, "type": "message", "date_unixtime": "7"} | fields))
    assert {name: getattr(message, name) for name in expected} == expected


def test_before_2022_the_date_is_taken_as_utc_and_unsupported_entries_have_none(read: Read) -> None:
    old = {"id": 1, "type": "message", "date": "2019-05-31T21:28:30"}
    dated, unsupported = read(chat(old, {"id": 2, "type": "unsupported"}))
    assert dated.at == datetime(2019, 5, 31, 21, 28, 30, tzinfo=UTC).timestamp()
    assert unsupported.kind == "unsupported"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"id": "first"}, "unreadable_id"),
        ({"id": None}, "unreadable_id"),
        ({"id": 2**63}, "unreadable_id"),
        ({"date_unixtime": "yesterday"}, "unreadable_date"),
        ({"date_unixtime": "999999999999"}, "unreadable_date"),
        ({"date_unixtime": "-5"}, "unreadable_date"),
        ({"date_unixtime": "nan"}, "unreadable_date"),
        ({"date_unixtime": 10**400}, "unreadable_date"),
        ({"date_unixtime": None, "date": 5}, "unreadable_date"),
        ({"date_unixtime": None, "date": None}, "unreadable_date"),
        ({"text": None}, "unreadable_text"),
        ({"text": 5}, "unreadable_text"),
        ({"text": [{"type": "bold"}]}, "unreadable_text"),
        ({"text": [{"type": "bold", "text": None}]}, "unreadable_text"),
        ({"from": {"name": 5}}, None),
        ({"from": 5}, "unreadable_text"),
    ],
)
def test_an_odd_entry_is_counted_and_costs_itself_alone(
    read: Read, found: Found, fields: Entry, reason: str | None
) -> None:
    messages = read(chat(entry(1), entry(2) | fields, entry(3)))
    if reason:
        assert [message.id for message in messages] == [1, 3]
        assert found.counts == {reason: 1}
    else:
        assert len(messages) == 3


def test_items_that_are_no_entries_are_counted(read: Read, found: Found) -> None:
    assert len(read(chat(entry(1)) | {"messages": ["hello", {}, 5, entry(1)]})) == 1
    assert found.counts == {"unreadable_id": 3}


def test_of_a_key_that_is_there_twice_the_last_counts(read: Read) -> None:
    gift = json.dumps(chat(entry(text="a gift")), indent=1).replace('"text"', '"text": "x", "text"')
    assert [message.text for message in read(gift.encode())] == ["a gift"]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"{}", "holds no chat"),
        (b'{"messages": null, "chats": null}', "holds no chat"),
        (b'{"chats": {"list": {}}}', "holds no chat"),
        (b'{"messages": []} []', "goes on behind its end"),
        (b"", "holds no chat"),
        (b"<!DOCTYPE html>", "is broken"),
        (b"[1, 2]", "holds no chat"),
        (b"hello", "is broken"),
    ],
)
def test_what_is_no_export_of_telegram_is_refused_with_the_place(
    read: Read, content: bytes, why: str
) -> None:
    with pytest.raises(Refusal, match=rf"result\.json: .*{why}.* in line \d+ \(byte \d+\); export"):
        read(content)
