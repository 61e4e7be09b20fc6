"""Who administrates a chat: what Telegram's answers come to, and what is said where it has none."""

from typing import Any

from services.gateway import administrators, context
from tests.services.gateway.conftest import TEXTS, World, cases
from tests.services.gateway.telegram import group, instead, of, person, private
from tests.services.gateway.test_settings_keyboard import press
from tests.services.sandbox.faults import Fault


def tells(member: object) -> Fault:
    return instead("getChatMember", member)


ANSWERS: list[tuple[str, Fault, str]] = [
    ("no more than the status", tells({"status": "creator"}), TEXTS.insanity_on),
    ("fields missing and of another type", tells(
        {"status": "administrator", "user": 5, "can_manage_chat": "yes"}), TEXTS.insanity_on),
    ("a member with a new field", tells({"status": "member", "tag": {}}), TEXTS.refused),
    ("restricted, without its rights", tells({"status": "restricted"}), TEXTS.refused),
    ("a new status", tells({"status": "moderator"}), TEXTS.unsure),
    ("a status of another type", tells({"status": ["creator"]}), TEXTS.unsure),
    ("no status", tells({"user": person()}), TEXTS.unsure),
    ("no object", tells(True), TEXTS.unsure),
    ("refused", of("getChatMember", 400, "member list is inaccessible"), TEXTS.unsure),
    ("forbidden", of("getChatMember", 403), TEXTS.unsure),
    ("a server without the method", of("getChatMember", 404), TEXTS.unsure),
    ("a long pause", of("getChatMember", 429, retry_after=400), TEXTS.unsure),
    ("a server that fails", of("getChatMember", 500), TEXTS.unsure),
    ("a connection that breaks", Fault(kind="drop", method="getChatMember"), TEXTS.unsure),
    ("no answer", Fault(kind="hold", method="getChatMember"), TEXTS.unsure),
]  # fmt: skip


@cases("fault, text", ANSWERS)
async def test_an_administrators_command_is_answered_within_seconds(
    world: World, fault: Fault, text: str
) -> None:
    world.patch.setattr(context, "ATTEMPT_SECONDS", 0.1)
    world.telegram.fault = fault
    async with world.gateway():
        world.telegram.put(group("/insanity on"), private("ты тут?"))
        await world.says("эхо: ты тут?", chat=7)
        await world.until(lambda: world.clock.sleeps(0.5) or bool(world.telegram.texts(-100)))
        world.clock.advance(0.5)
        await world.says(text, chat=-100)
    assert world.telegram.calls.count("getChatMember") <= 2
    world.patch.undo()


async def test_while_telegram_does_not_say_it_one_command_alone_waits_for_it(world: World) -> None:
    world.telegram.fault = of("getChatMember", 500)
    async with world.gateway():
        world.telegram.put(*(group("/settings", sender=person(each)) for each in (7, 8, 9)))
        await world.until(lambda: world.clock.sleeps(0.5))
        world.clock.advance(0.5)
        await world.says(*[TEXTS.unsure] * 3)
        assert world.telegram.calls.count("getChatMember") == 2
        world.telegram.fault = None
        world.clock.advance(administrators.UNSURE_SECONDS)
        assert await world.ask(group("/settings")) == [TEXTS.refused]


async def test_one_failure_is_not_the_last_word(world: World) -> None:
    world.telegram.administrators.add(7)
    world.telegram.fault = of("getChatMember", 502).model_copy(update={"times": 1})
    async with world.gateway():
        world.telegram.put(group("/insanity on"))
        await world.says(TEXTS.insanity_on, step=0.1)


CHANNEL: dict[str, Any] = {"id": -200, "type": "channel", "title": "Канал"}
AS_CHANNEL: dict[str, Any] = {"sender": person(136817688, is_bot=True), "sender_chat": CHANNEL}


async def test_who_writes_as_a_channel_is_told_to_write_in_their_own_name(world: World) -> None:
    async with world.gateway():
        texts = await world.ask(group("/mute", **AS_CHANNEL), group("/forgetme", **AS_CHANNEL))
    assert texts == [TEXTS.anonymous, TEXTS.anonymous]
    assert "getChatMember" not in world.telegram.calls


async def test_who_presses_while_it_cannot_be_known_is_told_so(world: World) -> None:
    world.telegram.fault = of("getChatMember", 400)
    async with world.gateway():
        world.telegram.put_raw(callback_query=press("insane:1"))
        await world.until(lambda: len(world.telegram.press_answers) == 1)
    assert world.telegram.press_answers[0]["text"] == TEXTS.unsure
