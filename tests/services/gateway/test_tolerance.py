"""A message that a person can read is read: one odd field takes nothing else away."""

from typing import Any

import pytest

from tests.services.gateway.conftest import TEXTS, World
from tests.services.gateway.generation import candidate
from tests.services.gateway.telegram import PHOTO, entity, group, instead, person, private

ODD: list[Any] = ["странное", 7, True, [], {}, [None], {"type": "hologram", "id": "7"}, None]
SAID = group("раньше", sender=person(8))
ORIGIN = {"type": "user", "date": 1, "sender_user": person(8)}
PLACES: dict[str, dict[str, Any]] = {
    "answered media": {"reply_to_message": {**SAID, "paid_media": ...}},
    "answered text": {"reply_to_message": {**SAID, "text": ...}},
    "answered sender": {"reply_to_message": {**SAID, "from": ...}},
    "answered sender's id": {"reply_to_message": {**SAID, "from": {**person(8), "id": ...}}},
    "answered chat as sender": {"reply_to_message": {**SAID, "sender_chat": ...}},
    "answered date": {"reply_to_message": {**SAID, "date": ...}},
    "answered id": {"reply_to_message": {**SAID, "message_id": ...}},
    "answered topic": {"reply_to_message": {**SAID, "forum_topic_created": ...}},
    "answered": {"reply_to_message": ...},
    "quote": {"reply_to_message": SAID, "quote": ...},
    "quoted words": {"reply_to_message": SAID, "quote": {"text": ..., "position": ...}},
    "elsewhere": {"external_reply": ...},
    "elsewhere's origin": {"external_reply": {"origin": ...}},
    "elsewhere's sender": {"external_reply": {"origin": {**ORIGIN, "sender_user": ...}}},
    "elsewhere's chat": {"external_reply": {"origin": {"sender_chat": ..., "chat": ...}}},
    "sender's names": {"from": {**person(), "first_name": ..., "username": ..., "is_bot": ...}},
    "chat's title": {"chat": {"id": -100, "type": "supergroup", "title": ..., "is_forum": ...}},
    "direct messages": {"chat": {"id": -100, "type": "supergroup", "is_direct_messages": ...}},
    "whose direct messages": {"direct_messages_topic": ...},
    "topic": {"message_thread_id": ..., "is_topic_message": ...},
    "entities": {"entities": ..., "caption_entities": ...},
    "an entity": {"entities": [{"type": ..., "offset": ..., "length": ..., "user": ...}]},
    "members": {"new_chat_members": ..., "left_chat_member": ...},
    "media": {"sticker": ..., "photo": ..., "paid_media": ..., "story": ..., "hologram": ...},
    "album": {"media_group_id": ...},
    "date": {"date": ...},
}  # fmt: skip


def with_odd(value: Any, odd: Any) -> Any:
    """The value with the odd one in each place left open."""
    if isinstance(value, dict):
        return {key: with_odd(each, odd) for key, each in value.items()}
    if isinstance(value, list):
        return [with_odd(each, odd) for each in value]
    return odd if value is ... else value


@pytest.mark.parametrize("fields", PLACES.values(), ids=PLACES)
async def test_an_odd_field_does_not_silence_the_bot(world: World, fields: dict[str, Any]) -> None:
    async with world.gateway() as running:
        for number, odd in enumerate(ODD):
            message = {**group(f"автобус, {number}?"), **with_odd(fields, odd)}
            assert await world.ask(message) == [f"эхо: автобус, {number}?"]
        assert running.metric("updates_failed_total") == 0


async def test_an_odd_entity_hides_no_other(world: World) -> None:
    text = "@avtobus_bot, ты тут?"
    call = entity("mention", text, "@avtobus_bot")
    async with world.gateway():
        for odd in ODD:
            await world.ask(group(text, entities=[odd, call]))
            await world.ask(group(None, caption=text, caption_entities=[call, odd], **PHOTO))


async def test_a_forward_of_an_unknown_kind_is_a_forward(world: World) -> None:
    async with world.gateway():
        for odd in filter(None, ODD):
            await world.ask(private("гляди", forward_origin=odd))
            await world.talk(group("автобус ушёл", forward_origin=odd))
        await world.counts("decisions_total", len(list(filter(None, ODD))), reason="not_addressed")


async def test_being_added_is_read_whatever_else_is_told(world: World) -> None:
    async with world.gateway():
        for number, odd in enumerate(ODD):
            before, after = ({"status": each, "user": odd} for each in ("left", "member"))
            chat = {"id": -100 - number, "type": "supergroup", "title": odd}
            told = {"chat": chat, "from": person(), "date": odd, "invite_link": odd}
            world.telegram.put_raw(
                my_chat_member={**told, "old_chat_member": before, "new_chat_member": after}
            )
        await world.until(lambda: len(world.telegram.texts()) == len(ODD))


async def test_a_members_status_is_read_whatever_else_is_told(world: World) -> None:
    async with world.gateway():
        for odd in ODD:
            member = {"status": "administrator", "user": odd, "can_be_edited": odd}
            world.telegram.fault = instead("getChatMember", member)
            await world.ask(group("/insanity on"))
    assert {each["text"] for each in world.telegram.sent} == {TEXTS.insanity_on}


async def test_a_message_whose_id_cannot_be_read_is_sent_once_and_known(world: World) -> None:
    world.generation.candidates = [candidate("раз"), candidate("два")]
    async with world.gateway():
        for odd in [*ODD, {"message_id": "семь"}, {"message_id": 1 << 70}]:
            world.telegram.fault = instead("sendMessage", odd, after=True)
            await world.ask(private("эй"))
        world.telegram.fault = None
        await world.ask(private("и?"))
    assert len(world.telegram.sent) == len(ODD) + 3
    assert world.generation.heard()[-2:] == [["раз"], ["и?"]]


async def test_updates_that_have_no_id_are_passed_over(world: World) -> None:
    message = {"update_id": 900, "message": private("эй")}
    world.telegram.fault = instead("getUpdates", [*ODD, {"update_id": "7"}, message])
    async with world.gateway():
        await world.says("эхо: эй")
