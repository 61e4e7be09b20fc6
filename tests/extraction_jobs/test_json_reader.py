"""The reader of JSON: encodings, chunks, repairs, and what is broken, too long or too deep."""

import json
import random
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.refusal import Refusal
from extraction_jobs import json_reader
from extraction_jobs.messages import Found
from extraction_jobs.telegram_json import read
from tests.extraction_jobs.conftest import Save, chat, entry


def written(*texts: str) -> bytes:
    """An export with these texts, each already written as in a JSON string."""
    marked = json.dumps(chat(*(entry(number) for number in range(len(texts)))), indent=1)
    for number, text in enumerate(texts):
        marked = marked.replace(f'"message {number}"', f'"{text}"')
    return marked.encode()


def telegram_string(text: str) -> str:
    """As Telegram Desktop writes it: control signs become `\\xNN`, which is no JSON."""
    return "".join(
        "\\n" if sign == "\n"
        else f"\\x{ord(sign):02X}" if sign < " "
        else "\\" * (sign in '\\"') + sign
        for sign in text
    )  # fmt: skip


def texts(path: Path, found: Found | None = None) -> list[str]:
    return [message.text for message in read(path, found or Found())]


@pytest.mark.parametrize("chunk", [1, 2, 3, 4, 5, 6, 7, 1 << 18])
def test_invalid_escapes_are_repaired_wherever_a_chunk_ends(
    save: Save, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(json_reader, "_CHUNK", chunk)
    expected = {
        r"\x0B": "",
        r"a\x0Bb\x1Fc": "abc",
        r"\x0a\x0A": "\n\n",
        r"\x414": "A4",
        r"\\x41": r"\x41",
        r"\\\x41": "\\A",
        r"\\\\x41": r"\\x41",
        r"\\\\\x41": "\\\\A",
        r"\"\x41\"": '"A"',
        r"\u0041\n\x41": "A\nA",
        r"ж\x0B😀\x0B": "ж😀",
        "x41 \\\\": "x41 \\",
    }
    found = Found()
    assert texts(save(written(*expected)), found) == list(expected.values())
    assert found.counts == {
        "repaired_json": sum(r"\x" in text.replace(r"\\", "") for text in expected)
    }


@settings(deadline=None, max_examples=30)
@given(
    said=st.lists(
        st.text(
            st.sampled_from('\\\\\\xux041aBF"\x0b\x1f\n ,}]ж😀') | st.characters(codec="utf-8")
        ),
        max_size=4,
    ),
    chunk=st.integers(1, 7),
)
def test_any_text_read_in_chunks_is_what_was_written(
    tmp_path_factory: pytest.TempPathFactory, said: list[str], chunk: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    path.write_bytes(written(*(telegram_string(text) for text in said)))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_reader, "_CHUNK", chunk)
        in_chunks = texts(path)
    assert in_chunks == texts(path)
    assert in_chunks == ["".join(s for s in text if s >= " " or s in "\t\n") for text in said]


REPAIRED = {
    '"a": video_files/sticker (2).webm': "video_files/sticker (2).webm",
    '"a": (File not included.)': "(File not included.)",
    '"a": says "hi", then': 'says "hi", then',
    '"a": "says "hi" and "bye""': 'says "hi" and "bye"',
    r'"a": "\x0B says "\"hi"': '\x0b says ""hi',
    '"a": yes': "yes",
    '"a": "no end': "no end",
    '"a": "too many"]}]': 'too many"]}]',
}


@pytest.mark.parametrize("line", REPAIRED)
@pytest.mark.parametrize("comma", ["", ","])
def test_values_without_quotes_and_quotes_without_a_backslash_are_repaired(
    save: Save, line: str, comma: str
) -> None:
    document = '{\n "item": {\n  "n": [\n   1,\n   -2.5e3,\n   null\n  ],\n  LINE\n }\n}'
    document = document.replace("LINE", line + comma + (comma and '\n  "z": {}'))
    with save(document.encode()).open("rb") as file:
        found = Found()
        reader = json_reader.JsonReader(Path("x"), file, found.counts)
        values = {key: reader.value() for key in reader.entries()}
    assert values["item"] | {"z": {}} == {"n": [1, -2500.0, None], "a": REPAIRED[line], "z": {}}
    assert found.counts == {"repaired_json": 1}


ENCODED = written("привет", "😀 да")
BREAKS: dict[str, Callable[[bytes], bytes]] = {
    "no colon": lambda content: content.replace(b'"text": "message 2"', b'"text" "message 2"'),
    "no comma": lambda content: content.replace(b'"id": 2,', b'"id": 2'),
    "ended early": lambda content: content.replace(b'"id": 2,', b'"id": 2}'),
    "unknown escape": lambda content: content.replace(b"message 2", rb"\xZZ"),
    "no bracket": lambda content: content.replace(b'"id": 2,', b'"id": [,'),
    "too deep": lambda content: content.replace(b'"message 2"', b"[" * 10_000 + b"]" * 10_000),
    "too many digits": lambda content: content.replace(b'"message 2"', b"9" * 5000),
}  # fmt: skip


@pytest.mark.parametrize("broken", BREAKS)
def test_what_cannot_be_repaired_costs_one_message(save: Save, broken: str) -> None:
    whole = json.dumps(chat(*(entry(number) for number in range(5))), indent=1).encode()
    found = Found()
    content = BREAKS[broken](whole)
    assert content != whole
    assert [message.id for message in read(save(content), found)] == [0, 1, 3, 4]
    assert found.counts.keys() <= {"unreadable_json", "unreadable_text"}
    assert found.counts.total() == 1


def test_what_stands_between_two_messages_costs_both(save: Save) -> None:
    content = json.dumps(chat(*(entry(number) for number in range(5))), indent=1).encode()
    found = Found()
    broken = content.replace(b"},", b"};", 2).replace(b"};", b"},", 1)
    assert [message.id for message in read(save(broken), found)] == [0, 3, 4]
    assert found.counts == {"unreadable_json": 1}


def test_a_broken_field_of_a_header_costs_that_field(save: Save) -> None:
    content = written("hi").replace(b'"Kitchen"', rb'"Kit\x0Bchen"').replace(b"77", b"7.7.7")
    (message,) = read(save(content), Found())
    assert (message.chat.name, message.chat.key) == ("Kitchen", "Kitchen 1")


@pytest.mark.parametrize("fill", ["a", "\\\\", "[{", '", "a": "', "ж"])
def test_a_huge_value_is_passed_over_in_flat_memory(save: Save, fill: str) -> None:
    content = written("hi", fill * (5_000_000 // len(fill)), "there")
    path = save(content.replace(b'"Kitchen"', b'"' + b"x" * 5_000_000 + b'"'))
    del content
    found = Found()
    tracemalloc.start()
    said = texts(path, found)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert said == ["hi", "there"]
    assert found.counts == {"too_large": 2}
    assert peak < 20_000_000


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbf" + ENCODED,
        ENCODED.replace(b"\n", b"\r\n"),
        json.dumps(json.loads(ENCODED)).encode(),
        json.dumps(json.loads(ENCODED), separators=(",", ":"), ensure_ascii=False).encode(),
    ],
    ids=["UTF-8 with a mark", "CRLF", "on one line", "without space"],
)
@pytest.mark.parametrize("chunk", [1, 1 << 18])
def test_other_programs_may_have_saved_it_anew(
    save: Save, monkeypatch: pytest.MonkeyPatch, content: bytes, chunk: int
) -> None:
    monkeypatch.setattr(json_reader, "_CHUNK", chunk)
    assert texts(save(content)) == ["привет", "😀 да"]


@pytest.mark.parametrize("chunk", [1, 5, 1 << 18])
def test_what_is_not_utf_8_is_refused_with_the_place(
    save: Save, monkeypatch: pytest.MonkeyPatch, chunk: int
) -> None:
    monkeypatch.setattr(json_reader, "_CHUNK", chunk)
    content = ENCODED.replace("😀 да".encode(), "😀 да".encode("cp1251", "ignore"))
    line, offset = (
        content[: content.index(b"\xe4\xe0")].count(b"\n") + 1,
        content.index(b"\xe4\xe0"),
    )
    with pytest.raises(Refusal, match=rf"not UTF-8.* in line {line} \(byte {offset}\); export the"):
        texts(save(content))


def test_an_export_is_refused_wherever_it_is_cut_off(save: Save) -> None:
    content = ENCODED
    for length in range(1, len(content), 3):
        with pytest.raises(Refusal, match=r"cut off in line \d+ \(byte \d+\)") as refusal:
            texts(save(content[:length]))
        assert f"in line {content[:length].count(10) + 1} " in str(refusal.value)


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (ENCODED + b"\n and more", "line 26 "),
        (ENCODED.replace(b' "messages": [', b' "messages" ['), "line 7 "),
        (b'{"chats": {"list": [' * 10_000, "line 1 "),
        (b'{"a": ' * 10_000 + b"1" + b"}" * 10_000, "line 1 "),
        (b'{"messages": ' + b"[" * 10_000, "line 1 "),
    ],
)
def test_a_broken_frame_is_refused_in_one_line(save: Save, content: bytes, place: str) -> None:
    with pytest.raises(Refusal, match=place) as refusal:
        texts(save(content))
    assert "\n" not in str(refusal.value)


JUNK: list[Any] = [None, True, -1, 1e400, 10**30, "", "\ud800\x01", [], {}, [None], [[]], {"a": {}}]
SAMPLE = {
    "personal_information": {"user_id": 5, "first_name": "Anna"},
    "chats": {
        "list": [
            chat(
                entry(1, "Anna", ["hello ", {"type": "bold", "text": "Boris"}]),
                entry(2, "Boris", "привет") | {"reply_to_message_id": 1, "forwarded_from": "Anna"},
                entry(3) | {"type": "service", "action": "topic_created", "title": "Tea"},
                entry(4) | {"poll": {"question": "tea?"}, "inline_bot_buttons": [[]]},
                entry(5, text="/start") | {"media_type": "sticker", "sticker_emoji": "😀"},
            ),
            chat(entry(1), entry(2, "Clara", "пока"), name="Хор", id=5),
        ]
    },
}


def with_junk(value: Any, chance: random.Random) -> Any:
    """The value with some of its parts missing or of another type."""
    if chance.random() < 0.03:
        return chance.choice(JUNK)
    if isinstance(value, dict):
        return {k: with_junk(v, chance) for k, v in value.items() if chance.random() > 0.02}
    return [with_junk(item, chance) for item in value] if isinstance(value, list) else value


def damaged(chance: random.Random) -> bytes:
    """The sample cut off, with bytes flipped, gone, moved or replaced by others, or with junk."""
    kind = chance.randrange(6)
    value = with_junk(SAMPLE, chance) if kind == 5 else SAMPLE
    text = json.dumps(value, indent=chance.choice([1, 1, None]), ensure_ascii=kind == 5)
    content = bytearray(text.encode())
    at, length = chance.randrange(len(content)), chance.randrange(200)
    if kind == 0:
        del content[at:]
    elif kind == 1:
        content[at] = chance.randrange(256)
    elif kind == 2:
        for _ in range(3):
            content[chance.randrange(len(content))] = chance.choice(b'{}[]",:\\x0\n ')
    elif kind == 3:
        del content[at : at + length]
    elif kind == 4:
        content[at:at] = content[chance.randrange(len(content)) :][:length]
    return bytes(content)


def read_damaged(save: Save, monkeypatch: pytest.MonkeyPatch, seeds: range) -> None:
    """Read samples damaged at random: each ends in messages or a Refusal, which can be stored."""
    for seed in seeds:
        chance = random.Random(seed)
        monkeypatch.setattr(json_reader, "_CHUNK", chance.choice([7, 100, 1 << 18]))
        monkeypatch.setattr(json_reader, "LONGEST", chance.choice([100, 1 << 20]))
        found = Found()
        with suppress(Refusal):
            for message in read(save(damaged(chance)), found):
                json.dumps([found.owner, message], ensure_ascii=False).encode()
                assert max(abs(message.id), abs(message.reply_to or 0), message.at) < 2**63


def test_damage_at_random_ends_in_messages_or_a_refusal(
    save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_damaged(save, monkeypatch, range(200))


@pytest.mark.slow
def test_much_damage_at_random_ends_in_messages_or_a_refusal(
    save: Save, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_damaged(save, monkeypatch, range(200, 2200))
