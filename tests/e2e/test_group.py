"""Gateways on the stand-in for Telegram: what people do there, and what Telegram does."""

from services.gateway.bot_config import GatewayConfig
from services.gateway.texts import Texts
from tests.e2e.conftest import Town

TEXTS = Texts()


async def test_two_insane_bots_in_one_group_stop(town: Town) -> None:
    async with town.gateway("avtobus"), town.gateway("polkson"):
        await town.sandbox.say("/insanity@avtobus_bot")
        await town.sandbox.say("/insanity@polkson_bot")
        await town.hears(TEXTS.insanity_on)
        before = len(await town.still())
        await town.sandbox.say("ну, начали")
        await town.hears("эхо: ну, начали")
        talk = (await town.still())[before:]
        assert 2 <= len(talk) <= GatewayConfig().bot_depth
        await town.sandbox.say("хватит, люди тут")
        await town.hears("эхо: хватит, люди тут")


async def test_an_administrator_sets_the_chat_with_buttons(town: Town) -> None:
    async with town.gateway("avtobus"):
        await town.sandbox.say("/settings")
        await town.hears(TEXTS.settings)
        menu = (await town.sandbox.get("/api/state"))["messages"][-1]
        for person in ("Борис", "Аня"):
            press = {"chat": "group", "person": person, "message": menu["id"], "data": "insane:1"}
            await town.sandbox.post("/api/press", press)

        async def both_answered() -> bool:
            return len((await town.sandbox.get("/admin/log"))["answered"]) == 2

        await town.until(both_answered)
        shown = (await town.sandbox.get("/api/state"))["messages"][-1]
        assert shown["buttons"][0][0]["text"] == "✅ Безумие"
        await town.sandbox.say("сам с собой", person="Вера")
        await town.hears("эхо: сам с собой")


async def test_topics_are_apart_and_a_deleted_one_is_accounted_for(town: Town) -> None:
    async with town.gateway("avtobus"):
        for topic in (4, 9):
            await town.sandbox.post("/admin/topics", {"id": topic, "name": f"Рейс {topic}"})
        await town.sandbox.say("тут тихо", thread=4)
        await town.sandbox.say("автобус, ты где?", thread=9)
        await town.hears("эхо: автобус, ты где?")
        assert "тихо" not in str(town.generation.requests[-1].turns)
        sent = (await town.sandbox.get("/admin/log"))["sent"][-1]
        assert sent["thread"] == 9
        await town.sandbox.fault("slow", method="sendChatAction", seconds=0.3, times=1)
        wait = {"retry_after": 1}
        await town.sandbox.fault("error", method="sendMessage", code=429, parameters=wait)
        await town.sandbox.say("автобус, а тут?", thread=4)
        await town.counts(1, "rate_limited_total")
        await town.sandbox.post("/admin/topics", {"id": 4})
        await town.sandbox.post("/admin/faults", {"off": "all"})
        await town.counts(1, "messages_failed_total", code="topic")


async def test_edits_albums_and_pictures(town: Town) -> None:
    async with town.gateway("avtobus", wordless=("Слов не вижу.",)):
        said = await town.sandbox.say("эй", person="Борис")
        edit = {"chat": "group", "person": "Борис", "message": said["id"]}
        for text in ("автобус, эй", "автобус, эй!"):
            await town.sandbox.post("/api/edit", {**edit, "text": text})
        await town.hears("эхо: автобус, эй")
        photo = {"chat": "group", "person": "Вера", "media": "photo", "album": "1"}
        for caption in ("автобус, гляди", "автобус, и ещё"):
            await town.sandbox.post("/api/messages", {**photo, "caption": caption}, 201)
        sticker = {"chat": "avtobus", "person": "Вера", "media": "sticker"}
        await town.sandbox.post("/api/messages", sticker, 201)
        await town.hears("эхо: автобус, гляди", "Слов не вижу.")
        assert sorted(await town.still()) == sorted(
            ["эхо: автобус, эй", "эхо: автобус, гляди", "Слов не вижу."]
        )


async def test_telegrams_limits_are_kept_without_being_told(town: Town) -> None:
    await town.sandbox.post("/admin/rate-limit", {"on": True})
    async with town.gateway("avtobus", delays=1.0):
        for number in range(4):  # one more than Telegram lets pass at once
            await town.sandbox.say(f"раз {number}", chat="avtobus")
            await town.sandbox.say(f"два {number}", chat="avtobus", person="Борис")
        await town.hears("эхо: раз 3", "эхо: два 3")
    assert (await town.sandbox.get("/admin/log"))["rate_limited"] == 0


async def test_a_slow_answer_of_telegram_holds_up_no_other_chat(town: Town) -> None:
    boris = (await town.sandbox.get("/api/state"))["people"][1]["id"]
    await town.sandbox.fault("slow", method="sendMessage", chat=boris, after=True)
    async with town.gateway("avtobus", drain=0.0):
        await town.sandbox.say("медленно", chat="avtobus", person="Борис")
        await town.hears("эхо: медленно")  # of which its sender is not told
        for number in range(5):
            await town.sandbox.say(f"быстро {number}", chat="avtobus")
        await town.hears("эхо: быстро 4")
