"""Our own schema: a message a line."""

import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.refusal import Refusal
from extraction_jobs import jsonl
from extraction_jobs.messages import Chat, Found, Message

LINE = {"at": 1735725600, "sender": "user1", "text": "привет"}


def read(folder: Path, *lines: object, found: Found | None = None) -> list[Message]:
    path = folder / "дача.jsonl"
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts), encoding="utf-8", errors="surrogateescape")
    return list(jsonl.read(path, found or Found()))


def test_a_line_needs_little(tmp_path: Path) -> None:
    assert read(tmp_path, LINE) == [
        Message(
            Chat("дача", "дача"),
            1735725600_000,
            1735725600.0,
            "message",
            "user1",
            "user1",
            "привет",
        )
    ]


LINES: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"at": "2025-01-01T10:00:00"}, {"at": 1735725600.0}),
    ({"at": "2025-01-01T13:00:00.000+03:00"}, {"at": 1735725600.0}),
    ({"at": "2025-01-01T10:00:00Z"}, {"at": 1735725600.0}),
    ({"at": 1735725600.25}, {"at": 1735725600.25}),
    ({"name": "Вера"}, {"sender": "user1", "sender_name": "Вера"}),
    ({"name": None}, {"sender": "user1", "sender_name": None}),
    ({"sender": None, "kind": "service"}, {"sender": None, "sender_name": None}),
    ({"sender": 7}, {"sender": "7"}),
    ({"chat": "Сад"}, {"chat": Chat("Сад", "Сад")}),
    ({"chat": None}, {"chat": Chat("дача", "дача")}),
    (
        {"chat": "Сад", "chat_key": "5", "chat_kind": "private_group"},
        {"chat": Chat("5", "Сад", "private_group")},
    ),
    ({"id": "12", "reply_to": 11}, {"id": 12, "reply_to": 11}),
    ({"reply_to": None}, {"reply_to": None}),
    ({"media": "photo"}, {"media": "[фото]"}),
    ({"media": "[опрос: Едем?]"}, {"media": "[опрос: Едем?]"}),
    ({"via_bot": True, "is_bot": False, "extra": [1]}, {"via_bot": True, "is_bot": False}),
]


@pytest.mark.parametrize(("fields", "expected"), LINES)
def test_a_line_may_say_more(
    tmp_path: Path, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    (message,) = read(tmp_path, LINE | fields)
    assert {name: getattr(message, name) for name in expected} == expected


def test_ids_that_are_texts_still_tell_what_is_answered(tmp_path: Path) -> None:
    question, answer = read(
        tmp_path, LINE | {"id": "$abc:host"}, LINE | {"id": "9" * 19, "reply_to": "$abc:host"}
    )
    assert answer.reply_to == question.id != answer.id
    assert 0 < answer.id < 1 << 63


def test_without_ids_they_grow(tmp_path: Path) -> None:
    ids = [message.id for message in read(tmp_path, LINE, LINE, LINE | {"at": 5}, LINE)]
    assert ids == sorted(set(ids))


BROKEN = [
    ("{", "json"),
    ("[]", "json"),
    ('"text"', "json"),
    ("[" * 10_000, "json"),
    (json.dumps(LINE)[:-5], "json"),
    ("\udcff\udcfe", "json"),
    ({"at": 1, "text": "кто?"}, "sender"),
    ({"sender": "a", "text": "когда?"}, "at"),
    (LINE | {"at": "вчера"}, "at"),
    (LINE | {"at": 1735725600_000}, "at"),
    (LINE | {"at": -1}, "at"),
    (LINE | {"at": {}}, "at"),
    ('{"at": NaN, "sender": "a", "text": "?"}', "at"),
    ({"at": 1, "sender": "a"}, "text"),
    (LINE | {"text": ["?"]}, "text"),
    (LINE | {"forwarded": "maybe"}, "forwarded"),
    (LINE | {"media": 5.5}, None),
    (LINE | {"chat": {}}, "chat"),
]


@pytest.mark.parametrize(("line", "key"), BROKEN)
def test_a_broken_line_is_counted_by_what_is_wrong(
    tmp_path: Path, line: object, key: str | None
) -> None:
    found = Found()
    read(tmp_path, LINE, line, "", LINE, found=found)
    assert found.counts == ({f"unreadable_{key}": 1} if key else {})


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ((), "the file is empty"),
        (("", {"at": 1, "name": "Вера"}, "{"), "line 2: text is missing or wrong"),
        (('{"owner": "user5"}', "секрет"), "line 2: json is missing or wrong"),
    ],
)
def test_a_file_without_messages_is_refused_with_its_first_line(
    tmp_path: Path, lines: tuple[object, ...], why: str
) -> None:
    with pytest.raises(Refusal) as refused:
        read(tmp_path, *lines)
    assert why in str(refused.value)
    assert "секрет" not in str(refused.value)


def test_a_mark_of_the_encoding_and_windows_line_ends_are_no_matter(tmp_path: Path) -> None:
    assert len(read(tmp_path, "\ufeff" + json.dumps(LINE) + "\r", LINE)) == 2


def test_a_line_of_any_length_costs_little_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jsonl, "LONGEST", 100)
    found = Found()
    assert len(read(tmp_path, LINE, LINE | {"text": "а" * 1000}, LINE, found=found)) == 2
    assert found.counts["unreadable_json"] > 1


names = st.one_of(st.none(), st.text(max_size=5))
texts = st.text(max_size=20)
ids = st.integers(-(10**17), 10**17)
messages = st.builds(
    Message,
    st.builds(Chat, texts, texts, texts),
    ids,
    st.floats(0, 4e9),
    texts,
    names,
    names,
    texts,
    st.one_of(st.none(), ids),
    st.booleans(),
    names,
    st.booleans(),
    st.sampled_from(["", "[фото]", "[опрос: Едем?]"]),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)


@given(written=st.lists(messages, min_size=1, max_size=3), owner=names)
def test_what_is_written_is_read_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, written: list[Message], owner: str | None
) -> None:
    file, found = BytesIO(), Found()
    jsonl.write(file, written, Found(owner))
    path = tmp_path_factory.mktemp("jsonl") / "chat.jsonl"
    path.write_bytes(file.getvalue())
    assert list(jsonl.read(path, found)) == written
    assert found == Found(owner=owner or None)
