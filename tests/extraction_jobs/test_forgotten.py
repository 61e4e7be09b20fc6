"""The stored export after somebody in it asked to be forgotten: written anew without them."""

import json
import os
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result
from typer.testing import CliRunner

from contracts.dataset import CARD, HELDOUT, TRAIN
from contracts.forget import Forgotten, append
from contracts.refusal import Refusal
from extraction_jobs import sources
from extraction_jobs.build_dataset import app
from extraction_jobs.messages import Found, Message
from extraction_jobs.stored_export import Source
from tests.conftest import SmallDisk
from tests.extraction_jobs.conftest import IDS, Entry, Save, chat, entry

SETTINGS = "name: polkson\nextraction: {persona: Anna}\n"
THEIRS = [
    entry(3, "Boris", "PLANTED text"),
    entry(4, "Boris", ["PLANTED ", {"type": "bold", "text": "PLANTED"}]) | {"via_bot": "@gif"},
    entry(5, "Boris") | {"type": "service", "actor": "Boris", "actor_id": f"user{IDS['Boris']}"},
    entry(6, "Boris") | {"from_id": IDS["Boris"]},  # as before 2021
    entry(7, "Clara", "PLANTED copy") | {"forwarded_from": "Boris"},
    entry(8, "Clara", "PLANTED copy") | {"saved_from": "Boris"},
    entry(9, "Boris", "PLANTED caption") | {"photo": "photos/1.jpg", "width": 7},
]
OTHERS = [
    entry(1, "Clara", 'who is there? \\ " \u2028'),
    entry(2, "Anna", ["it is me, ", {"type": "bold", "text": "Boris"}]),
    entry(10, "Clara", "news") | {"forwarded_from": "News"},
    entry(11, "Clara", "") | {"location_information": {"latitude": 55.750000, "n": -1.5e-7}},
    {"id": 12, "type": "unsupported"},
    entry(13, "Anna", "bye") | {"reactions": [{"type": "emoji", "count": 2, "recent": None}]},
]
SINGLE = chat(*OTHERS[:2], *THEIRS, *OTHERS[2:], empty=[], nothing={}, last=True)
ACCOUNT = {
    "about": "Here is the data you requested.",
    "contacts": {"list": [{"user_id": 123456789012345678901, "rating": 0.5}]},
    "personal_information": {"user_id": IDS["Anna"]},
    "chats": {"about": "All chats.", "list": [chat(*OTHERS, *THEIRS), chat(*THEIRS, id=78)]},
    "left_chats": {"list": [chat(THEIRS[0], OTHERS[0], id=79), {"name": "none", "messages": []}]},
}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The bot's folder on the volume; Boris is on its list."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("LOG_FORMAT", "json")
    folder = tmp_path / "data" / "polkson"
    (folder / "exports").mkdir(parents=True)
    append(folder / "forget" / "forget.jsonl", Forgotten(user_id=IDS["Boris"], at=1.0))
    return folder


@pytest.fixture
def extract(tmp_path: Path, data: Path) -> Callable[..., Result]:
    bot = tmp_path / "polkson.yaml"
    bot.write_text(SETTINGS, encoding="utf-8")
    return lambda *words: CliRunner().invoke(app, ["--bot", str(bot), *map(str, words)])


def write(path: Path, content: object) -> Path:
    path.write_text(json.dumps(content, ensure_ascii=False, indent=1), encoding="utf-8")
    return path


def read(path: Path) -> tuple[list[Message], str | None]:
    """The messages of an export, and whose it is."""
    found = Found()
    return list(sources.read(path, found)), found.owner


def is_theirs(message: Message) -> bool:
    return message.id in {each["id"] for each in THEIRS}


def is_boris(message: Message) -> bool:
    return message.sender_name == "Boris"


def rewrite(path: Path, is_unwanted: Callable[[Message], bool]) -> int:
    return Source.of(path).rewrite(is_unwanted, path.parent)[1]


@pytest.mark.parametrize("content", [SINGLE, ACCOUNT], ids=["a chat", "an account"])
def test_their_messages_go_and_everything_else_stays_as_it_was(
    data: Path, extract: Callable[..., Result], content: Entry
) -> None:
    export = write(data / "exports" / "result.json", content)
    export.chmod(0o600)
    messages, owner = read(export)
    done = extract()
    assert done.exit_code == 0, done.output
    assert "PLANTED" not in export.read_text(encoding="utf-8")
    assert read(export) == ([each for each in messages if not is_theirs(each)], owner)
    assert export.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in data.glob("exports/*")] == ["result.json"]


def test_the_data_set_is_the_same_with_them_left_out_or_taken_out(
    data: Path, extract: Callable[..., Result], tmp_path: Path
) -> None:
    given = write(tmp_path / "given.json", SINGLE)
    write(data / "exports" / "result.json", SINGLE)
    assert extract("--input", given, "--output", tmp_path / "left-out").exit_code == 0
    assert json.loads(given.read_text(encoding="utf-8")) == SINGLE  # it is not ours
    assert extract().exit_code == 0
    for name in (TRAIN, HELDOUT):
        left_out, taken_out = tmp_path / "left-out" / name, data / "dataset" / name
        assert left_out.read_bytes() == taken_out.read_bytes()
    card = json.loads((data / "dataset" / CARD).read_bytes())
    assert (card["messages_read"], card["dropped"]["forgotten"]) == (13, len(THEIRS))
    assert extract().exit_code == 0  # from what was written anew
    for name in (TRAIN, HELDOUT):
        left_out, again = tmp_path / "left-out" / name, data / "dataset" / name
        assert left_out.read_bytes() == again.read_bytes()


@pytest.mark.parametrize("keep", ["true", "false"])
def test_copies_of_their_words_are_not_read_though_only_the_export_tells_their_name(
    data: Path, extract: Callable[..., Result], tmp_path: Path, keep: str
) -> None:
    settings = SETTINGS.replace("}", f", keep_forwards: {keep}}}")
    (tmp_path / "polkson.yaml").write_text(settings, encoding="utf-8")
    given = write(tmp_path / "given.json", chat(*THEIRS[4:], *THEIRS[:4], *OTHERS))
    assert extract("--input", given, "--output", tmp_path / "out").exit_code == 0
    for path in (tmp_path / "out").iterdir():
        assert "PLANTED" not in path.read_text(encoding="utf-8")


def test_it_is_written_once_and_then_unchanged(data: Path, extract: Callable[..., Result]) -> None:
    export = write(data / "exports" / "result.json", SINGLE)
    before = export.stat().st_ino
    assert extract("--skip-unchanged").exit_code == 0
    after = export.stat()
    assert after.st_ino != before
    assert '"unchanged"' in extract("--skip-unchanged").stderr
    assert extract().exit_code == 0
    assert export.stat() == after
    append(data / "forget" / "forget.jsonl", Forgotten(user_id=IDS["Clara"], at=2.0))
    assert '"unchanged"' not in extract("--skip-unchanged").stderr
    assert "who is there?" not in export.read_text(encoding="utf-8")


def test_memory_does_not_grow_with_the_export(save: Save) -> None:
    peaks = []
    for count in (1500, 4500):
        export = save(
            chat(*(entry(n, "Boris" if n % 9 else "Anna", "x" * 1000) for n in range(count)))
        )
        tracemalloc.start()
        assert rewrite(export, is_boris) > count / 2
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]


def test_a_persona_who_asked_is_refused_and_nobody_takes_the_place(
    data: Path, extract: Callable[..., Result]
) -> None:
    export = write(data / "exports" / "result.json", SINGLE)
    append(data / "forget" / "forget.jsonl", Forgotten(user_id=IDS["Anna"], at=2.0))
    for persona in ("Anna", "auto"):
        if persona == "auto":
            append(data / "forget" / "forget.jsonl", Forgotten(user_id=IDS["Clara"], at=2.0))
        done = extract("--persona", persona)
        assert (done.exit_code, "asked to be forgotten" in done.stderr) == (2, True)
        assert json.loads(export.read_text(encoding="utf-8")) == SINGLE


def test_where_too_little_is_left_nothing_changes(
    data: Path, extract: Callable[..., Result]
) -> None:
    export = write(data / "exports" / "result.json", chat(*THEIRS, *OTHERS))
    assert extract("--persona", "Clara").exit_code == 0
    write(export, chat(*THEIRS))
    before = {path: path.read_bytes() for path in data.rglob("[!.]*.*")}
    done = extract("--persona", "whole-chat")
    assert (done.exit_code, "nothing to learn from" in done.stderr) == (2, True)
    assert {path: path.read_bytes() for path in before} == before


def test_an_upload_that_ends_meanwhile_is_kept(save: Save) -> None:
    export, new = save(chat(*THEIRS, *OTHERS)), chat(entry(1, "Anna", "new"))

    def is_unwanted(message: Message) -> bool:
        upload = export.with_name("result.json.upload")
        write(upload, new).replace(export)
        return is_boris(message)

    with pytest.raises(Refusal, match="changed meanwhile; start again"):
        rewrite(export, is_unwanted)
    assert json.loads(export.read_bytes()) == new
    assert [path.name for path in export.parent.iterdir()] == [export.name]


def test_what_killed_jobs_and_uploads_left_of_exports_goes_too(
    data: Path, extract: Callable[..., Result]
) -> None:
    write(data / "exports" / "result.json", SINGLE)
    part, upload = (data / "exports" / f"result.json.{end}" for end in ("part", "upload"))
    part.touch()
    upload.touch()
    assert extract().exit_code == 0
    assert (part.exists(), upload.exists()) == (False, True)  # somebody uploads
    os.utime(upload, (0, time.time() - 3700))
    assert extract().exit_code == 0
    assert not upload.exists()


def test_a_full_disk_leaves_the_export_and_the_data_set_as_they_were(
    data: Path,
    extract: Callable[..., Result],
    small_disk: SmallDisk,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    volume = small_disk.folder / "polkson"
    monkeypatch.setenv("DATA_DIR", str(small_disk.folder))
    (volume / "exports").mkdir(parents=True)
    long = [entry(100 + number, "Anna", "long " * 450) for number in range(200)]
    export = write(volume / "exports" / "result.json", chat(*THEIRS, *OTHERS, *long))
    before = export.read_bytes()
    assert extract("--persona", "Clara").exit_code == 0
    dataset = (volume / "dataset" / TRAIN).read_bytes()
    append(volume / "forget" / "forget.jsonl", Forgotten(user_id=IDS["Boris"], at=1.0))
    small_disk.fill(leave=100_000)
    done = extract()
    assert (done.exit_code, done.stderr.count("\n")) == (2, 1)
    assert "cannot be written anew (No space left on device)" in done.stderr
    assert export.read_bytes() == before
    assert (volume / "dataset" / TRAIN).read_bytes() == dataset
    assert [path.name for path in volume.glob("exports/*")] == ["result.json"]
    small_disk.free()
    assert extract().exit_code == 0
    assert b"PLANTED" not in export.read_bytes()
