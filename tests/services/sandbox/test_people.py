"""People edit what they wrote, and send what is not words."""

from typing import Any

import pytest

from tests.services.sandbox.conftest import NOON, Sandbox, heard, running


async def test_a_person_edits_their_own_message(sandbox: Sandbox) -> None:
    said = await sandbox.say("раз")
    body = {"chat": "group", "person": "Аня", "message": said["id"], "text": "@avtobus_bot"}
    assert (await sandbox.post("/api/edit", body))["text"] == "@avtobus_bot"
    first, second = await sandbox.avtobus.get_updates()
    assert (first.event_type, second.event_type) == ("message", "edited_message")
    edited = second.edited_message
    assert edited
    assert (edited.message_id, edited.edit_date) == (said["id"], NOON)
    assert edited.entities
    for change, words in (
        ({}, "not modified"),
        ({"person": "Борис"}, "can't be edited"),
        ({"message": 5}, "message to edit not found"),
        ({"text": " "}, "text is empty"),
    ):
        assert words in await sandbox.refuses("/api/edit", {**body, **change})


async def test_messages_without_words(sandbox: Sandbox) -> None:
    for media, more in (
        ("sticker", {}),
        ("voice", {}),
        ("photo", {"caption": " 🚌 @avtobus_bot ", "album": "a"}),
        ("photo", {"album": "a"}),
    ):
        said = await sandbox.say("", media=media, **more)
        assert (said["media"], said["album"]) == (media, more.get("album"))
    sticker, voice, captioned, bare = await heard(sandbox.avtobus)
    assert sticker.sticker
    assert voice.voice
    assert captioned.photo
    assert bare.photo
    assert captioned.photo != bare.photo
    assert captioned.media_group_id == bare.media_group_id == "a"
    assert (captioned.text, captioned.caption, bare.caption) == (None, "🚌 @avtobus_bot", None)
    assert captioned.caption_entities
    assert captioned.caption_entities[0].extract_from(captioned.caption or "") == "@avtobus_bot"


async def test_a_caption_is_edited_and_a_sticker_is_not(sandbox: Sandbox) -> None:
    photo = await sandbox.say("", media="photo")
    sticker = await sandbox.say("", media="sticker")
    body = {"chat": "group", "person": "Аня", "message": photo["id"], "text": "море"}
    assert (await sandbox.post("/api/edit", body))["text"] == "море"
    assert (await heard(sandbox.avtobus))[-1].caption == "море"
    words = await sandbox.refuses("/api/edit", {**body, "message": sticker["id"]})
    assert "no text in the message" in words


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ({"media": "film"}, "messages: media: "),
        ({"media": "photo", "text": "а"}, "media has a caption"),
        ({"text": "а", "album": "a"}, "go with media"),
        ({"media": "sticker", "caption": "а"}, "a sticker has no caption"),
        ({"media": "photo", "caption": "а" * 1025}, "caption is too long"),
    ],
)
async def test_impossible_contents_are_refused(
    untouched: Sandbox, content: dict[str, Any], words: str
) -> None:
    body = {"chat": "group", "person": "Аня", **content}
    assert words in await untouched.refuses("/api/messages", body)


async def test_privacy_mode_reads_captions() -> None:
    async with running(sandbox_privacy="polkson") as sandbox:
        await sandbox.say("", media="photo", caption="мимо")
        await sandbox.say("", media="photo", caption="эй, @polkson_bot")
        assert [m.caption for m in await heard(sandbox.polkson)] == ["эй, @polkson_bot"]
