"""Like a person: typing, edits; and other bots, who are answered only so long."""

from tests.services.gateway.conftest import World
from tests.services.gateway.generation import candidate
from tests.services.gateway.telegram import another_bot, entity, group, private


async def test_a_mute_stops_what_is_being_typed(world: World) -> None:
    world.configure(delays=1.0, typing_speed=10.0)
    world.generation.candidates = [candidate("первое", "второе, подлиннее")]
    async with world.gateway():
        world.telegram.put(private("эй"))
        await world.until(lambda: world.clock.sleeps(0.6))
        world.clock.advance(0.6)
        await world.counts("messages_sent_total")
        world.telegram.put(private("/mute"))
        await world.counts("messages_failed_total", code="given_up")
        await world.until(lambda: world.clock.sleeps(1.0))  # Telegram takes a message a second
        world.clock.advance(1.0)
        await world.counts("messages_sent_total", 2)
    assert world.telegram.texts()[0] == "первое"
    assert "молчу" in world.telegram.texts()[1].lower()


async def test_messages_go_out_one_by_one_as_they_are_typed(world: World) -> None:
    world.configure(delays=1.0, typing_speed=10.0)
    world.generation.candidates = [candidate("десятьбукв", "и ещё немного больше")]
    async with world.gateway():
        world.telegram.put(private("эй"))
        for seconds in (1.0, 2.0):
            await world.wait_out(seconds, world.telegram.texts)
        await world.says("десятьбукв", "и ещё немного больше")
    assert len(world.telegram.actions) >= 2


async def test_a_mention_that_an_edit_adds_counts_once(world: World) -> None:
    message, text = group("эй"), "эй @avtobus_bot"
    mention = {"text": text, "entities": [entity("mention", text, "@avtobus_bot")]}
    async with world.gateway():
        await world.talk(message)
        for _ in range(2):
            world.telegram.put_raw(edited_message={**message, **mention})
        await world.counts("decisions_total", reason="edited")
        await world.says("эхо: эй")


async def test_an_answer_to_a_bot_is_not_sent_when_the_row_grew_too_long(world: World) -> None:
    async with world.gateway():
        await world.slow_down(group("автобус!", sender=another_bot()), 5)
        world.telegram.put(*(group(f"полка номер {n}", sender=another_bot()) for n in range(4)))
        await world.counts("decisions_total", 4, reason="not_addressed")
        await world.until(lambda: world.clock.sleeps(5))
        world.clock.advance(5)
        await world.counts("messages_failed_total", code="bot_depth")
    assert world.telegram.sent == []


async def test_a_chat_is_written_to_once_a_second(world: World) -> None:
    world.configure(delays=1.0)
    world.generation.candidates = [candidate("раз", "два")]
    async with world.gateway():
        world.telegram.put(private("эй"))
        await world.wait_out(1.0, world.telegram.texts)
        await world.says("раз", "два")
