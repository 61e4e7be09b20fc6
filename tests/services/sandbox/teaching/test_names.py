"""Bots that get a name on the page, and bots that are deleted."""

import asyncio
import shutil
from pathlib import Path
from typing import Any

import pytest

from contracts.files import locked
from tests.services.sandbox.school import (
    AVTOBUS,
    EXPORT,
    School,
    files,
    listed,
    make,
    named,
    open_school,
)


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"name": "Вася"}, "must be lower-case Latin letters"),
        ({"name": "avtobus"}, "there is a bot of this name already"),
        ({"persona": []}, "persona"),
        ({"called": ["в" * 500]}, "gateway.names"),
    ],
)
async def test_a_name_that_cannot_be_given_changes_nothing(
    school: School, told: dict[str, Any], words: str
) -> None:
    draft, before = await school.upload(EXPORT), files(school.folder / "k8s")
    refusal = await school.post(
        "name", 400, **{"bot": draft, "name": "v", "persona": ["a"], **told}
    )
    assert words in refusal
    assert files(school.folder / "k8s") == before
    assert (await school.view())["bots"][0]["isDraft"]


async def test_deleting_leaves_nothing_and_no_other_bot_can_be_deleted(school: School) -> None:
    before = files(school.folder)
    contents = listed()
    await named(school)
    await school.until("vasya", lambda bot: bot["dataset"])
    await asyncio.gather(*(school.post("delete", bot="vasya") for _ in range(2)))
    assert files(school.folder) == before
    assert listed() == contents
    await school.post("delete", bot="avtobus")
    assert files(school.folder) == before
    assert "is taught here" in await school.post("stop", 400, bot="avtobus")


@pytest.mark.parametrize("done", ["nothing", "lists", "folder"])
async def test_a_deletion_that_was_broken_off_goes_on(checkout: Path, done: str) -> None:
    before, contents = files(checkout), listed()
    async with open_school(checkout) as school:
        await named(school)
        await school.until("vasya", lambda bot: bot["dataset"])
        school.bots.want("vasya", "deletion")
        assert (await school.view())["bots"] == []
    (checkout / "var/models/vasya/versions").mkdir(parents=True)
    if done != "nothing":
        make("remove-bot")
    if done == "folder":
        shutil.rmtree(checkout / "var/models/vasya")
        (checkout / "var/data/vasya").rename(checkout / "var/data/.aside-1")
    async with open_school(checkout) as school:
        assert (await school.view())["bots"] == []
    assert files(checkout) == before
    assert listed() == contents
    assert {path.name for path in (checkout / "var").rglob("*")} == {"data", "models"}


async def test_a_deletion_that_fails_is_shown_and_can_be_done_later(
    school: School, checkout: Path
) -> None:
    await named(school)
    await school.until("vasya", lambda bot: bot["dataset"])
    listing = checkout / "k8s/bots/kustomization.yaml"
    content = listing.read_text(encoding="utf-8")
    listing.unlink()
    await school.post("delete", bot="vasya")
    assert (await school.view())["bots"][0]["problem"] == "make has failed"
    listing.write_text(content, encoding="utf-8")
    await school.post("delete", bot="vasya")
    assert (await school.view())["bots"] == []
    assert "vasya" not in listed()


@pytest.mark.parametrize("done", ["file", "lists", "folder", "rename"])
async def test_a_name_that_was_being_given_is_given(checkout: Path, done: str) -> None:
    text = f"name: vasya\nextraction: {{persona: {AVTOBUS}}}\n"
    async with open_school(checkout) as school:
        draft = await school.upload(EXPORT)
        await school.until(draft, lambda bot: bot.get("senders"))
        school.bots.change(draft, naming=text)
    bots, new = checkout / "k8s/bots", checkout / "new.yaml"
    if done != "file":
        new.write_text(text)
        make("new-bot", f"FILE={new}")
    if done == "lists":
        (bots / "vasya").rename(bots / ".vasya")
    if done == "rename":
        (checkout / "var/data" / draft).rename(checkout / "var/data/vasya")
    async with open_school(checkout) as school:
        shown = await school.until("vasya", lambda bot: bot["dataset"])
        assert not shown["isDraft"]
        assert shown["text"] == text
        assert listed().count("vasya.yaml=vasya/bot.yaml") == 1
        assert not (bots / ".vasya").exists()


async def test_a_name_that_somebody_else_has_taken_meanwhile_stays_theirs(checkout: Path) -> None:
    async with open_school(checkout) as school:
        draft = await school.upload(EXPORT)
        await school.until(draft, lambda bot: bot.get("senders"))
        school.bots.change(draft, naming="name: vasya\n")
    make("new-bot")
    before = files(checkout / "k8s")
    async with open_school(checkout) as school:
        await school.until(draft, lambda bot: bot.get("senders"))
        told: dict[str, Any] = {"bot": draft, "name": "petya", "persona": [AVTOBUS]}
        assert await school.post("name", **told) == "petya"
        await school.post("delete", bot="petya")
    assert files(checkout / "k8s") == before


async def test_of_two_that_want_one_name_at_once_the_other_takes_another(school: School) -> None:
    drafts = [await school.upload(EXPORT) for _ in range(2)]
    told: dict[str, Any] = {"name": "vasya", "persona": [AVTOBUS]}
    asked = [{"bot": draft, **told} for draft in drafts]
    urls = [school.http.post(f"{school.url}/api/teaching/name", json=each) for each in asked]
    answers = await asyncio.gather(*urls)
    assert sorted(answer.status for answer in answers) == [200, 400]
    [loser] = [each for each, answer in zip(asked, answers, strict=True) if answer.status == 400]
    assert await school.post("name", **{**loser, "name": "petya"}) == "petya"
    assert {each["bot"] for each in (await school.view())["bots"]} == {"vasya", "petya"}


async def test_a_name_that_cannot_be_given_now_can_be_given_later(
    school: School, checkout: Path
) -> None:
    draft = await school.upload(EXPORT)
    told: dict[str, Any] = {"bot": draft, "name": "vasya", "persona": [AVTOBUS]}
    before, listing = files(checkout / "k8s"), checkout / "k8s/bots/kustomization.yaml"
    content = listing.read_text(encoding="utf-8")
    listing.unlink()
    assert "make has failed" in await school.post("name", 400, **told)
    assert (await school.view())["bots"][0]["isDraft"]
    listing.write_text(content, encoding="utf-8")
    assert await school.post("name", **{**told, "name": "petya"}) == "petya"
    assert "petya.yaml=petya/bot.yaml" in listed()
    await school.post("delete", bot="petya")
    assert files(checkout / "k8s") == before


async def test_what_others_have_put_there_stays(checkout: Path) -> None:
    own, upload, at_work = (
        checkout / "var/data" / name for name in ("draft-1", ".aside-1", ".aside-2")
    )
    for folder in (own, upload, at_work):
        (folder / "exports").mkdir(parents=True)
    with locked(at_work, "busy"):
        async with open_school(checkout):
            assert (own.exists(), upload.exists(), at_work.exists()) == (True, False, True)
