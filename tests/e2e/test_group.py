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


async def test_an_edit_that_calls_the_bot_is_answered_once(town: Town) -> None:
    async with town.gateway("avtobus"):
        said = await town.sandbox.say("эй", person="Борис")
        edit = {"chat": "group", "person": "Борис", "message": said["id"]}
        for text in ("автобус, эй", "автобус, эй!"):
            await town.sandbox.post("/admin/edit", {**edit, "text": text})
        await town.hears("эхо: автобус, эй")
        assert await town.still() == ["эхо: автобус, эй"]


async def test_telegrams_limits_are_kept_without_being_told(town: Town) -> None:
    async with town.gateway("avtobus", delays=1.0):
        for number in range(4):  # one more than Telegram lets pass at once
            await town.sandbox.say(f"раз {number}", chat="avtobus")
            await town.sandbox.say(f"два {number}", chat="avtobus", person="Борис")
        await town.hears("эхо: раз 3", "эхо: два 3")
    sent = (await town.sandbox.get("/admin/log"))["sent"]
    for room in {each["room"] for each in sent}:
        times = [each["at"] for each in sent if each["room"] == room]
        assert all(later - first >= 3 for first, later in zip(times, times[3:], strict=False))


async def test_a_slow_answer_of_telegram_holds_up_no_other_chat(town: Town) -> None:
    boris = (await town.sandbox.get("/api/state"))["people"][1]["id"]
    await town.sandbox.fault("slow", method="sendMessage", chat=boris, after=True)
    async with town.gateway("avtobus", drain=0.0):
        await town.sandbox.say("медленно", chat="avtobus", person="Борис")
        await town.hears("эхо: медленно")  # of which its sender is not told
        for number in range(5):
            await town.sandbox.say(f"быстро {number}", chat="avtobus")
        await town.hears("эхо: быстро 4")
