"""The page hears from the gateways why each bot spoke or kept quiet."""

import re

from services.gateway.reasons import SPEAKS, Reason
from services.sandbox.page_routes import STATIC
from tests.e2e.conftest import Town


async def test_of_a_message_in_the_group_each_bot_tells_why(town: Town) -> None:
    async with town.gateway("avtobus", explain=True), town.gateway("polkson", explain=True):
        said = await town.sandbox.say("автобус, едем?")
        await town.hears("эхо: автобус, едем?")
        await town.still()
        messages = (await town.sandbox.get("/api/state"))["messages"]
        why = [
            await town.sandbox.get(f"/api/why?chat=group&person=Аня&message={each['id']}")
            for each in messages
        ]
    assert said["id"] == messages[0]["id"]
    assert {bot: each["reason"] for bot, each in why[0].items()} == {
        "avtobus": "name",
        "polkson": "not_addressed",
    }
    assert why[1]["avtobus"]["draws"][0]["candidates"][0]["messages"] == ["эхо: автобус, едем?"]


def test_the_page_has_words_for_every_reason() -> None:
    texts = (STATIC / "why_texts.js").read_text(encoding="utf-8")
    for reason in Reason:
        assert len(re.findall(rf"^      {reason}: ", texts, re.M)) == 2, reason
    [listed] = re.findall(r"const SPEAKS = (\[.*\]);", (STATIC / "why.js").read_text("utf-8"))
    assert set(re.findall(r"\w+", listed)) == SPEAKS
