"""Whatever names and values an export holds, it ends in a data set or in one clear line."""

import errno
import json
import os
import random
import time
import zipfile
from pathlib import Path
from typing import Any, NoReturn

import pytest

from contracts.dataset import read_card
from contracts.refusal import Refusal
from extraction_jobs import sources
from extraction_jobs.messages import Found
from extraction_jobs.stored_export import Source
from tests.extraction_jobs.conftest import Command, Save, chat, entry
from tests.extraction_jobs.test_sources import EXPORTS, HTML, JSONL, WHATSAPP, outcome, pack

NO_UTF8 = os.fsdecode("Дача".encode("cp1251"))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (f"{NO_UTF8}.txt", WHATSAPP),
        (f"{NO_UTF8}.jsonl", JSONL),
        (f"chat_{NO_UTF8}/messages.html", HTML),
    ],
    ids=["whatsapp", "jsonl", "html"],
)
@pytest.mark.parametrize("form", ["file", "folder", "zip"])
def test_a_name_that_is_not_in_utf8_is_as_good_as_any(
    command: Command, tmp_path: Path, name: str, text: str, form: str
) -> None:
    path = tmp_path / "exports" / name
    path.parent.mkdir(parents=True)
    path.write_text(text, encoding="utf-8")
    (path.parent / f"{NO_UTF8}.mp4").touch()
    if form == "folder":
        path = tmp_path / "exports"
    if form == "zip":
        path = pack(tmp_path / f"{NO_UTF8}.zip", {f"messages{path.suffix}": text})
    result = command(input=path, persona="auto")
    assert result.exit_code == 0, result.output
    listed = command(input=path, list_senders=True)
    assert (listed.exit_code, listed.stdout.isascii()) == (0, False), listed.output


@pytest.mark.parametrize("zone", ["Europe/Moscow", "America/Los_Angeles"])
@pytest.mark.parametrize("at", [0, 1, 253402261199, 253402300799, 253402300800, 10**12])
def test_a_time_is_told_in_every_zone_or_unreadable(
    command: Command, monkeypatch: pytest.MonkeyPatch, zone: str, at: int
) -> None:
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    lines = [{"at": each, "sender": "Anna", "text": "да"} for each in (at, 5)]
    odd = "\n".join(json.dumps(line) for line in lines).encode()
    try:
        for content in (odd, chat(entry(1), entry(2) | {"date_unixtime": str(at)})):
            result = command(content)
            assert result.exit_code == 0, result.output
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_damaged_archive_of_any_method_gives_messages_or_a_refusal(
    tmp_path: Path, method: int
) -> None:
    chance, path = random.Random(method), tmp_path / "export.zip"
    with zipfile.ZipFile(path, "w", method) as archive:
        archive.writestr("чат\n.jsonl", JSONL)
    whole = path.read_bytes()
    for _ in range(100):
        damaged = bytearray(whole)
        for _ in range(chance.choice((1, 3, 10))):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        path.write_bytes(damaged)
        texts, refusal = outcome(path)
        assert texts or refusal
        assert "None" not in refusal


ATTACHED = [
    '{"name": "grabli", "version": "1.0"}',
    "{ // comment\n}",
    "[1]",
    '{"a": {"chats": 1}',
    "да",
]


@pytest.mark.parametrize("export", ["result.json", "RESULT.JSON", "messages.html"])
@pytest.mark.parametrize("form", ["folder", "zip"])
def test_texts_that_people_sent_do_not_cost_the_export(
    tmp_path: Path, export: str, form: str
) -> None:
    sent = {f"files/{number}.json": text for number, text in enumerate(ATTACHED)}
    path = pack(tmp_path / "export.zip", {**sent, export: EXPORTS[export.lower()][1]})
    if form == "folder":
        zipfile.ZipFile(path).extractall(tmp_path / "export")
        path = tmp_path / "export"
    assert len([*sources.read(path, Found())]) == 20


def test_telegrams_json_is_told_by_what_holds_the_messages(tmp_path: Path) -> None:
    lines = ",\n".join(json.dumps(entry(each), ensure_ascii=False) for each in (1, 2))
    path = tmp_path / "result.json"
    for head in ('{"name": "C", "id": 5,', '{"about": "", "chats": {"list": [{"id": 5,'):
        path.write_text(f'{head}"messages": [\n{lines}\n]' + "}]}}"[: 3 * ("chats" in head)] + "}")
        assert len([*sources.read(path, Found())]) == 2
    said = "да\u2028[12.03.2023, 18:45:07] Анна: нет\x85[12.03.2023, 18:45:07] Анна: да"
    path.write_text(json.dumps(chat(entry(1, text=said)), ensure_ascii=False), encoding="utf-8")
    assert [message.text for message in sources.read(path, Found())] == [said]


def test_a_disk_that_is_full_is_not_the_fault_of_the_archive(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = pack(tmp_path / "export.zip", {"chat.jsonl": JSONL})
    monkeypatch.setattr(zipfile.ZipFile, "extractall", fail)
    with pytest.raises(Refusal, match=f"unpacked in {tmp_path} \\(No space left on device"):
        list(sources.read(path, Found(), scratch=tmp_path))


def test_a_folder_s_media_are_not_read_and_its_texts_are_hashed(
    command: Command, output: Path, tmp_path: Path
) -> None:
    (folder := tmp_path / "export").mkdir()
    (folder / "result.json").write_text(EXPORTS["result.json"][1])
    os.mkfifo(folder / "video.mp4")  # to read it would take for ever
    options = {"input": folder, "persona": "auto", "skip_unchanged": True}
    assert command(**options).exit_code == 0
    card = read_card(output)
    assert len(card.inputs["export"]) == 64
    assert card.sizes == {"export": (folder / "result.json").stat().st_size}
    (folder / "more.mp4").write_bytes(b"new")
    assert "unchanged" in command(**options).stderr
    (folder / "messages2.html").write_text(HTML)
    assert "unchanged" not in command(**options).stderr
    assert read_card(output).inputs != card.inputs


def test_a_text_of_a_folder_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "result.json").write_text(EXPORTS["result.json"][1])
    source = Source.of(tmp_path)
    (tmp_path / "result.json").write_text("{}")  # which leaves the folder's own time as it was
    with pytest.raises(Refusal, match="changed meanwhile"):
        source.refuse_changed()


EMPTY = {
    "empty": (chat(), "nothing to learn from in 0 messages (empty)"),
    "service": (chat(entry(1) | {"type": "service"}), "in 1 messages (service 1)"),
    "deep": (
        b'{"messages": [\n' + b"[" * 5000 + b"]" * 5000 + b"\n]}",
        "in 0 messages (unreadable_json 1)",
    ),
}


@pytest.mark.parametrize("options", [{"persona": "auto"}, {"list_senders": True}])
@pytest.mark.parametrize("name", EMPTY)
def test_of_chats_without_words_it_is_said_where_and_what_was_in_them(
    command: Command, save: Save, name: str, options: dict[str, Any]
) -> None:
    content, told = EMPTY[name]
    path = save(content)
    result = command(input=path, **options)
    assert result.exit_code == 2
    assert result.stderr == f"error: {path}: nothing to learn from in {told.split('in ', 1)[1]}\n"


def test_much_that_cannot_be_read_is_warned_of_and_logged(command: Command) -> None:
    result = command(chat(entry(1), *(entry(each) | {"date_unixtime": "x"} for each in (2, 3))))
    assert '"repaired": {"unreadable_date": 2}' in result.stderr
    assert "2 of 3 messages cannot be read: unreadable_date" in result.stderr


ESCAPE = "\x1b[2J\x9b\n\u2028\u202e"


def test_a_terminal_obeys_no_export(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = {"at": 5, "sender": f"A{ESCAPE}", "name": f"Анна{ESCAPE}", "chat": f"C{ESCAPE}"}
    (folder := tmp_path / "chats").mkdir()
    path = folder / f"{{x}}[b]{ESCAPE}.jsonl"
    path.write_text(json.dumps(line | {"text": "да"}), encoding="utf-8")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    shown = command(input=path, list_senders=True)
    assert (shown.exit_code, shown.stdout.count("\n")) == (0, 1)
    told = command(input=path, persona="Анн").stderr.partition("error: ")[2]
    (folder / f"b{ESCAPE}.json").write_text('{"messages": [}')
    refused = command(input=folder, persona="auto").stderr.partition("error: ")[2]
    for each in (shown.stdout, told, refused):
        assert each[:-1].isprintable(), each
    assert "did you mean Анна" in told
