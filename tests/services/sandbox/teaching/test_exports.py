"""From an export to the start of training on the page, and what is refused on the way."""

import asyncio
import json
import sys
import zipfile
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from contracts.bot_file import BotFile
from services.sandbox.teacher import Teacher
from tests.conftest import SmallDisk, open_to_others, toy_export
from tests.services.sandbox.school import (
    AVTOBUS,
    EXPORT,
    NINA,
    School,
    files,
    listed,
    named,
    open_school,
)


async def test_an_export_becomes_a_data_set_of_a_bot_that_is_described(school: School) -> None:
    draft = await school.upload(EXPORT, name="../chat/ChatExport.json")
    shown = await school.until(draft, lambda bot: bot.get("senders"))
    assert (shown["file"], shown["bytes"], shown["isDraft"]) == (
        "ChatExport.json",
        len(EXPORT),
        True,
    )
    counts = {each["id"]: each["messages"] for each in shown["senders"]}
    assert counts == {AVTOBUS: 160, NINA: 160}
    told: dict[str, Any] = {"bot": draft, "persona": [AVTOBUS, NINA]}
    assert await school.post("name", name="vasya", called=["вася", "вась"], **told) == "vasya"
    shown = await school.until("vasya", lambda bot: bot["dataset"])
    assert shown["dataset"]["persona_messages"] == 320
    assert shown["reports"] == ["dataset"]
    assert shown["folder"] == "var/data/vasya"
    file = BotFile.read(Path("k8s/bots/vasya"))
    assert file.sections["extraction"] == {"persona": [AVTOBUS, NINA]}
    assert file.sections["gateway"] == {"names": ["вася", "вась"]}
    assert "vasya.yaml=vasya/bot.yaml" in listed()
    assert open_to_others(Path("var/data/vasya")) == []
    async with school.http.get(f"{school.url}/api/teaching/reports/vasya/dataset") as report:
        assert "default-src 'none'" in report.headers["content-security-policy"]
    assert {path.parts[2] for path in files(Path("var"))} == {"vasya"}


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x89PNG\r\n", "this is a PDF or a picture"),
        (b'{"a": 1}', "no export of Telegram or WhatsApp"),
        (b"", "is empty"),
        (b'{"name": "a", "type": "private_group", "id": 7, "messages": []}', "nothing to learn"),
    ],
)
async def test_what_is_no_export_is_said(school: School, content: bytes, words: str) -> None:
    draft = await school.upload(content)
    assert words in (await school.until(draft, lambda bot: bot["problem"]))["problem"]
    await school.post("delete", bot=draft)
    assert (await school.view())["bots"] == []


def zipped(name: str, content: bytes) -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr(name, content)
    return packed.getvalue()


@pytest.mark.parametrize(
    "content",
    [
        zipped("ChatExport/result.json", EXPORT),
        "[01.02.24, 10:00:00] Нина: привет\n[01.02.24, 10:01:00] Автобус: едем\n".encode(),
        b'{"at": "2024-02-01T10:00:00Z", "sender": "a", "text": "hi"}\n',
    ],
)
async def test_exports_of_other_kinds_are_read(school: School, content: bytes) -> None:
    draft = await school.upload(content)
    shown = await school.until(draft, lambda bot: bot.get("senders"))
    assert all(each["messages"] for each in shown["senders"])


async def test_a_whole_chat_is_learned(school: School) -> None:
    await named(school, persona="whole-chat")
    shown = await school.until("vasya", lambda bot: bot["dataset"])
    assert shown["dataset"]["persona_messages"] == 320


async def test_an_export_that_is_too_large_leaves_nothing(checkout: Path) -> None:
    async with open_school(checkout, most_bytes=100) as school:
        assert "at most 100 bytes" in await school.upload(EXPORT, 413)

        async def broken_off() -> AsyncIterator[bytes]:
            yield b"{"
            raise OSError

        with pytest.raises(OSError):  # noqa: PT011 (the client's own)
            await school.upload(broken_off())
        while files(checkout / "var"):  # until the server gets to know it
            await school.view()


async def test_a_full_disk_is_said_and_nothing_stays(
    small_disk: SmallDisk, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATA_DIR", str(small_disk.folder))
    small_disk.fill(leave=50_000)
    async with open_school(checkout) as school:
        assert "no room for the export" in await school.upload(bytes(10**6), 507)
        assert [path.name for path in files(small_disk.folder)] == ["filler"]
        small_disk.free()
        draft = await school.upload(EXPORT)
        await school.until(draft, lambda bot: bot.get("senders"))
        small_disk.fill()
        told: dict[str, Any] = {"bot": draft, "name": "vasya", "persona": [AVTOBUS]}
        assert "No space left on device" in await school.post("name", 400, **told)


async def test_a_bot_that_is_being_stopped_keeps_no_other_waiting(
    school: School, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = [await school.upload(EXPORT) for _ in range(2)]
    ended, halt = asyncio.Event(), Teacher._halt

    async def halt_slowly(teacher: Teacher, bot: str) -> None:
        if bot == first:
            await ended.wait()
        await halt(teacher, bot)

    monkeypatch.setattr(Teacher, "_halt", halt_slowly)
    stopping = asyncio.create_task(school.post("stop", bot=first))
    await school.until(first, lambda bot: bot["wanted"] == "")
    told: dict[str, Any] = {"bot": second, "name": "Вася", "persona": [AVTOBUS]}
    assert "lower-case" in await school.post("name", 400, **told)
    ended.set()
    await stopping


async def test_a_foreign_page_and_a_form_can_leave_no_export(school: School) -> None:
    url = f"{school.url}/api/teaching/exports"
    for headers, status in (
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/json"}, 415),
        ({"content-type": "application/octet-stream", "origin": "http://evil.example"}, 403),
    ):
        async with school.http.put(url, data=EXPORT, headers=headers) as answer:
            assert answer.status == status
    assert (await school.view())["bots"] == []


async def test_of_a_sender_with_two_messages_it_says_what_to_expect(school: School) -> None:
    few = {**toy_export(), "messages": toy_export()["messages"][:2]}  # type: ignore[index]
    await named(school, json.dumps(few).encode(), NINA)
    shown = await school.until("vasya", lambda bot: bot["dataset"])
    assert shown["dataset"]["warnings"][0].startswith("1 persona turns: expect it to repeat them")


async def test_a_bots_file_is_changed_where_no_stage_refuses_it(school: School) -> None:
    await named(school)
    for text, words in (
        ("name: vasya\ngateway: {insanity: maybe}\n", "gateway.insanity"),
        ("name: vasya\ntraining: {epochs: 0}\n", "training.epochs"),
        ("name: vasya\nextraction: {voice: a}\n", "extraction.voice: unknown key"),
        ("name: petya\n", "name: must stay vasya"),
        ("name: [", "not valid YAML"),
    ):
        assert words in await school.post("file", 400, bot="vasya", text=text)
    text = "name: vasya  # he\nextraction: {persona: user1}\n"
    await school.post("file", bot="vasya", text=text)
    assert (await school.view())["bots"][0]["text"] == text


async def test_what_was_wrong_is_told_no_more_once_the_file_is_put_right(school: School) -> None:
    await named(school)
    await school.until("vasya", lambda bot: bot["dataset"])
    await school.post("file", bot="vasya", text="name: vasya\nextraction: {persona: Пётр}\n")
    await school.post("stop", bot="vasya")  # it counts what a training costs
    (school.folder / "var/data/vasya/dataset/dataset.json").unlink()
    await school.post("learn", bot="vasya")
    wrong = await school.until("vasya", lambda bot: bot["problem"])
    assert wrong["problem"].startswith("persona 'Пётр' wrote nothing usable")
    await school.post("file", bot="vasya", text="name: vasya\nextraction: {persona: user1}\n")
    assert (await school.view())["bots"][0]["problem"] == ""


async def test_what_is_wrong_with_one_bots_files_concerns_no_other(
    school: School, checkout: Path
) -> None:
    await named(school)
    await school.until("vasya", lambda bot: bot["dataset"])
    (checkout / "k8s/bots/vasya/bot.yaml").write_text("name: [")
    assert "not valid YAML" in await school.post("learn", 400, bot="vasya", base="demo")
    (checkout / "k8s/bots/vasya/bot.yaml").write_bytes("name: вася".encode("cp1251"))
    assert [bot["bot"] for bot in (await school.view())["bots"]] == ["vasya"]
    (checkout / "var/data/vasya/teaching.json").write_text("{")
    draft = await school.upload(EXPORT)
    assert [bot["bot"] for bot in (await school.view())["bots"]] == [draft]


async def test_a_base_is_written_into_the_file_that_one_has(school: School) -> None:
    await named(school)
    text = "name: vasya  # he\nextraction: {persona: user1}\n"
    await school.post("file", bot="vasya", text=text)
    await school.post("learn", bot="vasya", base="a/large")
    shown = (await school.view())["bots"][0]
    assert shown["text"] == f"{text}training:\n  base: a/large\n"
    assert shown["base"] == "a/large"
    await school.post("learn", bot="vasya", base="demo")
    assert (await school.view())["bots"][0]["base"] == "demo"
    for text in ("name: vasya\ntraining:  # none\n", "{name: vasya}\n"):
        await school.post("file", bot="vasya", text=text)
        await school.post("learn", bot="vasya", base="a/large")
        assert (await school.view())["bots"][0]["base"] == "a/large"


async def test_one_is_trained_at_a_time_and_what_was_wanted_is_gone_on_with(
    checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Jobs are a script here, which trains until there is a file with the bot's name."""
    async with open_school(checkout) as school:
        for name in ("anna", "boris"):
            draft = await school.upload(EXPORT)
            await school.post("name", bot=draft, name=name, persona=[AVTOBUS])
            await school.until(name, lambda bot: bot["dataset"])
    script = checkout / "python"
    script.write_text(
        '#!/bin/sh\nuntil [ -e "done-$(basename $(dirname $4))" ]; do sleep .1; done\n'
    )
    script.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(script))
    async with open_school(checkout) as school:
        for name in ("anna", "boris", "anna"):  # pressing it twice is as once
            await school.post("learn", bot=name)
        shown = await school.until("boris", lambda bot: bot["isWaiting"])
        assert not shown["isWorking"]
        assert (await school.until("anna", lambda bot: bot["isWorking"]))["wanted"] == "model"
    async with open_school(checkout) as school:
        await school.until("anna", lambda bot: bot["isWorking"])
        await school.post("stop", bot="anna")
        await school.until("boris", lambda bot: bot["isWorking"])
        (checkout / "done-boris").touch()
        await school.until("boris", lambda bot: bot["wanted"] == "")
        assert list(school.gateways.served) == ["boris"]
        async with school.http.get(f"{school.url}/api/state") as state:
            assert [bot["name"] for bot in (await state.json())["bots"]][-1] == "boris"
        await school.post("delete", bot="boris")
        assert not school.gateways.served
        assert (await school.view())["bots"][0]["wanted"] == ""


async def test_what_cannot_be_installed_is_one_line_and_tried_again(checkout: Path) -> None:
    (checkout / ".venv/.ready").unlink()
    (checkout / "requirements/install.sh").write_text(
        "#!/bin/sh\necho ERROR: no network >&2\nexit 1\n"
    )
    (checkout / "requirements/install.sh").chmod(0o700)
    async with open_school(checkout) as school:
        await school.post("install")
        while not (told := (await school.view())["packages"])["problem"]:
            pass
        assert told["problem"].endswith("cannot be installed: no network")
        assert not told["isReady"]
        for name in (".venv/.serving", ".venv/.ready", "protos/generation/v1/generation_pb2.py"):
            (checkout / name).touch()
        (checkout / "protos/generation/v1/generation_pb2.pyi").touch()
        await school.post("install")
        while not (await school.view())["packages"]["isReady"]:
            pass
