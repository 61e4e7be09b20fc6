"""Like a person: bursts, rhythm, edits, albums; and other bots, who are answered only so long."""

from dataclasses import replace
from typing import Any

from services.gateway.typing_delay import without_pings
from services.sandbox.faults import Call
from tests.services.gateway.conftest import CONFIG, TEXTS, World, candidate
from tests.services.gateway.telegram import another_bot, entity, group, only, person, private

PHOTO: dict[str, Any] = {"photo": [{"file_id": "1", "file_unique_id": "1", "width": 1,
                                    "height": 1}], "media_group_id": "9"}  # fmt: skip


def with_manners(world: World, **more: Any) -> World:
    """A world in which manners take their time."""
    settings = world.settings.model_copy(update={"gateway_delays": 1.0})
    return replace(world, settings=settings, config=CONFIG.model_copy(update=more))


async def test_a_burst_gets_one_answer(world: World) -> None:
    world = with_manners(world, burst_seconds=2.0)
    async with world.gateway() as running:
        world.telegram.put(private("слушай"), private("а автобус"), private("уже ушёл?"))
        await world.until(lambda: len(world.telegram.sent) == 1, step=0.1)
        await world.until(lambda: running.metric("decisions_total", reason="private") == 3)
        world.clock.advance(5)
        await world.settle()
    assert world.telegram.texts() == ["эхо: уже ушёл?"]
    [request] = world.generation.requests
    assert list(request.turns[0].messages) == ["слушай", "а автобус", "уже ушёл?"]


async def test_a_mute_stops_what_is_being_typed(world: World) -> None:
    world = with_manners(world, typing_speed=10.0)
    world.generation.candidates = [candidate("первое", "второе, подлиннее")]
    async with world.gateway() as running:
        world.telegram.put(private("эй"))
        await world.until(lambda: running.metric("outbox_size") == 2)
        world.clock.advance(0.6)
        await world.until(lambda: running.metric("messages_sent_total") == 1)
        world.telegram.put(private("/mute"))
        await world.until(lambda: running.metric("outbox_size") == 2)
        await world.until(lambda: len(world.telegram.sent) == 2, step=0.1)
        assert running.metric("messages_failed_total", code="muted") == 1
    assert world.telegram.texts()[0] == "первое"
    assert "молчу" in world.telegram.texts()[1].lower()


async def test_a_burst_in_a_group_is_answered_though_its_end_is_not_addressed(world: World) -> None:
    world = with_manners(world, burst_seconds=2.0)
    async with world.gateway() as running:
        world.telegram.put(group("автобус"), group("а я нет", sender=person(8)), group("ты где?"))
        await world.until(lambda: len(world.telegram.sent) == 1, step=0.1)
        assert running.metric("decisions_total", reason="burst") == 1
        await world.talk(group("это уже не тебе"))
        await world.settle()
    assert world.telegram.texts() == ["эхо: ты где?"]


async def test_a_command_does_not_swallow_what_stands_before_it(world: World) -> None:
    world = with_manners(world, burst_seconds=2.0)
    async with world.gateway():
        world.telegram.put(private("эй"), private("/help"))
        await world.until(lambda: len(world.telegram.sent) == 2, step=0.1)
    assert world.telegram.texts() == ["эхо: эй", TEXTS.help]


async def test_who_never_stops_is_answered_now_and_then(world: World) -> None:
    world = with_manners(world, burst_seconds=2.0)
    began = int(world.clock.now())
    async with world.gateway():
        world.telegram.put(*(private(f"и {n}", date=began + 2 * n) for n in range(20)))
        await world.until(lambda: len(world.telegram.sent) == 3, step=0.1)
    assert world.telegram.texts() == ["эхо: и 7", "эхо: и 15", "эхо: и 19"]


async def test_messages_go_out_one_by_one_as_they_are_typed(world: World) -> None:
    world = with_manners(world, typing_speed=10.0)
    world.generation.candidates = [candidate("десятьбукв", "и ещё немного больше")]
    async with world.gateway() as running:
        world.telegram.put(private("эй"))
        await world.until(lambda: running.metric("outbox_size") == 2 and world.clock.sleeps(1.0))
        assert world.telegram.sent == []
        world.clock.advance(1.0)
        await world.until(lambda: world.clock.sleeps(2.0))
        world.clock.advance(1.9)
        await world.until(lambda: len(world.telegram.actions) >= 2)
        await world.settle()
        assert len(world.telegram.sent) == 1
        world.clock.advance(0.1)
        await world.until(lambda: len(world.telegram.sent) == 2)


async def test_nobody_is_pinged_by_what_the_model_says(world: World) -> None:
    world.generation.candidates = [candidate("спроси @nina_k, почта a@b.ru")]
    async with world.gateway():
        world.telegram.put(private("кого?"))
        await world.until(lambda: len(world.telegram.sent) == 1)
    assert world.telegram.texts() == [without_pings("спроси @nina_k, почта a@b.ru")]
    assert "@nina_k" not in world.telegram.texts()[0]


async def test_pings_may_be_allowed(world: World) -> None:
    world.config = CONFIG.model_copy(update={"allow_pings": True})
    world.generation.candidates = [candidate("спроси @nina_k")]
    async with world.gateway():
        world.telegram.put(private("кого?"))
        await world.until(lambda: world.telegram.texts() == ["спроси @nina_k"])


async def test_the_bot_does_not_repeat_itself(world: World) -> None:
    world.generation.candidates = [candidate("мы едем в депо"), candidate("приехали")]
    async with world.gateway():
        world.telegram.put(private("куда?"))
        await world.until(lambda: len(world.telegram.sent) == 1)
        world.telegram.put(private("а теперь?"))
        await world.until(lambda: len(world.telegram.sent) == 2)
    assert world.telegram.texts() == ["мы едем в депо", "приехали"]


async def test_a_mention_that_an_edit_adds_counts_once(world: World) -> None:
    message = group("эй")
    text = "эй @avtobus_bot"
    edited = {**message, "text": text, "edit_date": 1_800_000_005,
              "entities": [entity("mention", text, "@avtobus_bot")]}  # fmt: skip
    async with world.gateway() as running:
        await world.talk(message)
        for _ in range(2):
            world.telegram.put_raw(edited_message=edited)
        await world.until(lambda: running.metric("decisions_total", reason="edited") == 1)
        await world.until(lambda: len(world.telegram.sent) == 1)
    assert world.telegram.texts() == ["эхо: эй"]


async def test_an_album_is_answered_once(world: World) -> None:
    parts = [group(None, caption="автобус, гляди", **PHOTO) for _ in range(3)]
    async with world.gateway() as running:
        world.telegram.put(*parts)
        await world.until(lambda: running.metric("decisions_total", reason="album") == 2)
        await world.until(lambda: len(world.telegram.sent) == 1)


async def test_a_picture_without_words_gets_the_line_for_it(world: World) -> None:
    world.config = CONFIG.model_copy(update={"wordless": ("Слов не вижу.",)})
    async with world.gateway():
        world.telegram.put(private(None, **PHOTO), private(None, **PHOTO))
        await world.until(lambda: len(world.telegram.sent) == 1)
        await world.settle()
    assert world.telegram.texts() == ["Слов не вижу."]
    assert world.generation.requests == []


async def test_an_album_is_answered_by_its_words_wherever_they_stand(world: World) -> None:
    world = with_manners(world, burst_seconds=2.0, wordless=("Слов не вижу.",))
    async with world.gateway():
        world.telegram.put(private(None, **PHOTO), private(None, caption="гляди", **PHOTO))
        await world.until(lambda: len(world.telegram.sent) == 1, step=0.1)
        world.clock.advance(5)
        await world.settle()
    assert world.telegram.texts() == ["эхо: гляди"]


async def test_a_person_gets_so_many_answers_an_hour_and_is_told_once(world: World) -> None:
    world.config = CONFIG.model_copy(update={"hourly_limit": 2})
    async with world.gateway() as running:
        world.telegram.put(*(private(f"раз {n}") for n in range(5)))
        await world.until(lambda: running.metric("decisions_total", reason="limited") == 2)
        await world.until(lambda: len(world.telegram.sent) == 3)
    assert world.telegram.texts() == ["эхо: раз 0", "эхо: раз 1", TEXTS.limited]


async def test_two_insane_bots_stop_at_the_depth(world: World) -> None:
    """Whatever the bot says, the other one answers at once."""
    world.telegram.administrators = {7}
    async with world.gateway() as running:
        world.telegram.put(group("/insanity"))
        await world.until(lambda: len(world.telegram.sent) == 1)
        world.telegram.put(group("ну, начали"))
        for bots in range(2, 20, 2):
            await world.until(lambda wanted=1 + bots // 2: len(world.telegram.sent) == wanted)  # type: ignore[misc]
            await world.talk(group(f"полка номер {bots}", sender=another_bot()))
            await world.settle()
            if running.metric("decisions_total", reason="bot_depth"):
                break
        assert bots <= CONFIG.bot_depth
        world.telegram.put(group("хватит, люди тут"))
        await world.until(lambda: world.telegram.texts()[-1] == "эхо: хватит, люди тут")


async def test_a_bot_that_says_the_same_again_is_not_answered(world: World) -> None:
    async with world.gateway() as running:
        for _ in range(2):
            world.telegram.put(group("Автобус, вот тебе полка", sender=another_bot()))
        await world.until(lambda: running.metric("decisions_total", reason="bot_repeat") == 1)
        await world.until(lambda: len(world.telegram.sent) == 1)


async def test_an_answer_to_a_bot_is_not_sent_when_the_row_grew_too_long(world: World) -> None:
    world.telegram.fault = only("sendMessage", -100, 429, "Too Many Requests", retry_after=5)
    async with world.gateway() as running:
        world.telegram.put(group("автобус!", sender=another_bot()))
        await world.until(lambda: running.metric("rate_limited_total") == 1)
        await world.talk(*(group(f"полка номер {n}", sender=another_bot()) for n in range(4)))
        await world.until(lambda: running.metric("decisions_total", reason="not_addressed") == 4)
        world.telegram.fault = None
        world.clock.advance(5)
        await world.until(lambda: running.metric("messages_failed_total", code="bot_depth") == 1)
    assert world.telegram.sent == []


async def test_a_chat_is_written_to_once_a_second(world: World) -> None:
    world = with_manners(world)
    world.generation.candidates = [candidate("раз", "два")]

    def on_the_way(call: Call) -> None:
        if call.method == "sendMessage":  # whose second begins when it is there
            world.clock.advance(0.7)

    world.telegram.on_call = on_the_way
    async with world.gateway():
        world.telegram.put(private("эй"))
        await world.until(lambda: world.clock.sleeps(1.0))
        world.clock.advance(0.9)
        await world.settle()
        assert len(world.telegram.sent) == 1
        world.clock.advance(0.1)
        await world.until(lambda: len(world.telegram.sent) == 2)


async def test_all_chats_together_get_thirty_messages_a_second(world: World) -> None:
    world = with_manners(world)
    async with world.gateway() as running:
        world.telegram.put(*(private("эй", user) for user in range(1, 51)))
        await world.until(lambda: running.metric("decisions_total", reason="private") == 50)
        await world.until(lambda: running.metric("messages_sent_total") == 30)
        await world.settle()
        assert len(world.telegram.sent) == 30
        world.clock.advance(1)
        await world.until(lambda: len(world.telegram.sent) == 50)


async def test_who_writes_again_a_minute_later_is_answered_twice(world: World) -> None:
    world = with_manners(world, burst_seconds=1.0)
    began = int(world.clock.now())
    async with world.gateway():
        world.telegram.put(group("автобус, когда отправление?", date=began - 90))
        world.telegram.put(group("ладно, пойду поем", date=began - 20))
        await world.until(lambda: len(world.telegram.sent) == 1, step=0.1)
    assert world.telegram.texts() == ["эхо: автобус, когда отправление?"]


async def test_a_new_conversation_is_no_way_round_the_limit(world: World) -> None:
    world.config = CONFIG.model_copy(update={"hourly_limit": 1})
    async with world.gateway() as running:
        world.telegram.put(private("раз"), private("/reset"), private("два"), private("три"))
        await world.until(lambda: running.metric("decisions_total", reason="limited") == 1)
        await world.until(lambda: len(world.telegram.sent) == 3)
    assert world.telegram.texts() == ["эхо: раз", TEXTS.reset, TEXTS.limited]
