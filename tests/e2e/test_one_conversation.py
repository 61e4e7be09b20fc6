"""One conversation gives the same token ids in the records to learn from and in the prompts."""

import asyncio
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from contracts.dataset import HELDOUT, TRAIN, read_records
from contracts.prompt import PromptFormat, Vocabulary, render_prompt
from contracts.turn import Role, Turn
from protos.generation.v1 import generation_pb2 as pb
from tests.extraction_jobs.conftest import built
from tests.services.gateway.conftest import World, servers, world  # noqa: F401
from tests.services.gateway.generation import candidate
from tests.services.gateway.telegram import BOT_ID, SELF, group, person

VOCABULARY = Vocabulary(lambda text: [ord(sign) for sign in text], bos=0, eos=1)
PEOPLE = {"Нина": 7, "Олег": 8, "Ира": 9}
PHOTO = {"photo": [{"file_id": "1", "file_unique_id": "1", "width": 1, "height": 1}]}
STICKER = {"sticker": {"file_id": "1", "file_unique_id": "1", "emoji": "😀"}}
POLL = {"poll": {"id": "1", "question": "Куда едем?"}}
FORWARD = {"forward_origin": {"type": "hidden_user", "sender_user_name": "Зоя", "date": 1}}
VIA_BOT = {"via_bot": person(77, is_bot=True, username="gif_bot")}
COMMAND = {"entities": [{"type": "bot_command", "offset": 0, "length": 8}]}
EXPORTED = {
    "forward_origin": {"forwarded_from": "Зоя"},
    "via_bot": {"via_bot": "@gif_bot"},
    "entities": {"text_entities": [{"type": "bot_command", "text": "/weather"}]},
    "photo": {"photo": "(File not included.)"},
    "sticker": {"media_type": "sticker", "sticker_emoji": "😀", "file": "(File not included.)"},
    "poll": {"poll": {"question": "Куда едем?", "answers": []}},
}


@dataclass
class Chat:
    """A group with the bot: what is said goes to the gateway, and into an export."""

    world: World
    export: list[dict[str, Any]] = field(default_factory=list)
    said: dict[int, dict[str, Any]] = field(default_factory=dict)

    async def say(
        self, name: str, text: str, reply_to: int = 0, after: float = 30, media: Any = None
    ) -> int:
        """Somebody writes; return the message's id."""
        self.world.clock.advance(after)
        number = 10 * (len(self.export) + 1)
        message = group(
            text or None,
            sender=person(PEOPLE[name], first_name=name),
            message_id=number,
            date=int(self.world.clock.now()),
            **(media or {}),
        )
        self.said[number] = message
        answered = {"reply_to_message": self.said[reply_to]} if reply_to else {}
        await self.world.talk({**message, **answered})
        shown = EXPORTED[next(iter(media))] if media else {}
        self._note(number, name, PEOPLE[name], text, reply_to, shown)
        return number

    async def answer(self, *texts: str, after: float = 5) -> int:
        """The bot answers what was said last; return the id of its last message."""
        before = len(self.world.telegram.sent)
        await self.world.until(lambda: len(self.world.telegram.sent) == before + len(texts))
        await self.world.handled()
        sent = self.world.telegram.sent[before:]
        first = 500_001 + sum(each["from_id"] == f"user{BOT_ID}" for each in self.export)
        for number, each in enumerate(sent, first):
            reply_to = (each.get("reply_parameters") or {}).get("message_id", 0)
            self.said[number] = group(
                each["text"], sender=SELF, message_id=number, date=int(self.world.clock.now())
            )
            self._note(number, "Автобус", BOT_ID, each["text"], reply_to, {})
        return int(first) + len(sent) - 1

    def _note(
        self, number: int, name: str, sender: int, text: str, reply_to: int, media: Any
    ) -> None:
        at = self.world.clock.now()
        entry = {
            **{"id": number, "type": "message", "from": name, "from_id": f"user{sender}"},
            **{"date": datetime.fromtimestamp(at, UTC).isoformat(), "date_unixtime": str(int(at))},
            **{"text": text, **media},
        }
        self.export.append(entry | ({"reply_to_message_id": reply_to} if reply_to else {}))


def prompt(turns: list[Turn]) -> str:
    """The prompt as the vocabulary has it, to be read by eye where it differs."""
    ids = render_prompt(turns, PromptFormat.TURNS_1, VOCABULARY, 10_000).ids
    return "".join(map(chr, ids)).replace("\0", "<s>").replace("\1", "</s>")


def asked(request: pb.GenerateRequest, most: int) -> str:
    roles = {pb.ROLE_PERSONA: Role.PERSONA, pb.ROLE_OTHER: Role.OTHER}
    turns = [
        Turn(speaker=each.speaker, role=roles[each.role], messages=tuple(each.messages))
        for each in request.turns[-most:]
    ]
    return prompt(turns)


def learned(folder: Path, export: list[dict[str, Any]], most: int) -> list[str]:
    """The prompts of the persona's records, oldest first."""
    path = folder / "result.json"
    chat = {"name": "Салон", "type": "private_supergroup", "id": 100, "messages": export}
    path.write_text(json.dumps(chat, ensure_ascii=False), encoding="utf-8")
    built(folder / "dataset", f"user{BOT_ID}", path, context_turns=most)
    records = [
        each for name in (TRAIN, HELDOUT) for each in read_records(folder / "dataset" / name)
    ]
    return [prompt(list(record.turns[:-1])) for record in records]


@pytest.mark.parametrize("most", [1, 2, 4, 16])
async def test_a_conversation_gives_records_and_prompts_the_same_token_ids(
    world: World,  # noqa: F811
    tmp_path: Path,
    most: int,
) -> None:
    chat, generation = Chat(world), world.generation
    async with world.gateway():
        photo = await chat.say("Нина", "", media=PHOTO)
        where = await chat.say("Олег", "где это?", photo)
        await chat.say("Нина", "на даче", where)
        await chat.say("Нина", "ещё\nс лета")  # a burst, with a line break
        generation.candidates = [candidate("в семь", "у моста")]
        await chat.say("Ира", "автобус, когда едем?")
        seven = await chat.answer("в семь", "у моста")
        await chat.say("Олег", "опять в семь")
        await chat.say("Ира", "не опоздай", where)
        generation.candidates = [candidate("точно")]
        sure = await chat.say("Нина", "точно?", seven)
        await chat.answer("точно")
        await chat.say("Олег", "", media=STICKER, after=3 * 3600)  # after a pause
        generation.candidates = [candidate("сам такой")]
        await chat.say("Олег", "автобус, а ты как?", after=400)  # no burst of his
        mine = await chat.answer("сам такой")
        poll = await chat.say("Ира", "", media=POLL)
        await chat.say("Нина", "на море")
        generation.candidates = [candidate("на мост")]
        await chat.say("Олег", "автобус, ответь", poll)
        await chat.answer("на мост")
        generation.candidates = [candidate("помню")]
        await chat.say("Нина", "и\u0306 автобус помнит?", sure)  # a letter of two signs
        await chat.answer("помню")
        generation.candidates = [candidate("нет")]
        await chat.say("Ира", "обиделся?", mine, after=5 * 3600)
        await chat.answer("нет")
        generation.candidates, generation.hold = [candidate("вижу")], asyncio.Event()
        await chat.say("Олег", "автобус, видишь мост?")
        await world.asks_generation(7)
        await chat.say("Нина", "мост закрыт")  # while it answers, so that it replies explicitly
        generation.hold.set()
        bridge = await chat.answer("вижу")
        await chat.say("Ира", "жаль")
        await chat.say("Нина", "мост упал", media=FORWARD)
        await chat.say("Олег", "объехали", media=VIA_BOT)
        await chat.say("Ира", "/weather", media=COMMAND)
        generation.candidates = [candidate("слышал")]
        await chat.say("Ира", "автобус, слышал?", after=400)
        await chat.answer("слышал")
        await chat.say("Олег", "и" * 3000)  # longer than what is learned
        generation.candidates = [candidate("длинно")]
        await chat.say("Нина", "автобус, прочёл?")
        await chat.answer("длинно")
        generation.candidates = [candidate("ага")]
        await chat.say("Олег", "закрыт?", bridge)
        await chat.answer("ага")
    prompts = [asked(request, most) for request in generation.requests]
    assert len(prompts) == 10
    assert prompts == learned(tmp_path, chat.export, most)
    assert "[стикер 😀]" in "".join(prompts) or most == 1
