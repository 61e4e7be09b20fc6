"""Any export is told by its content: files, folders and archives; what is none is named."""

import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from contracts.refusal import Refusal
from extraction_jobs import jsonl, sources
from extraction_jobs.messages import Chat, Found, Message
from tests.extraction_jobs.conftest import chat, entry
from tests.extraction_jobs.test_telegram_html import entry as html_entry
from tests.extraction_jobs.test_telegram_html import page

WHATSAPP = "".join(
    f"25.03.2023, 18:{minute} - {name}: грядка {minute}\n"
    for minute, name in enumerate(("Вера", "Глеб") * 10, 10)
)
IOS = "".join(
    f"[25.03.2023, 18:{minute}:07] Вера: \u200eimage omitted\n" for minute in range(10, 30)
)
JSONL = "".join(
    json.dumps({"at": 1679769900 + number, "sender": "Вера", "text": "да", "id": number}) + "\n"
    for number in range(1, 21)
)
HTML = page(*(html_entry(each, f"грядка {each}") for each in range(1, 21)))
TELEGRAM = json.dumps(chat(*(entry(each) for each in range(1, 21))), ensure_ascii=False, indent=1)
EXPORTS = {
    "result.json": ("telegram-json", TELEGRAM),
    "messages.html": ("telegram-html", HTML),
    "WhatsApp Chat with Дача.txt": ("whatsapp", WHATSAPP),
    "_chat.txt": ("whatsapp", IOS),
    "chat.jsonl": ("jsonl", JSONL),
}


def read(path: Path) -> list[Message]:
    return list(sources.read(path, Found()))


def pack(path: Path, members: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def outcome(path: Path, scratch: Path | None = None) -> tuple[set[str], str]:
    """The beginnings of an export's texts, and what it is refused with."""
    texts = set()
    try:
        for message in sources.read(path, Found(), scratch=scratch):
            assert type(message) is Message
            texts.add(message.text[:7])
    except Refusal as refusal:
        return texts, str(refusal)
    return texts, ""


@pytest.mark.parametrize("name", EXPORTS)
@pytest.mark.parametrize("form", ["file", "other name", "folder", "zip", "folder in a zip"])
def test_an_export_is_told_by_its_content(tmp_path: Path, name: str, form: str) -> None:
    kind, text = EXPORTS[name]
    if "zip" in form:
        path = pack(
            tmp_path / "export.zip",
            {f"Дача/{name}" if "folder" in form else name: text, "photo.jpg": b"\xff\xd8\xff"},
        )
    else:
        path = tmp_path / (name if form == "file" else "export/chat" if form != "folder" else name)
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        assert sources.recognise(path) == kind
        path = path.parent if form == "folder" else path
    assert len(read(path)) == 20


@pytest.mark.parametrize("first", ['{"owner": "user1"}', "{broken", '{"text": "?", "at" : 5}', ""])
def test_jsonl_is_told_by_any_of_its_first_lines(tmp_path: Path, first: str) -> None:
    (tmp_path / "result.json").write_text(f"{first}\n{JSONL}", encoding="utf-8")
    assert len(read(tmp_path / "result.json")) == 20


@pytest.mark.parametrize("chat", ["[Дача] соседи", "{", '"at": 1', "я" * 100_000])
def test_what_is_written_anew_is_told_by_any_chats_name(tmp_path: Path, chat: str) -> None:
    message = Message(Chat("1", chat), 1, 5.0, "message", "user1", "Вера", "да")
    with (tmp_path / "result.json").open("wb") as file:
        jsonl.write(file, [message], Found())
    assert read(tmp_path / "result.json") == [message]


def test_a_telegram_export_with_a_line_a_message_is_none_of_ours(tmp_path: Path) -> None:
    lines = ",\n".join(json.dumps(entry(each)) for each in range(1, 21))
    content = f'{{"name": "Дача", "id": 1, "messages": [\n{lines}\n]}}'
    (tmp_path / "result.json").write_text(content, encoding="utf-8")
    assert len(read(tmp_path / "result.json")) == 20


def test_of_a_folder_with_both_the_json_is_read(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(TELEGRAM, encoding="utf-8")
    (tmp_path / "messages.html").write_text(HTML, encoding="utf-8")
    assert {message.chat.name for message in read(tmp_path)} == {"Kitchen"}


def test_all_chats_of_an_archive_are_read_and_attachments_left_out(tmp_path: Path) -> None:
    members: dict[str, str | bytes] = {
        "chats/chat_001/messages.html": page(html_entry(1, "раз")),
        "chats/chat_001/messages2.html": page(html_entry(2, "два")),
        "chats/chat_002/messages.html": page(html_entry(1, "три"), chat="Сад"),
        "lists/chats.html": page().replace("history", "entry_list"),
        "files/notes.txt": "купить грабли",
        "files/book.pdf": b"%PDF",
        "__MACOSX/._chat.txt": b"\x00\x05",
    }
    messages = read(pack(tmp_path / "export.zip", members))
    assert [(message.chat.name, message.text) for message in messages] == [
        ("Дача", "раз"),
        ("Дача", "два"),
        ("Сад", "три"),
    ]


@pytest.mark.parametrize(
    ("archive", "member", "name"),
    [
        ("WhatsApp Chat - Дача.zip", "_chat.txt", "Дача"),
        ("export.zip", "WhatsApp Chat - Дача/_chat.txt", "Дача"),
        ("export.zip", "Чат WhatsApp с Вера.txt", "Вера"),
    ],
)
def test_an_archive_s_name_may_be_the_chat_s(
    tmp_path: Path, archive: str, member: str, name: str
) -> None:
    messages = read(pack(tmp_path / archive, {member: WHATSAPP}))
    assert {message.chat.name for message in messages} == {name}


def test_names_that_windows_packed_in_russian_are_read(tmp_path: Path) -> None:
    name = "Чат WhatsApp с Вера.txt"
    path = pack(tmp_path / "export.zip", {"~" * len(name): WHATSAPP})
    path.write_bytes(path.read_bytes().replace(b"~" * len(name), name.encode("cp866")))
    assert {message.chat.name for message in read(path)} == {"Вера"}


FOREIGN: list[tuple[bytes, str]] = [
    (b"", "empty"),
    (b"\xef\xbb\xbf \n", "empty"),
    (bytes(99), "empty"),
    ("Список: грабли".encode(), "no export"),
    (b'{"sender": "A", "text": "when?"}', "line 1: at is missing"),
    (WHATSAPP.encode("cp1251"), "not in UTF-8"),
    (WHATSAPP.encode("utf-16"), "UTF-16.*save it as UTF-8"),
    (TELEGRAM.encode("utf-16"), "UTF-16.*save it as UTF-8"),
    (b"<html><body>Hello</body></html>", "no export"),
    (b'{"guild": {"id": "1"}, "channel": {}, "messages": []}', "Discord.*JSONL.*docs/export.md"),
    (b"<html><div class=chatlog__message-group>", "Discord"),
    (b'[{"client_msg_id": "a", "type": "message", "text": "hi", "ts": "1.2"}]', "Slack"),
    (b'{"room_name": "Garden", "messages": []}', "Matrix"),
    (b'<html><li class="mx_EventTile">', "Matrix"),
    (b'{"date": "2023-03-25", "sender": "Me", "body": "hi", "quote": ""}', "Signal"),
    (b'{"participants": [], "messages": [{"sender_name": "A", "timestamp_ms": 5}]}', "Instagram"),
    (b'{"count": 2, "items": [{"date": 5, "from_id": 1, "peer_id": 1}]}', "VK"),
    (b'<html><div class="message__header">', "VK"),
    (b'{"id": 7, "messages": [{"id": 1, "type": "message", "file": "", "date": 1700}]}', "tdl"),
    (b"Rar!\x1a\x07\x00", "archive of another kind.*zip"),
    (b"7z\xbc\xaf\x27\x1c", "archive of another kind"),
    (b"\x1f\x8b\x08", "archive of another kind"),
    (b"%PDF-1.7", "PDF or a picture"),
    (b"\x89PNG\r\n", "PDF or a picture"),
    (b"SQLite format 3\x00", "database"),
    (bytes(range(256)), "no export"),
]


@pytest.mark.parametrize(("content", "why"), FOREIGN)
def test_what_is_not_read_is_refused_by_its_name(tmp_path: Path, content: bytes, why: str) -> None:
    path = tmp_path / "export.txt"
    path.write_bytes(content)
    for given in (path, tmp_path, pack(tmp_path / "packed.zip", {"export.txt": content})):
        with pytest.raises(Refusal, match=why) as refused:
            read(given)
        assert str(given) in str(refused.value)


@pytest.mark.parametrize("indent", [None, 1])
def test_what_is_said_in_a_chat_does_not_tell_its_format(
    tmp_path: Path, indent: int | None
) -> None:
    said = '{"guild": 1, "at": 2} <div class="message__header"> 25.03.2023, 18:45 - Вера: "body":1'
    text = json.dumps(chat(entry(1, text=said)), indent=indent)
    (tmp_path / "result.json").write_text(text, encoding="utf-8")
    assert [message.text for message in read(tmp_path / "result.json")] == [said]


def test_a_path_without_a_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="No such file"):
        read(tmp_path / "nothing.json")
    with pytest.raises(Refusal, match="no export in it"):
        read(tmp_path)


def climbing(path: Path) -> None:
    pack(path, {"../../../climbed.json": TELEGRAM, "/climbed.jsonl": JSONL})


def linking(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        link = zipfile.ZipInfo("result.json")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("chat.jsonl", JSONL)


def bomb(path: Path) -> None:
    pack(path, {"result.json": b"[" * (30 << 20)})


def encrypted(path: Path) -> None:
    pack(path, {"chat.jsonl": JSONL})
    content = bytearray(path.read_bytes())
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)


def lying(path: Path) -> None:
    pack(path, {"chat.jsonl": JSONL})
    content = bytearray(path.read_bytes())
    size = content.index(b"PK\x01\x02") + 24
    content[size : size + 4] = (5).to_bytes(4, "little")
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (climbing, None),
        (linking, None),
        (bomb, "grows to 31457280 bytes"),
        (encrypted, "broken or encrypted"),
        (lying, "broken or encrypted"),
        (lambda path: pack(path, {}), "no export in it"),
        (lambda path: pack(path, {"word/document.xml": "<xml>"}), "no export in it"),
        (lambda path: pack(path, {"chat.jsonl/": "", "chat.jsonl": JSONL}), None),
    ],
)
def test_an_archive_stays_in_its_folder_and_in_its_bounds(
    tmp_path: Path, make: Callable[[Path], object], why: str | None
) -> None:
    path, scratch = tmp_path / "export.zip", tmp_path / "a" / "scratch"
    scratch.mkdir(parents=True)
    make(path)
    before = sorted(tmp_path.rglob("*"))
    texts, refusal = outcome(path, scratch)
    assert why is None or why in refusal
    assert bool(refusal) == (str(path) in refusal)
    assert str(scratch) not in refusal
    assert texts <= {"message", "да"}
    assert sorted(tmp_path.rglob("*")) == before


def test_what_was_unpacked_goes_also_when_nobody_reads_on(tmp_path: Path) -> None:
    path, scratch = pack(tmp_path / "export.zip", {"chat.jsonl": JSONL}), tmp_path / "scratch"
    scratch.mkdir()
    messages = sources.read(path, Found(), scratch=scratch)
    next(messages)
    assert list(scratch.iterdir())
    messages.close()  # type: ignore[attr-defined]
    assert not list(scratch.iterdir())


@pytest.mark.parametrize("name", [*EXPORTS, "packed.zip"])
def test_a_damaged_export_gives_messages_or_a_refusal(tmp_path: Path, name: str) -> None:
    chance = random.Random(name)
    path = tmp_path / name
    if name == "packed.zip":
        pack(path, {each: text for each, (_, text) in EXPORTS.items()})
    else:
        path.write_text(EXPORTS[name][1], encoding="utf-8")
    whole = path.read_bytes()
    for _ in range(40):
        damaged = bytearray(whole)
        for _ in range(chance.choice((0, 1, 10, 100))):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        if chance.random() < 0.5:
            del damaged[chance.randrange(len(damaged)) :]
        path.write_bytes(damaged)
        _, refusal = outcome(path)
        assert "\n" not in refusal
        assert bool(refusal) == (str(path) in refusal)
